"""Values of a source that do not fit are rejected or replaced, and never dropped."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import source_databases
from adopt_tools import chatdf as chatdf
from adopt_tools import rejected, rejected_ids

from peewee_conv import Project
from peewee_conv.adopt import adopt


def test_values_that_do_not_fit_are_rejected_or_replaced_and_never_dropped(tmp_path: Path, project: Project) -> None:
    source = tmp_path / "b.db"
    source_databases.sovereign(source, talks=1, messages=1)
    with closing(sqlite3.connect(source)) as connection, connection:
        bot, thread = (
            connection.execute(f"SELECT id FROM {t} ORDER BY rowid").fetchone()[0] for t in ("assistants", "threads")
        )
        at = "2026-01-02 03:04:05"
        add = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)"
        connection.executemany(
            add,
            [
                ("m-1", thread, "ROBOT", "x", at, 0),
                ("m-2", thread, "USER", b"\xff", at, 0),
                ("m-3", thread, "USER", "x", "noon", 0),
                ("m-4", thread, "USER", "counted wrongly", at, -3),
                ("m\x00-5", thread, "USER", "x", at, 0),
            ],
        )
        connection.execute("INSERT INTO messages VALUES ('m-6', ?, 'USER', CAST(x'ff62' AS TEXT), ?, 0)", (thread, at))
        connection.execute("INSERT INTO assistants VALUES ('a-1', 'n', ' ', 'm', ?, ?)", (at, at))
        connection.execute("INSERT INTO assistants VALUES ('a-2', ?, 'i', 'm', ?, ?)", ("n" * 300, at, at))
        connection.execute("INSERT INTO threads VALUES ('t-1', ?, ?, ?, 'no json')", (bot, at, at))

    report = adopt(source, project)

    assert {"m-1", "m-2", "m-3", "m\x00-5", "m-6"} <= rejected_ids(report, "messages")
    assert rejected_ids(report, "assistants") == {"a-1"}
    assert report.noted == 3
    assert "counted wrongly" in [message.content for message in project.conversations.iterate(thread)]
    assert project.assistants.get("a-2").name == "n" * 255
    assert project.conversations.get("t-1").metadata == {}
    assert project.check() == []


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_messages_are_in_the_order_of_their_times_in_every_encoding(
    tmp_path: Path, project: Project, encoding: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection, connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.executescript(source_databases.HAIA)
        at = "2026-01-02 03:04:0{}.000000"
        connection.execute("INSERT INTO conversations VALUES (1, ?, ?)", (at.format(0), at.format(0)))
        rows = [(id, 1, "user", f"{id} Gr\u00fc\u00dfe", at.format(9 - id)) for id in (1, 2, 3)]
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", rows)

    adopt(tmp_path / "c.db", project)

    stored = [message.content for message in project.conversations.iterate("1")]
    assert stored == ["3 Gr\u00fc\u00dfe", "2 Gr\u00fc\u00dfe", "1 Gr\u00fc\u00dfe"]


def test_what_belongs_to_an_id_that_is_no_text_is_rejected_with_it(tmp_path: Path, project: Project) -> None:
    at = "2026-01-02 03:04:05"
    with source_databases.writing(tmp_path / "b.db", source_databases.SOVEREIGN, "delete") as connection:
        connection.execute("INSERT INTO assistants VALUES ('a', 'n', 'i', 'm', ?, ?)", (at, at))
        connection.execute("INSERT INTO threads VALUES (CAST(x'ff' AS TEXT), 'a', ?, ?, '{}')", (at, at))
        connection.execute("INSERT INTO messages VALUES ('m', CAST(x'ff' AS TEXT), 'USER', 'x', ?, 0)", (at,))

    report = adopt(tmp_path / "b.db", project)

    assert (report.tables["threads"].rejected, report.tables["messages"].rejected) == (1, 1)


@pytest.mark.parametrize("batch", [1, 500])
def test_an_id_that_comes_twice_is_copied_once(tmp_path: Path, project: Project, batch: int) -> None:
    at = "2026-01-02 03:04:05"
    with source_databases.writing(tmp_path / "c.db", source_databases.HAIA, "delete") as connection:
        connection.execute("DROP TABLE messages")
        connection.execute("CREATE TABLE messages (id, conversation_id, role, content, created_at)")
        connection.execute("INSERT INTO conversations VALUES (1, ?, ?)", (at, at))
        for content in ("one", "two", "one"):
            connection.execute("INSERT INTO messages VALUES (7, 1, 'user', ?, ?)", (content, at))

    report = adopt(tmp_path / "c.db", project, batch=batch)

    assert report.tables["messages"] == (3, 1, 1, 1)
    assert rejected_ids(report, "messages") == {7}
    assert [message.content for message in project.conversations.iterate("1")] == ["one"]


def test_tables_of_any_name_are_left_and_counted(tmp_path: Path, project: Project) -> None:
    source_databases.sovereign(tmp_path / "b.db", talks=1, messages=1)
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection, connection:
        connection.execute('CREATE TABLE "an ""odd"" name" (a)')

    assert adopt(tmp_path / "b.db", project).left == {'an "odd" name': 0}


@pytest.mark.parametrize(
    ("column", "value"), [("input_tokens", 2**62), ("output_tokens", -1), ("output_tokens", 0.5), ("cost", 1e999)]
)
def test_usage_that_cannot_be_summed_up_is_rejected(chatdf: Path, project: Project, column: str, value: float) -> None:
    with closing(sqlite3.connect(chatdf)) as connection, connection:
        id = connection.execute("SELECT id FROM token_usage WHERE user_id IN (SELECT id FROM users)").fetchone()[0]
        connection.execute(f"UPDATE token_usage SET {column} = ? WHERE id = ?", (value, id))

    report = adopt(chatdf, project)

    assert id in rejected_ids(report, "token_usage")
    assert project.usage.total().input_tokens < 10**12


def test_metadata_that_sqlite_has_made_a_number_of_stays(
    tmp_path: Path, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    at = "2026-01-02 03:04:05"
    with source_databases.writing(tmp_path / "b.db", source_databases.SOVEREIGN, "delete") as connection:
        connection.execute("INSERT INTO assistants VALUES ('a', 'n', 'i', 'm', ?, ?)", (at, at))
        for id, metadata in (("t-1", "5"), ("t-2", "0.5"), ("t-3", "9e999")):
            connection.execute("INSERT INTO threads VALUES (?, 'a', ?, ?, ?)", (id, at, at, metadata))

    report = adopt(tmp_path / "b.db", project)

    metadata = [project.conversations.get(id).metadata for id in ("t-1", "t-2", "t-3")]
    assert metadata == [{"thread_metadata": 5}, {"thread_metadata": 0.5}, {}]
    assert [row["id"] for row in rejected(report, "threads", kept=True)] == ["t-3"]
    assert f"1 rows of {tmp_path / 'b.db'} " in caplog.text
