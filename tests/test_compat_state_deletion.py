"""Deleting from the Sovereign Assistant's StateManager, by its methods and by SQL: what goes with what."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from state_tools import bot as bot
from state_tools import manager as manager
from state_tools import say
from state_tools import thread as thread

from peewee_conv.compat.state_manager import (
    Assistant,
    Message,
    StateManager,
    StateManagerException,
    Thread,
    ThreadNotFound,
)


def test_deletion_of_an_assistant_takes_threads_and_messages(
    manager: StateManager, bot: Assistant, thread: Thread
) -> None:
    say(manager, thread, "a", "b")

    assert manager.delete_assistant(bot.id) is True

    with manager.get_session() as session:
        assert (session.query(Thread).count(), session.query(Message).count()) == (0, 0)


def test_deleting_an_assistant_takes_as_many_statements_for_many_threads_as_for_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="peewee_conv")  # before the connection is made, which then logs its statements
    manager = StateManager("sqlite:///:memory:")
    counts = []
    for threads in (1, 100):
        bot = manager.create_assistant("Aurora", "You analyse markets.")
        for _ in range(threads):
            manager.create_thread(bot.id)
        caplog.clear()
        manager.delete_assistant(bot.id)
        counts.append(len(caplog.messages))

    manager.engine.dispose()

    assert counts[0] == counts[1] > 0


def test_deletion_by_sql_takes_them_too(manager: StateManager, thread: Thread) -> None:
    say(manager, thread, "a", "b")

    with manager.get_session() as session:
        session.execute("DELETE FROM assistants")
    with manager.get_session() as session:
        assert (session.query(Thread).count(), session.query(Message).count()) == (0, 0)


@pytest.mark.parametrize("table", ["assistants", "conversations", "main . [conversations]"])
def test_deletion_by_sql_keeps_search_in_step(manager: StateManager, thread: Thread, table: str) -> None:
    say(manager, thread, "gold")
    project = manager.engine.project
    assert len(project.conversations.search("gold")) == 1

    with manager.get_session() as session:
        assert session.execute(f"-- all\nDELETE FROM {table} WHERE id <> :id", {"id": "nobody"}).rowcount == 1

    assert project.check() == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE messages SET content = 'copper'",
        "UPDATE /* ' */ messages SET content = 'copper'",
        "DELETE FROM messages",
        "DELETE FROM 'messages'",
        'UPDATE "main"."messages" SET content = 0',
        "DROP TABLE messages",
        "INSERT INTO messages (id) VALUES (1)",
        "WITH old (id) AS (VALUES ('x')) DELETE FROM conversations WHERE id IN old",
        "DELETE/**/FROM conversations",
        "REPLACE INTO assistants (id) VALUES ('x')",
    ],
)
def test_sql_that_would_leave_search_behind_is_refused(manager: StateManager, thread: Thread, sql: str) -> None:
    say(manager, thread, "gold")
    expected = pytest.raises(StateManagerException, match="which keep counts and search in step")
    with expected, manager.get_session() as session:
        session.execute(sql)

    assert manager.engine.project.check() == []


def test_a_deletion_by_sql_is_rolled_back_with_its_session(manager: StateManager, thread: Thread) -> None:
    with manager.SessionLocal() as session:
        session.execute("DELETE FROM conversations")
        session.rollback()

    assert manager.get_thread(thread.id).id == thread.id


def test_a_thread_without_an_assistant_cannot_be_stored_by_sql(manager: StateManager, bot: Assistant) -> None:
    with pytest.raises(StateManagerException), manager.get_session() as session:
        session.execute(
            "INSERT INTO conversations (id, assistant_id, created_at, updated_at) VALUES ('t', 'nobody', :now, :now)",
            {"now": "2026-01-01T00:00:00.000000Z"},
        )

    assert manager.list_threads() == []


def test_no_message_is_left_by_a_race_with_a_deletion(manager: StateManager, bot: Assistant) -> None:
    for _ in range(10):
        thread = manager.create_thread(bot.id)
        barrier = threading.Barrier(2)

        def add(id: str = thread.id, barrier: threading.Barrier = barrier) -> Any:
            barrier.wait()
            try:
                return manager.add_message(id, "user", "x")
            except ThreadNotFound:
                return None

        def delete(id: str = thread.id, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return manager.delete_thread(id)

        with ThreadPoolExecutor(2) as pool:
            added = pool.submit(add)
            assert pool.submit(delete).result() is True
            added.result()
    with manager.get_session() as session:
        assert session.query(Message).count() == 0
