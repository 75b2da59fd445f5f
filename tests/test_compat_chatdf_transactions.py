"""Transactions of ChatDF's connection: each task has its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from chatdf_tools import Chat, rename, titles
from chatdf_tools import chat as chat
from chatdf_tools import one_talk as one_talk

from peewee_conv.compat import chatdf
from peewee_conv.compat.chatdf import Connection
from peewee_conv.errors import DatabaseBusy, InvalidArgument


def test_the_commit_of_one_task_does_not_persist_the_half_done_change_of_another(one_talk: Chat) -> None:
    begun, committed = asyncio.Event(), asyncio.Event()

    async def half_done(db: Connection) -> None:
        await rename(db, "half done")
        begun.set()
        await committed.wait()
        await db.rollback()

    async def other(db: Connection) -> None:
        await begun.wait()
        assert await titles(db) == [""]
        await db.commit()
        committed.set()

    async def body(db: Connection) -> list[str]:
        await asyncio.gather(half_done(db), other(db))
        return await titles(db)

    assert one_talk(body) == [""]


def test_many_tasks_write_through_one_connection_without_losing_an_update(one_talk: Chat) -> None:
    async def append(db: Connection) -> None:
        await db.execute("UPDATE conversations SET title = title || 'x' WHERE id = ?", ("c-1",))
        length = (await db.fetchone("SELECT length(title) FROM conversations"))[0]
        await asyncio.sleep(0)
        assert (await db.fetchone("SELECT length(title) FROM conversations"))[0] == length
        await db.commit()

    async def body(db: Connection) -> list[str]:
        await asyncio.gather(*(append(db) for _ in range(20)))
        return await titles(db)

    assert one_talk(body) == ["x" * 20]


@pytest.mark.parametrize("end", ["cancelled", "failed", "forgotten"])
def test_a_task_that_ends_without_a_commit_leaves_nothing(one_talk: Chat, end: str) -> None:
    async def task(db: Connection, wrote: asyncio.Event) -> None:
        await rename(db, end)
        wrote.set()
        if end == "failed":
            raise ValueError
        await (asyncio.Event().wait() if end == "cancelled" else asyncio.sleep(0))

    async def body(db: Connection) -> list[str]:
        wrote = asyncio.Event()
        running = asyncio.create_task(task(db, wrote))
        await wrote.wait()
        if end == "cancelled":
            running.cancel()
        await asyncio.wait([running])
        if end == "failed":
            assert isinstance(running.exception(), ValueError)
        await db.execute("UPDATE conversations SET project_name = 'next'")  # the lock is free
        await db.commit()
        return await titles(db)

    assert one_talk(body) == [""]


def test_statements_under_a_timeout_or_side_by_side_belong_to_the_task_that_called(one_talk: Chat) -> None:
    async def body(db: Connection) -> list[str]:
        await asyncio.wait_for(rename_now(db, "one"), 5)
        await asyncio.gather(rename_now(db, "two"), db.execute("UPDATE conversations SET project_name = 'x'"))
        await db.commit()
        return await titles(db)

    def rename_now(db: Connection, title: str) -> Awaitable[Any]:
        return db.execute("UPDATE conversations SET title = ?", (title,))

    assert one_talk(body) == ["two"]


@pytest.mark.parametrize(("end", "left"), [("COMMIT", "new"), ("END -- well", "new"), ("rollback transaction;", "")])
def test_transactions_may_be_spelled_out(one_talk: Chat, end: str, left: str) -> None:
    async def body(db: Connection) -> list[str]:
        await db.execute("BEGIN IMMEDIATE")
        await rename(db, "new")
        await db.execute("SAVEPOINT inner_one")
        await rename(db, "taken back")
        await db.execute("ROLLBACK /* the title */ TO inner_one")
        await db.execute(end)
        return await asyncio.create_task(titles(db))

    assert one_talk(body) == [left]


def test_a_service_function_commits_what_its_task_has_pending_as_chatdf_did(one_talk: Chat) -> None:
    async def body(db: Connection) -> list[str]:
        await rename(db, "pending")
        await chatdf.delete_session(db, "unknown")
        return await asyncio.create_task(titles(db))

    assert one_talk(body) == ["pending"]


def test_a_transaction_of_the_project_and_the_connections_statements_are_one(one_talk: Chat) -> None:
    async def body(db: Connection) -> list[str]:
        async with db.project.atomic():
            await rename(db, "taken back")
            await db.commit()
            raise InvalidArgument("title", "x", "another one")

    with pytest.raises(InvalidArgument):
        one_talk(body)
    assert one_talk(titles) == [""]


def test_waiting_for_another_tasks_transaction_ends_in_one_error(one_talk: Chat) -> None:
    async def body(db: Connection) -> list[str]:
        await rename(db, "first")
        with pytest.raises(DatabaseBusy):
            await asyncio.create_task(rename(db, "second"))
        await db.commit()
        return await titles(db)

    assert one_talk(body, busy_timeout_ms=50) == ["first"]
