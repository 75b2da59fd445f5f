"""ChatDF's answers: what the model sees, what is stored, what the browser hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from chatdf_tools import URL, Browser, Chat, Clock, Model, Worker, count, talk_of, user_id, with_talk
from chatdf_tools import chat as chat

from peewee_conv.compat import chatdf
from peewee_conv.compat.chatdf import Connection, Settings
from peewee_conv.errors import InvalidArgument


class Room:
    """A user in a conversation, with a model and a browser."""

    def __init__(self, db: Connection, model: Model, user: str, talk: str) -> None:
        self.db, self.model, self.user, self.talk, self.browser = db, model, user, talk, Browser()

    async def say(self, content: str = "What is the outlook?") -> dict[str, Any]:
        return await chatdf.process_message(self.db, self.talk, self.user, content, self.browser)


def in_room(chat: Chat, body: Callable[[Room], Any], model: Model | None = None, **options: Any) -> Any:
    async def prepared(db: Connection) -> Any:
        db.model = model or Model()
        user = await user_id(db)
        return await body(Room(db, db.model, user, await talk_of(db, user)))

    return chat(prepared, **options)


def test_an_answer_is_stored_with_its_question_its_query_and_its_tokens(chat: Chat, clock: Clock) -> None:
    async def body(room: Room) -> tuple[dict[str, Any], list[dict[str, Any]], Any]:
        answer = await room.say()
        usage = await room.db.fetchone("SELECT input_tokens, output_tokens, conversation_id FROM token_usage")
        return answer, await chatdf.get_messages(room.db, room.talk), tuple(usage)

    answer, messages, usage = in_room(chat, body, Model(sql_query="SELECT 1"), now=clock)
    assert answer == {
        "id": answer["id"],
        "conversation_id": "c-1",
        "role": "assistant",
        "content": "Calm.",
        "sql_query": "SELECT 1",
        "token_count": 120,
        "created_at": "2026-03-01T12:00:00",
    }
    assert len(answer["id"]) == 36
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[1] == answer
    assert (messages[0]["sql_query"], messages[0]["token_count"]) == (None, 0)
    assert usage == (100, 20, "c-1")


def test_the_browser_hears_of_each_step(chat: Chat) -> None:
    async def body(room: Room) -> tuple[Browser, str]:
        return room.browser, (await room.say())["id"]

    browser, id = in_room(chat, body)
    assert browser.events == ["query_status", "chat_token", "chat_token", "chat_complete"]
    assert browser.data["query_status"] == {"type": "query_status", "phase": "generating"}
    assert browser.data["chat_complete"] == {
        "type": "chat_complete",
        "message_id": id,
        "sql_query": None,
        "token_count": 120,
    }


def test_the_model_gets_what_chatdfs_gets(chat: Chat) -> None:
    async def body(room: Room) -> dict[str, Any]:
        await chatdf.add_dataset(room.db, room.talk, URL.format(1), Worker())
        await chatdf.process_message(room.db, room.talk, room.user, "Sum?", room.browser, pool="workers")
        return room.model.given

    given = in_room(chat, body)
    assert [message["content"] for message in given["messages"]] == ["Sum?"]
    assert [dataset["name"] for dataset in given["datasets"]] == ["table1"]
    assert (given["pool"], given["conversation_id"], given["cancel_event"].is_set()) == ("workers", "c-1", False)
    assert isinstance(given["db"], Connection)


def test_the_model_sees_the_newest_50_messages(chat: Chat) -> None:
    async def body(room: Room) -> list[str]:
        old = [{"role": "user", "content": f"message {n}"} for n in range(60)]
        await room.db.project.conversations.add_messages(room.talk, old)
        await room.say("the last")
        return [message["content"] for message in room.model.given["messages"]]

    assert in_room(chat, body) == [*(f"message {n}" for n in range(11, 60)), "the last"]


def test_the_model_sees_800000_tokens_at_most_whatever_answers_have_used(chat: Chat) -> None:
    async def body(room: Room) -> list[str]:
        talks = room.db.project.conversations
        await talks.add_message(room.talk, "user", "x" * 3_200_000)
        await talks.add_message(room.talk, "assistant", "short", token_count=900_000)
        await room.say("the last")
        return [message["content"] for message in room.model.given["messages"]]

    assert in_room(chat, body) == ["short", "the last"]


def test_the_first_question_is_the_title_of_a_conversation_that_was_made_with_none(chat: Chat) -> None:
    async def body(room: Room) -> str:
        await room.say("What is the outlook for copper, tin, zinc and nickel this year?")
        await room.say("And gold?")
        return str((await room.db.fetchone("SELECT title FROM conversations"))["title"])

    assert in_room(chat, body) == "What is the outlook for copper, tin, zinc and nick..."


def test_a_second_message_is_refused_while_the_first_is_answered(chat: Chat) -> None:
    async def body(room: Room) -> list[str]:
        gate = room.model.gate = asyncio.Event()
        first = asyncio.create_task(room.say("first"))
        await room.model.began.wait()
        with pytest.raises(chatdf.ConflictError, match=r"^Generation already in progress for this conversation$"):
            await room.say("second")
        gate.set()
        await first
        await room.say("third")
        return [message["content"] for message in await chatdf.get_messages(room.db, room.talk)]

    assert in_room(chat, body) == ["first", "Calm.", "third", "Calm."]


def test_a_spent_budget_leaves_no_message_behind(chat: Chat) -> None:
    async def body(room: Room) -> tuple[list[str], dict[str, Any], int]:
        await chatdf.record_usage(room.db, room.user, None, 5_000_000, 0)
        with pytest.raises(chatdf.RateLimitError, match=r"^Daily token limit exceeded$") as refused:
            await room.say()
        assert refused.value.resets_in_seconds == 86_400
        return room.browser.events, room.browser.data["rate_limit_exceeded"], await count(room.db, "messages")

    events, exceeded, messages = in_room(chat, body, now=_standing_clock)
    assert events == ["rate_limit_warning", "rate_limit_exceeded"]
    assert exceeded == {"type": "rate_limit_exceeded", "resets_in_seconds": 86_400}
    assert messages == 0


def _standing_clock() -> str:
    return "2026-03-01T12:00:00.000000Z"


def test_the_browser_is_warned_when_an_answer_brings_the_user_near_the_limit(chat: Chat) -> None:
    async def body(room: Room) -> Browser:
        await room.say()
        return room.browser

    browser = in_room(chat, body, settings=Settings(token_limit=150))
    assert browser.events[-2:] == ["chat_complete", "rate_limit_warning"]
    assert browser.data["rate_limit_warning"] == {
        "type": "rate_limit_warning",
        "usage_percent": 80.0,
        "remaining_tokens": 30,
    }


def test_a_model_that_fails_leaves_the_question_and_tells_the_browser(chat: Chat) -> None:
    async def body(room: Room) -> tuple[Browser, list[str]]:
        with pytest.raises(OSError, match="no network"):
            await room.say("first")
        room.model.error = None
        await room.say("again")
        return room.browser, [message["content"] for message in await chatdf.get_messages(room.db, room.talk)]

    browser, messages = in_room(chat, body, Model(error=OSError("no network")))
    assert browser.data["chat_error"] == {"type": "chat_error", "error": "no network", "details": "OSError"}
    assert messages == ["first", "again", "Calm."]


def test_a_browser_that_has_gone_hides_no_error(chat: Chat) -> None:
    async def gone(kind: str, data: dict[str, Any]) -> None:
        raise ConnectionError(kind)

    async def body(room: Room) -> None:
        await chatdf.process_message(room.db, room.talk, room.user, "Hello", gone)

    with pytest.raises(ConnectionError, match="query_status"):
        in_room(chat, body)


def test_an_answer_whose_usage_cannot_be_stored_is_not_stored_either(chat: Chat) -> None:
    async def body(room: Room) -> list[str]:
        with pytest.raises(InvalidArgument):
            await room.say("first")
        return [message["content"] for message in await chatdf.get_messages(room.db, room.talk)]

    assert in_room(chat, body, Model(tokens=(10, -1))) == ["first"]


def test_a_cancelled_answer_is_not_stored_and_the_conversation_is_free_again(chat: Chat) -> None:
    async def body(room: Room) -> list[str]:
        room.model.gate = asyncio.Event()
        task = asyncio.create_task(room.say("first"))
        await room.model.began.wait()
        task.cancel()
        await asyncio.wait([task])
        room.model.gate = None
        await room.say("second")
        return [message["content"] for message in await chatdf.get_messages(room.db, room.talk)]

    assert in_room(chat, body) == ["first", "second", "Calm."]


def test_stopping_asks_the_model_of_that_conversation_alone(chat: Chat) -> None:
    async def body(room: Room) -> list[bool]:
        gate = room.model.gate = asyncio.Event()
        task = asyncio.create_task(room.say())
        await room.model.began.wait()
        stop = room.model.given["cancel_event"]
        chatdf.stop_generation("another")
        seen = [stop.is_set()]
        chatdf.stop_generation(room.talk)
        seen.append(stop.is_set())
        gate.set()
        await task
        chatdf.stop_generation(room.talk)
        return seen

    assert in_room(chat, body) == [False, True]


@pytest.mark.parametrize(("user", "text"), [("other", "Conversation not found"), ("nobody", "User not found")])
def test_a_conversation_of_somebody_else_is_not_found_and_no_model_is_asked(chat: Chat, user: str, text: str) -> None:
    async def body(room: Room) -> tuple[int, dict[str, Any]]:
        room.user = await user_id(room.db, "ben") if user == "other" else user
        with pytest.raises(chatdf.NotFoundError, match=f"^{text}$"):
            await room.say()
        return await count(room.db, "messages"), room.model.given

    assert in_room(chat, body) == (0, {})


def test_without_a_model_the_error_says_where_it_goes(chat: Chat) -> None:
    with pytest.raises(InvalidArgument, match=r"connection\.model"):
        chat(lambda db: chatdf.process_message(db, "c-1", "u-1", "Hello", Browser()))


def test_nobody_waits_for_a_model_with_the_file_locked(chat: Chat) -> None:
    async def body(room: Room) -> str:
        gate = room.model.gate = asyncio.Event()

        async def say_with_a_pending_change() -> None:
            await room.db.execute("UPDATE conversations SET project_name = 'pending'")
            await room.say()

        task = asyncio.create_task(say_with_a_pending_change())
        await room.model.began.wait()
        other = await asyncio.create_task(user_id(room.db, "ben"))
        gate.set()
        await task
        return other

    assert in_room(chat, body, busy_timeout_ms=200)


def test_messages_of_an_unknown_conversation_are_not_found(chat: Chat) -> None:
    with pytest.raises(chatdf.NotFoundError, match=r"^Conversation not found$"):
        chat(lambda db: chatdf.get_messages(db, "none"))


def test_a_message_that_chatdf_did_not_write_has_its_key_for_an_id(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> bool:
        message = await db.project.conversations.add_message(talk, "user", "Hello!")
        (shown,) = await chatdf.get_messages(db, talk)
        return bool(shown["id"] == str(message.id))

    assert chat(with_talk(body))
