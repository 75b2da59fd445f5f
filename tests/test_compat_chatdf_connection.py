"""ChatDF's connection: the caller's own SQL, and transactions that tasks do not share."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from chatdf_tools import Chat, talk_of, user_id

from peewee_conv.aio import AsyncProject
from peewee_conv.compat import chatdf
from peewee_conv.compat.chatdf import Connection, DatabasePool
from peewee_conv.errors import (
    DatabaseBusy,
    DatabaseFailure,
    ForeignDatabase,
    InvalidArgument,
    ProjectDisposed,
)


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    return Chat(tmp_path / "chatdf.db")


async def titles(db: Connection) -> list[str]:
    return [row["title"] for row in await db.fetchall("SELECT title FROM conversations ORDER BY title")]


async def rename(db: Connection, title: str) -> None:
    await db.execute("UPDATE conversations SET title = ? WHERE id = 'c-1'", (title,))


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


# --- statements on our tables -------------------------------------------------------------------------------------


def test_times_are_naive_for_the_caller_and_of_one_width_in_the_file(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[Any, ...]:
        talk = await talk_of(db, await user_id(db))
        row = await db.fetchone("SELECT * FROM conversations WHERE updated_at <= ?", ("2026-03-01T12:00:00",))
        none = await db.fetchone("SELECT 1 FROM conversations WHERE updated_at < ?", ("2026-03-01T12:00:00",))
        raw = (await db.fetchone("SELECT updated_at AS raw FROM conversations"))["raw"]
        record = await db.project.conversations.get(talk)
        return row["title"], row["updated_at"], none, raw, record.updated_at.isoformat()

    assert chat(body) == (
        "",
        "2026-03-01T12:00:00",
        None,
        "2026-03-01T12:00:00.000000Z",
        "2026-03-01T12:00:00+00:00",
    )


def test_a_time_that_is_none_is_refused_before_anything_is_written(chat: Chat) -> None:
    async def body(db: Connection) -> None:
        await db.execute("UPDATE users SET created_at = ?", ("yesterday",))

    with pytest.raises(InvalidArgument, match="ISO 8601"):
        chat(body)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE conversations SET updated_at = '2026-03-02 10:00:00.5'",
        "UPDATE conversations SET updated_at = '2026-03-02T11:00:00.5+01:00' WHERE updated_at < ?",
        (
            "INSERT INTO main.conversations SELECT NULL, hex(randomblob(4)), NULL, NULL, NULL, 'x', 0, 0, 0, 0, ?,"
            " '2026-03-02T10:00:00.5', '{}'"
        ),
    ],
)
def test_a_time_that_a_statement_makes_itself_is_put_into_our_form(one_talk: Chat, sql: str) -> None:
    async def body(db: Connection) -> tuple[str, list[Any]]:
        for _ in range(2):  # also one that SQLite has compiled before
            await db.execute(sql, ("2026-03-01T13:00:00",) if "?" in sql else ())
            await db.commit()
        talk = (await db.project.conversations.list())[0]
        return talk.updated_at.isoformat(), await db.project.check()

    assert one_talk(body) == ("2026-03-02T10:00:00.500000+00:00", [])


def test_a_time_that_a_statement_makes_itself_and_that_is_none_is_taken_back(one_talk: Chat) -> None:
    async def body(db: Connection) -> list[str]:
        await rename(db, "kept")
        with pytest.raises(InvalidArgument, match="ISO 8601"):
            await db.execute("UPDATE conversations SET title = 'taken back', updated_at = 'yesterday'")
        await db.commit()
        return await titles(db)

    assert one_talk(body) == ["kept"]


def test_the_list_of_chatdfs_own_route_works_on_our_tables(chat: Chat) -> None:
    async def body(db: Connection) -> list[dict[str, Any]]:
        user = await user_id(db)
        await talk_of(db, user)
        await db.project.datasets.add("c-1", "https://example.com/1.parquet")
        cursor = await db.execute(
            "SELECT c.id, c.title, c.created_at, c.updated_at,"
            " (SELECT COUNT(*) FROM datasets d WHERE d.conversation_id = c.id) AS dataset_count"
            " FROM conversations c WHERE c.user_id = ? ORDER BY c.updated_at DESC",
            (user,),
        )
        return [dict(row) for row in await cursor.fetchall()]

    moment = "2026-03-01T12:00:00"
    assert chat(body) == [{"id": "c-1", "title": "", "created_at": moment, "updated_at": moment, "dataset_count": 1}]


@pytest.mark.parametrize("sql", ["DELETE FROM conversations WHERE id = ?", "/* go */ delete from `conversations`"])
def test_deleting_conversations_keeps_the_search_index_in_step(chat: Chat, sql: str) -> None:
    async def body(db: Connection) -> tuple[int, int, list[Any]]:
        talk = await talk_of(db, await user_id(db))
        await db.project.conversations.add_message(talk, "user", "What is the outlook?")
        found = len(await db.project.conversations.search("outlook"))
        cursor = await db.execute(sql, (talk,) if "?" in sql else ())
        await db.commit()
        return found, cursor.rowcount, await db.project.check()

    assert chat(body) == (1, 1, [])


def test_deleting_users_takes_along_what_they_have(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[int, list[str], list[Any]]:
        for name in ("ada", "ben"):
            await talk_of(db, await user_id(db, name), f"c-{name}")
        deleted = await db.executemany("DELETE FROM users WHERE name = ?", [("Ada",), ("Nobody",)])
        await db.commit()
        left = [row["id"] for row in await db.fetchall("SELECT id FROM conversations")]
        return deleted.rowcount, left, await db.project.check()

    assert chat(body) == (1, ["c-ben"], [])


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO messages (id) VALUES (1)",
        "INSERT OR REPLACE INTO messages (id) VALUES (1)",
        "update messages set content = ''",
        "DELETE FROM messages",
        'DELETE FROM main . "messages"',
        "DELETE FROM 'messages'",
        'UPDATE "main"."messages" SET content = 0',
        "WITH old (id) AS (SELECT 1) DELETE FROM 'messages'",
        "DELETE FROM 'conversations'",
        "DELETE FROM conversations RETURNING id",
        "UPDATE conversations SET message_count = 7",
        "DELETE FROM message_search",
        "DROP TABLE token_usage",
        "ALTER TABLE conversations ADD COLUMN is_pinned INTEGER",
        "CREATE TRIGGER away AFTER INSERT ON users BEGIN DELETE FROM messages; END",
        "REPLACE INTO users (id) VALUES (1)",
        "INSERT OR REPLACE INTO [conversations] (id) VALUES (1)",
        "WITH old (id) AS (SELECT 'c-1') DELETE FROM conversations WHERE id IN old",
        "ATTACH DATABASE 'other.db' AS other",
        "VACUUM",
        "SELECT 1; SELECT 2",
        "COMMIT; UPDATE users SET name = ''",
        5,
    ],
)
def test_what_would_get_round_the_services_is_refused(chat: Chat, sql: Any) -> None:
    async def body(db: Connection) -> None:
        await db.execute(sql)

    with pytest.raises(InvalidArgument):
        chat(body)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE conversations SET title = 'insert into messages'",
        "UPDATE conversations SET title = 'x' WHERE number IN (SELECT conversation FROM messages)",
        "INSERT INTO datasets (id, conversation_id, url, name, created_at) SELECT id, 'c-1', '', '', '' FROM messages",
    ],
)
def test_messages_may_be_read_by_statements_that_write_elsewhere(one_talk: Chat, sql: str) -> None:
    async def body(db: Connection) -> list[Any]:
        await db.execute(sql)
        await db.commit()
        return await db.project.check()

    assert one_talk(body) == []


def test_settings_of_the_file_are_answered_and_not_changed(chat: Chat) -> None:
    async def body(db: Connection) -> list[Any]:
        answers = []
        for sql in ("PRAGMA journal_mode = DELETE", "PRAGMA foreign_keys=OFF", "PRAGMA foreign_keys(0)"):
            answers.append((await db.fetchone(sql))[0])
        columns = await db.fetchall("PRAGMA table_info(users)")
        return [*answers, columns[0]["name"]]

    assert chat(body, journal_mode="wal") == ["wal", 1, 1, "id"]


@pytest.mark.parametrize("sql", ["PRAGMA foreign_keys /* off */ = 0", "; PRAGMA main . foreign_keys = 0"])
def test_a_setting_behind_a_comment_is_not_changed(chat: Chat, sql: str) -> None:
    async def body(db: Connection) -> Any:
        await db.execute(sql)
        return (await db.fetchone("PRAGMA foreign_keys"))[0]

    assert chat(body) == 1


def test_a_setting_whose_name_cannot_be_told_is_refused(chat: Chat) -> None:
    async def body(db: Connection) -> None:
        await db.execute("PRAGMA/**/foreign_keys=0")

    with pytest.raises(InvalidArgument, match="PRAGMA and a name"):
        chat(body)


def test_a_statement_that_sqlite_refuses_is_one_error_of_ours(chat: Chat) -> None:
    async def body(db: Connection) -> None:
        await db.execute("INSERT INTO conversations (id, user_id) VALUES ('c-1', 'nobody')")

    with pytest.raises(DatabaseFailure) as refused:
        chat(body)
    assert isinstance(refused.value.__cause__, sqlite3.IntegrityError)


@pytest.mark.parametrize("parameters", [5, {1, 2}])
def test_parameters_that_are_none_are_refused(chat: Chat, parameters: Any) -> None:
    with pytest.raises(InvalidArgument, match="parameters"):
        chat(lambda db: db.execute("SELECT ?", parameters))


@pytest.mark.parametrize("parameters", [None, 5, [5]])
def test_sets_of_parameters_that_are_none_are_refused(chat: Chat, parameters: Any) -> None:
    with pytest.raises(InvalidArgument, match="parameters"):
        chat(lambda db: db.executemany("UPDATE users SET name = ?", parameters))


def test_a_table_of_the_callers_own_keeps_its_values_as_they_are(chat: Chat) -> None:
    values = (1_700_000_000, "yesterday")

    async def body(db: Connection) -> Any:
        await db.execute("CREATE TABLE notes (timestamp INTEGER, created_at TEXT)")
        await db.execute("INSERT INTO notes (timestamp, created_at) VALUES (?, ?)", values)
        return await db.fetchone("SELECT * FROM notes WHERE timestamp = ?", values[:1])

    assert tuple(chat(body)) == values


def test_a_table_of_the_callers_own_is_committed_at_once_outside_of_a_transaction(chat: Chat) -> None:
    async def create(db: Connection) -> None:
        await db.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT)")
        await db.execute("WITH new (text) AS (VALUES ('one')) INSERT INTO notes SELECT text FROM new")
        with pytest.raises(DatabaseFailure):
            await db.execute("CREATE TABLE notes (text TEXT)")
        await asyncio.create_task(add(db))  # finds the lock free
        assert await count(db) == 2

    async def add(db: Connection) -> None:
        await db.execute("INSERT INTO notes (text) VALUES ('two')")
        await db.commit()

    async def count(db: Connection) -> int:
        return len(await db.fetchall("SELECT text FROM notes"))

    chat(create, busy_timeout_ms=100)
    assert chat(count) == 2


# --- transactions -------------------------------------------------------------------------------------------------


@pytest.fixture
def one_talk(chat: Chat) -> Chat:
    async def body(db: Connection) -> None:
        await talk_of(db, await user_id(db))

    chat(body)
    return chat


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


# --- the pool -----------------------------------------------------------------------------------------------------


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
