"""ChatDF's connection: where its database is, its rows and cursors, and its end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chatdf_tools import Chat, rename, titles, user_id
from chatdf_tools import chat as chat
from chatdf_tools import one_talk as one_talk

from peewee_conv.aio import AsyncProject
from peewee_conv.compat import chatdf
from peewee_conv.compat.chatdf import Connection
from peewee_conv.errors import ForeignDatabase, InvalidArgument, ProjectDisposed

# --- where the data is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+aiosqlite:///{}"])
def test_path_and_url_of_a_file_stand_for_the_project_beside_it(tmp_path: Path, form: str) -> None:
    async def main() -> Path:
        async with chatdf.connect(form.format(tmp_path / "data" / "chatdf.db")) as db:
            await chatdf.init_db(db)
            return db.project.path

    assert asyncio.run(main()) == tmp_path / "data" / "chatdf.db.project"
    assert (tmp_path / "data" / "chatdf.db.project" / ".peewee_conv" / "assistant.db").is_file()
    assert not (tmp_path / "data" / "chatdf.db").exists()


def test_a_foreign_file_at_the_path_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chatdf.db"
    path.write_bytes(b"something of somebody's")

    async def main() -> None:
        await chatdf.connect(path)

    with pytest.raises(ForeignDatabase, match="peewee-conv adopt"):
        asyncio.run(main())
    assert path.read_bytes() == b"something of somebody's"
    assert [entry.name for entry in tmp_path.iterdir()] == ["chatdf.db"]


def test_each_database_in_memory_is_its_own_and_goes_with_its_connection() -> None:
    async def main() -> list[Path]:
        async with chatdf.connect(":memory:") as one, chatdf.connect("sqlite:///:memory:") as other:
            await chatdf.init_db(one)
            await chatdf.init_db(other)
            await user_id(one)
            assert (await other.fetchone("SELECT count(*) FROM users"))[0] == 0
            return [one.project.path, other.project.path]

    assert [path.exists() for path in asyncio.run(main())] == [False, False]


@pytest.mark.parametrize("database", ["", 5, None, "talks?.db", b"chatdf.db"])
def test_what_is_no_path_is_refused(database: Any) -> None:
    async def main() -> None:
        await chatdf.connect(database)

    with pytest.raises(InvalidArgument):
        asyncio.run(main())


@pytest.mark.parametrize(
    "settings", [chatdf.Settings(token_limit=0), chatdf.Settings(session_duration_days=0), chatdf.Settings(0, 0, -1)]
)
def test_settings_that_make_no_sense_are_refused_when_connecting(tmp_path: Path, settings: chatdf.Settings) -> None:
    async def main() -> None:
        await chatdf.connect(tmp_path / "chatdf.db", settings=settings)

    with pytest.raises(InvalidArgument):
        asyncio.run(main())


def test_init_db_may_be_repeated_and_keeps_the_data(chat: Chat) -> None:
    chat(user_id)

    async def body(db: Connection) -> int:
        await chatdf.init_db(db)
        await chatdf.init_db_schema(db)
        return int((await db.fetchone("SELECT count(*) AS n FROM users"))["n"])

    assert chat(body) == 1


def test_init_db_takes_no_connection_of_another_library() -> None:
    with pytest.raises(InvalidArgument, match="a connection of peewee_conv"):
        asyncio.run(chatdf.init_db(object()))  # type: ignore[arg-type]


# --- rows and cursors ---------------------------------------------------------------------------------------------


def test_rows_are_mappings_and_tuples_at_once(chat: Chat) -> None:
    async def body(db: Connection) -> Any:
        return await db.fetchone("SELECT 1 AS one, 'x' AS name", None)

    row = chat(body)
    assert isinstance(row, chatdf.Row)
    assert (row["one"], row[1], dict(row), tuple(row)) == (1, "x", {"one": 1, "name": "x"}, (1, "x"))


@pytest.mark.parametrize(("factory", "row"), [(None, (1,)), (lambda cursor, row: list(row), [1])])
def test_the_row_factory_may_be_changed(chat: Chat, factory: Any, row: Any) -> None:
    async def body(db: Connection) -> Any:
        db.row_factory = factory
        return await db.fetchone("SELECT 1")

    assert chat(body) == row


def test_a_cursor_is_awaited_or_entered_and_read_in_every_way(chat: Chat) -> None:
    sql = "SELECT value FROM json_each('[1, 2, 3, 4, 5]')"

    async def body(db: Connection) -> list[Any]:
        cursor = await db.execute(sql)
        found = [await cursor.fetchone(), *await cursor.fetchmany(2)]
        found += [row async for row in cursor]
        assert await cursor.fetchone() is None
        async with db.execute(sql) as entered, await db.execute(sql) as again:
            found += await entered.fetchall()
            found += await again.fetchall()
        assert await entered.fetchall() == []
        assert [column[0] for column in cursor.description] == ["value"]
        return [row[0] for row in found]

    assert chat(body) == [1, 2, 3, 4, 5] * 3


def test_a_cursor_tells_how_many_rows_were_changed(chat: Chat) -> None:
    async def body(db: Connection) -> list[int]:
        user = await user_id(db)
        insert = "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?)"
        rows = [(name, user, name * 64, "2026-03-01T12:00:00", "2026-03-02T12:00:00") for name in "ab"]
        inserted = await db.executemany(insert, rows)
        updated = await db.execute("UPDATE sessions SET expires_at = :then", {"then": "2026-03-03T12:00:00"})
        await db.commit()
        return [inserted.rowcount, updated.rowcount]

    assert chat(body) == [2, 3]


def test_a_statement_may_become_a_task(chat: Chat) -> None:
    async def body(db: Connection) -> int:
        cursor = await asyncio.create_task(db.execute("SELECT 7"))
        return int((await cursor.fetchone())[0])

    assert chat(body) == 7


# --- its end -----------------------------------------------------------------------------------------------------


def test_closing_takes_back_what_is_not_committed_and_ends_the_connection(one_talk: Chat) -> None:
    async def body(db: Connection) -> None:
        await rename(db, "taken back")
        await db.close()
        await db.close()
        with pytest.raises(ProjectDisposed):
            await titles(db)

    one_talk(body)
    assert one_talk(titles) == [""]


def test_the_files_stay_open_until_the_last_connection_of_a_project_is_closed(one_talk: Chat) -> None:
    async def body(db: Connection) -> list[str]:
        async with chatdf.connect(one_talk.path) as other:
            assert other.project == db.project
        with pytest.raises(ProjectDisposed, match="this one was closed"):
            await titles(other)
        return await titles(db)

    assert one_talk(body) == [""]


def test_closing_the_last_connection_ends_the_transactions_of_tasks_that_still_run(one_talk: Chat) -> None:
    async def body(db: Connection) -> None:
        wrote, closed = asyncio.Event(), asyncio.Event()

        async def writer() -> None:
            await rename(db, "never committed")
            wrote.set()
            await closed.wait()
            await db.rollback()
            with pytest.raises(ProjectDisposed):  # it cannot be kept any more, and nobody may think so
                await db.commit()

        running = asyncio.create_task(writer())
        await wrote.wait()
        await asyncio.wait_for(db.close(), 2)
        closed.set()
        await running

    one_talk(body)
    assert one_talk(titles) == [""]


def test_the_project_is_there_with_all_that_it_has(one_talk: Chat) -> None:
    async def body(db: Connection) -> AsyncProject:
        assert len(await db.project.conversations.list()) == 1
        return db.project

    assert repr(one_talk(body)) == f"AsyncProject({str(one_talk.path) + '.project'!r})"


def test_a_close_that_is_cancelled_closes_the_files_all_the_same(one_talk: Chat) -> None:
    async def body(db: Connection) -> bool:
        await rename(db, "taken back")
        with pytest.raises(asyncio.CancelledError):
            await closed_by_a_cancelled_task(db)
        return db.project.sync.dispose()

    async def closed_by_a_cancelled_task(db: Connection) -> None:
        task = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        task.cancel()
        await task

    assert one_talk(body) is False
