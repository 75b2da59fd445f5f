"""ChatDF's pool of connections: who reads, who writes, and who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
from chatdf_tools import Chat, rename, titles
from chatdf_tools import chat as chat
from chatdf_tools import one_talk as one_talk

from peewee_conv.compat.chatdf import Connection, DatabasePool
from peewee_conv.errors import InvalidArgument, ProjectDisposed


def pooled(chat: Chat, body: Callable[[DatabasePool], Awaitable[None]], size: int = 5) -> None:
    async def main() -> None:
        pool = DatabasePool(str(chat.path), pool_size=size)
        await pool.initialize()
        try:
            await body(pool)
        finally:
            await pool.close()

    asyncio.run(main())


def test_a_pool_reads_with_one_connection_and_writes_with_another(one_talk: Chat) -> None:
    async def body(pool: DatabasePool) -> None:
        reader = await pool.acquire_read()
        await rename(pool.get_write_connection(), "new")
        assert await asyncio.create_task(titles(reader)) == [""]
        await pool.get_write_connection().commit()
        assert await titles(reader) == ["new"]
        await pool.release_read(reader)

    pooled(one_talk, body)


def test_a_pool_lends_no_more_readers_than_it_has(one_talk: Chat) -> None:
    async def body(pool: DatabasePool) -> None:
        lent = [await pool.acquire_read(), await pool.acquire_read()]
        waiting = asyncio.create_task(pool.acquire_read())
        await asyncio.sleep(0)
        assert not waiting.done()
        await pool.release_read(lent[0])
        assert await waiting is lent[0]

    pooled(one_talk, body, size=2)


def test_a_pool_closes_the_connections_that_are_lent_too(one_talk: Chat) -> None:
    lent: list[Connection] = []

    async def body(pool: DatabasePool) -> None:
        await pool.initialize()  # once more does nothing
        lent.append(await pool.acquire_read())

    pooled(one_talk, body)

    with pytest.raises(ProjectDisposed):
        asyncio.run(titles(lent[0]))


def test_a_pool_that_is_closed_lets_nobody_wait_for_a_reader(one_talk: Chat) -> None:
    async def body(pool: DatabasePool) -> None:
        await pool.acquire_read()
        waiting = [asyncio.create_task(pool.acquire_read()) for _ in range(3)]
        await asyncio.sleep(0)
        await pool.close()
        done, _ = await asyncio.wait(waiting, timeout=2)
        assert [str(task.exception()) for task in done] == ["Pool not initialized"] * 3

    pooled(one_talk, body, size=1)


def test_a_reader_is_back_in_the_pool_when_giving_it_back_was_cancelled(one_talk: Chat) -> None:
    async def use(pool: DatabasePool) -> None:
        reader = await pool.acquire_read()
        await rename(reader, "taken back")
        asyncio.get_running_loop().call_soon(cast("asyncio.Task[None]", asyncio.current_task()).cancel)
        await pool.release_read(reader)

    async def body(pool: DatabasePool) -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(use(pool))
        await asyncio.wait_for(pool.acquire_read(), 2)

    pooled(one_talk, body, size=1)


def test_a_pool_that_is_not_initialized_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        pool = DatabasePool(str(tmp_path / "chatdf.db"))
        with pytest.raises(RuntimeError, match="Pool not initialized"):
            pool.get_write_connection()
        with pytest.raises(RuntimeError, match="Pool not initialized"):
            await pool.acquire_read()
        await pool.close()

    asyncio.run(main())


def test_a_pool_of_no_connections_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        DatabasePool(str(tmp_path / "chatdf.db"), pool_size=0)
