"""The caller's own SQL through ChatDF's connection: what it may do to our tables, and what is refused."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest
from chatdf_tools import Chat, rename, talk_of, titles, user_id
from chatdf_tools import chat as chat
from chatdf_tools import one_talk as one_talk

from peewee_conv.compat import chatdf as aiosqlite
from peewee_conv.compat.chatdf import Connection
from peewee_conv.errors import DatabaseFailure, InvalidArgument


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
        (
            "INSERT INTO conversations (id, metadata, created_at, updated_at, last_sequence)"
            " VALUES ('c-2', '{}', '2026-03-01', '2026-03-01', 7)"
        ),
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


def test_what_callers_catch_as_errors_of_aiosqlite_is_there(chat: Chat) -> None:
    async def body(db: Connection) -> None:
        add = "INSERT INTO users (id, google_id, email, name, created_at, last_login_at) VALUES (?, 'g', '', '', ?, ?)"
        await db.execute(add, ("u-1", "2026-03-01", "2026-03-01"))
        with pytest.raises(aiosqlite.IntegrityError, match="UNIQUE"):
            await db.execute(add, ("u-2", "2026-03-01", "2026-03-01"))
        with pytest.raises(aiosqlite.IntegrityError, match="UNIQUE"):
            await db.executemany(add, [("u-2", "2026-03-01", "2026-03-01")])
        with pytest.raises(aiosqlite.OperationalError, match="no such table") as missing:
            await db.execute("SELECT * FROM nowhere")
        assert not isinstance(missing.value, aiosqlite.IntegrityError)
        assert aiosqlite.Error is aiosqlite.DatabaseError

    chat(body)


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
