"""HAIA's repository: what its callers rely on, and where it is better than the original."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar

import pytest

from peewee_conv import compat
from peewee_conv.compat import repository as haia
from peewee_conv.compat.repository import ConversationRepository, Message
from peewee_conv.compat.repository_session import AsyncSession, Engine
from peewee_conv.errors import InvalidArgument

R = TypeVar("R")
Work = Callable[[ConversationRepository], Awaitable[R]]


class Haia:
    """A database of HAIA; ``within(work)`` runs a coroutine function in a session that is committed."""

    def __init__(self, folder: Path) -> None:
        self.engine = Engine(f"sqlite+aiosqlite:///{folder}/haia.db", durability="normal", busy_timeout_ms=2000)

    def within(self, work: Work[R]) -> R:
        async def main() -> R:
            async with self.engine.session() as session:
                result = await work(ConversationRepository(session))
                await session.commit()
                return result

        return asyncio.run(main())

    def talk_of(self, count: int) -> int:
        """Store a conversation of so many messages, "1", "2" and so on, and return its id."""

        async def work(repository: ConversationRepository) -> int:
            talk = await repository.create_conversation()
            for number in range(1, count + 1):
                await repository.add_message(talk.id, "user" if number % 2 else "assistant", str(number))
            return talk.id

        return self.within(work)


@pytest.fixture
def db(tmp_path: Path) -> Haia:
    return Haia(tmp_path)


def contents(messages: list[Message]) -> list[str]:
    return [message.content for message in messages]


# --- what callers rely on -----------------------------------------------------------------------------------------


def test_a_new_conversation_has_an_id_a_time_and_no_message(db: Haia) -> None:
    talk = db.within(lambda repository: repository.create_conversation())

    assert (talk.id, talk.messages, talk.message_count) == (1, [], 0)
    assert talk.created_at == talk.updated_at
    assert repr(talk) == "<Conversation(id=1, messages=0)>"


def test_a_conversation_is_read_with_its_messages_in_their_order(db: Haia) -> None:
    id = db.talk_of(3)

    talk = db.within(lambda repository: repository.get_conversation(id))

    assert talk is not None
    assert [(message.role, message.content) for message in talk.messages] == [
        ("user", "1"),
        ("assistant", "2"),
        ("user", "3"),
    ]
    assert {message.conversation_id for message in talk.messages} == {id}


def test_what_is_not_there_is_answered_without_an_error(db: Haia) -> None:
    async def work(repository: ConversationRepository) -> list[Any]:
        return [
            await repository.get_conversation(99),
            await repository.get_all_messages(99),
            await repository.get_context_messages(99),
            await repository.get_message_count(99),
            await repository.delete_conversation(99),
        ]

    assert db.within(work) == [None, [], [], 0, False]


def test_the_time_of_the_newest_message_is_that_of_the_conversation(db: Haia) -> None:
    async def work(repository: ConversationRepository) -> tuple[Any, Any]:
        talk = await repository.create_conversation()
        return await repository.add_message(talk.id, "user", "x"), await repository.get_conversation(talk.id)

    message, talk = db.within(work)

    assert talk.updated_at == message.created_at


@pytest.mark.parametrize(("limit", "expected"), [(1, ["25"]), (3, ["23", "24", "25"])])
def test_context_is_the_newest_messages_oldest_first(db: Haia, limit: int, expected: list[str]) -> None:
    id = db.talk_of(25)

    assert contents(db.within(lambda repository: repository.get_context_messages(id, limit))) == expected


def test_context_has_twenty_messages_where_nothing_is_said(db: Haia) -> None:
    id = db.talk_of(25)

    assert contents(db.within(lambda repository: repository.get_context_messages(id)))[0] == "6"


def test_conversations_are_listed_by_their_latest_activity(db: Haia) -> None:
    first, second, third = (db.talk_of(1) for _ in range(3))

    async def work(repository: ConversationRepository) -> list[list[Any]]:
        await repository.add_message(first, "assistant", "2")
        whole = await repository.list_conversations()
        return [whole, await repository.list_conversations(limit=1, offset=1), await repository.list_conversations(0)]

    whole, page, nothing = db.within(work)

    assert [(talk.id, contents(talk.messages)) for talk in whole] == [
        (first, ["1", "2"]),
        (third, ["1"]),
        (second, ["1"]),
    ]
    assert [talk.id for talk in page] == [third]
    assert nothing == []


def test_messages_are_equal_by_value_and_hashable(db: Haia) -> None:
    id = db.talk_of(2)

    first, again = (db.within(lambda repository: repository.get_all_messages(id)) for _ in range(2))

    assert first == again
    assert len({*first, *again}) == 2
    assert first[0] != "1"
    assert repr(first[0]) == f"<Message(id={first[0].id}, conversation_id={id}, role='user')>"


def test_a_message_that_was_adopted_keeps_its_id_and_shares_it_with_no_other(db: Haia) -> None:
    talks = db.engine.project.conversations
    kept = talks.create(id="9", number=9)
    moved = talks.create(id="haia-9-2026-01-02T03:04:05.000000Z", metadata={"adopted": {"number": 9}})
    talks.add_message(kept.id, "user", "old", external_id="17")
    talks.add_message(kept.id, "user", "of another kind", external_id="c-17")
    talks.add_message(moved.id, "user", "old, of another database", external_id="17")

    adopted, other = db.within(lambda repository: repository.get_all_messages(kept.number))
    (elsewhere,) = db.within(lambda repository: repository.get_all_messages(moved.number))

    assert (adopted.id, other.id) == (17, 9 << 32 | 2)
    assert elsewhere.id == moved.number << 32 | 1


# --- what the original promised and did not hold -------------------------------------------------------------------


def test_deleting_a_conversation_leaves_no_message_to_the_next_one(db: Haia) -> None:
    id = db.talk_of(3)

    async def work(repository: ConversationRepository) -> tuple[bool, Any, int]:
        is_deleted = await repository.delete_conversation(id)
        following = await repository.create_conversation()
        return is_deleted, await repository.get_conversation(following.id), await repository.get_message_count(id)

    is_deleted, following, count = db.within(work)

    assert is_deleted
    assert following.id != id
    assert (following.messages, count) == ([], 0)
    assert db.engine.project.check() == []


def test_a_session_shows_what_it_adds_in_the_conversation_that_it_gave_out(db: Haia) -> None:
    async def work(repository: ConversationRepository) -> None:
        talk = await repository.create_conversation()
        message = await repository.add_message(talk.id, "user", "1")
        assert talk.messages == [message]
        assert talk.updated_at == message.created_at
        assert await repository.get_conversation(talk.id) is talk
        await repository.session.commit()
        await repository.add_message(talk.id, "user", "2")
        assert contents(talk.messages) == contents(await repository.get_all_messages(talk.id)) == ["1", "2"]

    db.within(work)


def test_a_conversation_shows_nothing_that_was_rolled_back(db: Haia) -> None:
    id = db.talk_of(1)

    async def work(repository: ConversationRepository) -> None:
        before = await repository.get_conversation(id)
        assert before is not None
        time = before.updated_at
        await repository.add_message(id, "user", "undone")
        await repository.add_message(id, "user", "undone too")
        assert await repository.get_conversation(id) is before
        await repository.session.rollback()
        assert contents(before.messages) == ["1"]
        assert before.updated_at == time

    db.within(work)


def test_adding_to_a_long_conversation_reads_none_of_its_messages(db: Haia, monkeypatch: pytest.MonkeyPatch) -> None:
    id = db.talk_of(3)
    monkeypatch.setattr(type(db.engine.project.conversations), "messages", None)

    db.within(lambda repository: repository.add_message(id, "user", "4"))
    count = db.within(lambda repository: repository.get_message_count(id))

    assert count == 4


def test_all_times_are_aware_and_can_be_compared(db: Haia) -> None:
    id = db.talk_of(1)

    async def work(repository: ConversationRepository) -> list[Any]:
        fresh = await repository.create_conversation()
        message = await repository.add_message(fresh.id, "user", "x")
        stored = await repository.get_conversation(id)
        assert stored is not None
        times = [fresh.created_at, fresh.updated_at, stored.created_at, stored.updated_at, message.created_at]
        return [*times, stored.messages[0].created_at]

    times = db.within(work)

    assert {time.tzinfo for time in times} == {UTC}
    assert max(times) > min(times)


def test_messages_of_one_moment_keep_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    db = Haia(tmp_path)
    db.engine = Engine(f"sqlite:///{tmp_path}/still.db", now=lambda: "2026-03-01T12:00:00.000000Z")
    id = db.talk_of(9)

    messages = db.within(lambda repository: repository.get_all_messages(id))

    assert contents(messages) == list("123456789")
    assert len({message.created_at for message in messages}) == 1


@pytest.mark.parametrize("role", ["tool", "User", "", None, ["user"]])
def test_another_role_is_refused_for_both_kinds_of_callers(db: Haia, role: Any) -> None:
    id = db.talk_of(0)

    with pytest.raises(haia.InvalidRoleError) as refused:
        db.within(lambda repository: repository.add_message(id, role, "x"))

    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, haia.DatabaseError)
    assert str(refused.value) == f"Invalid role: {role}. Must be one of: assistant, system, user"
    assert (refused.value.role, refused.value.valid_roles) == (role, {"system", "user", "assistant"})


def test_a_missing_conversation_is_refused_for_both_kinds_of_callers(db: Haia) -> None:
    with pytest.raises(haia.ConversationNotFoundError, match=r"^Conversation with ID 99 not found$") as refused:
        db.within(lambda repository: repository.add_message(99, "user", "x"))

    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, haia.DatabaseError)
    assert refused.value.conversation_id == 99


@pytest.mark.parametrize("content", ["", None])
def test_empty_content_is_refused(db: Haia, content: Any) -> None:
    id = db.talk_of(0)

    with pytest.raises(haia.EmptyContentError, match=r"^Message content cannot be empty$"):
        db.within(lambda repository: repository.add_message(id, "user", content))

    assert db.within(lambda repository: repository.get_message_count(id)) == 0


def test_content_that_cannot_be_stored_is_refused_and_the_session_goes_on(db: Haia) -> None:
    async def work(repository: ConversationRepository) -> list[str]:
        talk = await repository.create_conversation()
        with pytest.raises(haia.DatabaseIntegrityError) as refused:
            await repository.add_message(talk.id, "user", "\ud800")
        assert "lone surrogate" in str(refused.value.original_error)
        await repository.add_message(talk.id, "user", "kept")
        return contents(talk.messages)

    assert db.within(work) == ["kept"]


@pytest.mark.parametrize("limit", [0, -1, 101, True, None])
def test_a_window_has_one_to_a_hundred_messages(db: Haia, limit: Any) -> None:
    id = db.talk_of(1)

    with pytest.raises(InvalidArgument, match=r"invalid limit .*: expected a whole number from 1 to 100"):
        db.within(lambda repository: repository.get_context_messages(id, limit))


@pytest.mark.parametrize(("limit", "offset"), [(-1, 0), (50, -1), ("50", 0)])
def test_a_list_neither_begins_nor_ends_before_its_first_row(db: Haia, limit: Any, offset: Any) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 0"):
        db.within(lambda repository: repository.list_conversations(limit, offset))


@pytest.mark.parametrize("id", ["1", None, 1.0, True])
def test_an_id_is_a_number(db: Haia, id: Any) -> None:
    with pytest.raises(ValueError, match="invalid conversation_id"):
        db.within(lambda repository: repository.get_conversation(id))


# --- names --------------------------------------------------------------------------------------------------------

CAUSE = OSError("disk")


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (haia.ConversationNotFoundError(5), {"conversation_id": 5}),
        (haia.MessageNotFoundError(6), {"message_id": 6}),
        (haia.InvalidRoleError("x", ["b", "a"]), {"role": "x", "valid_roles": {"a", "b"}}),
        (haia.EmptyContentError(), {}),
        (haia.DatabaseConnectionError(CAUSE), {"original_error": CAUSE}),
        (haia.DatabaseIntegrityError(CAUSE), {"original_error": CAUSE}),
        (haia.ConcurrentModificationError("Conversation", 7), {"entity_type": "Conversation", "entity_id": 7}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_keeps_what_it_was_made_of(error: haia.DatabaseError, attributes: dict[str, Any]) -> None:
    assert {name: getattr(error, name) for name in attributes} == attributes
    assert str(pickle.loads(pickle.dumps(error))) == str(copy.copy(error)) == str(error)


def test_every_name_of_the_original_is_there() -> None:
    assert [name for name in haia.__all__ if not hasattr(haia, name)] == []
    assert {"system", "user", "assistant"} == ConversationRepository.VALID_ROLES
    assert haia.AsyncSession is AsyncSession


def test_a_shape_without_pydantic_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    monkeypatch.delitem(sys.modules, "peewee_conv.compat.repository_schemas", raising=False)
    monkeypatch.delattr(compat, "repository_schemas", raising=False)

    with pytest.raises(ImportError, match="need pydantic: pip install pydantic"):
        haia.MessageCreate  # noqa: B018


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Base'"):
        haia.Base  # noqa: B018
