"""What the Sovereign Assistant's StateManager returns, and its sessions."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from state_tools import bot as bot
from state_tools import contents, say
from state_tools import manager as manager
from state_tools import thread as thread

from peewee_conv import errors
from peewee_conv.compat.state_manager import (
    Assistant,
    Message,
    MessageRole,
    StateManager,
    StateManagerException,
    Thread,
)

# --- what is returned ---


def test_what_is_returned_is_readable_in_other_threads_and_after_deletion(
    manager: StateManager, bot: Assistant, thread: Thread
) -> None:
    (said,) = say(manager, thread, "Hello!")
    manager.delete_assistant(bot.id)

    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(lambda: (bot.name, thread.thread_metadata, said.content, thread.messages, repr(thread)))

    assert read.result()[:4] == ("Aurora", {}, "Hello!", [])
    assert (thread.assistant, said.thread, bot.threads) == (None, None, [])


def test_relationships_answer(manager: StateManager, bot: Assistant, thread: Thread) -> None:
    (said,) = say(manager, thread, "Hello!")
    second = manager.create_thread(bot.id)

    assert thread.assistant is not None
    assert said.thread is not None
    assert (thread.assistant.id, said.thread.id) == (bot.id, thread.id)
    assert [found.id for found in thread.messages] == [said.id]
    assert [found.id for found in bot.threads] == [thread.id, second.id]


def test_a_message_that_is_appended_to_a_relationship_is_refused_and_not_lost(
    manager: StateManager, thread: Thread
) -> None:
    said = Message(role=MessageRole.USER, content="Hello!")

    with pytest.raises(StateManagerException, match=r"session\.add\(\)"), manager.get_session() as session:
        session.query(Thread).one().messages.append(said)
    with pytest.raises(errors.InvalidArgument):
        thread.messages += [said]  # type: ignore[misc]

    assert copy.deepcopy(thread.messages) == pickle.loads(pickle.dumps(thread.messages)) == []


def test_what_is_returned_can_be_copied_and_pickled(tmp_path: Path) -> None:
    manager = StateManager(f"sqlite:///{tmp_path}/talks.db")
    thread = manager.create_thread(manager.create_assistant("Aurora", "You analyse markets.").id)
    (said,) = say(manager, thread, "Hello!")
    with manager.get_session() as session:
        read = session.query(Message).one()  # its row may change until the session ends: read once more for a copy

        for each in (said, read):
            for copied in (copy.copy(each), copy.deepcopy(each), pickle.loads(pickle.dumps(each))):
                assert (copied.content, copied.id, copied.thread.id) == ("Hello!", said.id, thread.id)
        restored = pickle.loads(pickle.dumps(thread))
        restored.thread_metadata = {"desk": 1}
        session.add(restored)

    assert (thread.thread_metadata, manager.get_thread(thread.id).thread_metadata) == ({}, {"desk": 1})


def test_what_was_in_memory_is_pickled_without_what_it_is_related_to(thread: Thread) -> None:
    restored = pickle.loads(pickle.dumps(thread))

    assert (restored.id, copy.deepcopy(thread).messages) == (thread.id, [])
    with pytest.raises(StateManagerException, match="database that is here"):
        _ = restored.messages


@pytest.mark.parametrize("kind", [Assistant, Thread, Message])
def test_repr_never_fails(manager: StateManager, bot: Assistant, thread: Thread, kind: Any) -> None:
    (said,) = say(manager, thread, "secret")
    found = next(each for each in (bot, thread, said) if isinstance(each, kind))
    manager.engine.dispose()

    assert repr(found).startswith(f"<{kind.__name__}(id='{found.id}'")
    assert "secret" not in repr(said)
    assert repr(kind()).startswith(f"<{kind.__name__}(id=None")


def test_relationships_of_a_database_that_is_gone_fail_with_their_own_exception(thread: Thread) -> None:
    assert thread._engine is not None
    thread._engine.dispose()

    with pytest.raises(StateManagerException):
        _ = thread.messages


def test_a_time_is_naive_and_its_timestamp_right_on_every_host(bot: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "from peewee_conv.compat.naive_times import naive_utc; from datetime import datetime;"
        "moment = naive_utc(datetime.fromisoformat('2026-01-02T00:00:00+00:00'));"
        "print(moment.timestamp(), moment.astimezone(), moment)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TZ": "America/New_York"},
    )

    assert found.stdout == "1767312000.0 2026-01-01 19:00:00-05:00 2026-01-02 00:00:00\n"
    assert bot.created_at.tzinfo is None
    assert abs(bot.created_at.timestamp() - datetime.now(UTC).timestamp()) < 60


def test_times_are_compared_copied_and_pickled_like_others(bot: Assistant) -> None:
    moment = bot.created_at

    assert pickle.loads(pickle.dumps(moment)) == copy.deepcopy(moment) == moment
    assert moment > datetime(2020, 1, 1)  # noqa: DTZ001
    assert moment.replace(tzinfo=UTC).timestamp() == moment.timestamp()


# --- sessions ---


def test_a_session_commits_in_the_end(manager: StateManager, bot: Assistant) -> None:
    with manager.get_session() as session:
        found = session.query(Assistant).filter(Assistant.name == "Aurora").first()
        assert found is not None
        found.model = "gpt-5"
        session.add(Thread(id="t-1", assistant_id=bot.id, thread_metadata=["a"]))
        session.add(Message(id="m-1", thread_id="t-1", role=MessageRole.ASSISTANT, content="Hi", token_count=1))

    assert manager.get_assistant(bot.id).model == "gpt-5"
    assert manager.get_thread("t-1").thread_metadata == ["a"]
    assert [(said.id, said.role) for said in manager.get_messages("t-1")] == [("m-1", MessageRole.ASSISTANT)]


def test_a_session_rolls_back_and_lets_the_callers_error_through(manager: StateManager, bot: Assistant) -> None:
    def fail() -> None:
        with manager.get_session() as session:
            session.delete(session.query(Assistant).one())
            session.flush()
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()

    assert manager.get_assistant(bot.id).name == "Aurora"


@pytest.mark.parametrize(
    "wrong",
    [
        Assistant(name="x"),
        Thread(),
        Thread(assistant_id="nobody"),
        Message(content="x"),
        Message(thread_id="nowhere", content="x"),
    ],
    ids=repr,
)
def test_an_error_of_the_database_leaves_a_session_as_its_own_exception(manager: StateManager, wrong: Any) -> None:
    with pytest.raises(StateManagerException) as caught, manager.get_session() as session:
        session.add(copy.deepcopy(wrong))

    assert isinstance(caught.value.__cause__, errors.PeeweeConvError)


def test_a_session_finds_messages_by_id_and_by_thread(manager: StateManager, bot: Assistant, thread: Thread) -> None:
    one, two = say(manager, thread, "a", "b")
    say(manager, manager.create_thread(bot.id), "c")

    with manager.get_session() as session:
        found = session.get(Message, two.id)
        mine = session.query(Message).filter_by(thread_id=thread.id).order_by(Message.timestamp.desc()).all()
        pairs = session.query(Message.id, Message.thread_id).filter(Message.thread_id.in_([thread.id])).all()
        others = session.query(Message).filter(Message.thread_id != thread.id).all()

    assert found is not None
    assert (found.content, found.token_count) == ("b", 0)
    assert [said.id for said in mine] == [two.id, one.id]
    assert sorted(pairs) == sorted([(one.id, thread.id), (two.id, thread.id)])
    assert contents(others) == ["c"]


def test_messages_of_a_thread_are_found_along_an_index(manager: StateManager, thread: Thread) -> None:
    with manager.get_session() as session:
        sql, _ = session.query(Message).filter(Message.thread_id == thread.id)._select.sql()
        plan = session.execute("EXPLAIN QUERY PLAN " + sql.replace("?", ":id"), {"id": thread.id})

        assert [row[-1] for row in plan if row[-1].startswith("SCAN")] == []


def test_what_was_returned_can_be_changed_and_deleted_in_a_session(
    manager: StateManager, bot: Assistant, thread: Thread
) -> None:
    gone = manager.create_thread(bot.id)
    bot.model = "gpt-5"
    with manager.get_session() as session:
        session.add_all([bot, thread])
        bot.name = "Changed"
        session.delete(thread)
        session.delete(gone)

    found = manager.get_assistant(bot.id)
    assert (found.name, found.model) == ("Changed", "gpt-5")
    assert manager.list_threads() == []


def test_a_message_added_meanwhile_is_no_conflict_and_a_change_is_one(manager: StateManager, thread: Thread) -> None:
    with manager.get_session() as session:
        found = session.query(Thread).one()
        say(manager, thread, "Hello!")
        found.thread_metadata = {"desk": 1}
    assert manager.get_thread(thread.id).thread_metadata == {"desk": 1}

    with manager.SessionLocal() as session:
        found = session.query(Thread).one()
        manager.update_thread(thread.id, {"desk": 2})
        found.thread_metadata = {"desk": 3}
        with pytest.raises(errors.DatabaseBusy, match="somebody has changed"):
            session.commit()
    assert manager.get_thread(thread.id).thread_metadata == {"desk": 2}


def test_what_was_said_stays_as_it_is(manager: StateManager, thread: Thread) -> None:
    say(manager, thread, "Hello!")
    with pytest.raises(StateManagerException, match="content"), manager.get_session() as session:
        session.query(Message).one().content = "Bye!"
    with pytest.raises(StateManagerException, match="delete_old_messages"), manager.get_session() as session:
        session.query(Message).delete()

    assert contents(thread.messages) == ["Hello!"]


def test_session_local_gives_a_session_to_close(manager: StateManager, bot: Assistant) -> None:
    with manager.SessionLocal() as session:
        assert [found.id for found in session.query(Assistant).all()] == [bot.id]
