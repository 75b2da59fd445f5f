"""Check finds stored times that nobody can read, all of them and nothing else, and repair leaves them as they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import peewee
import pytest
from account_tools import sign_up
from hypothesis import example, given
from hypothesis import strategies as st
from tickets import write_scripts

from peewee_conv import Project, Schema
from peewee_conv.clock import from_text
from peewee_conv.errors import InvalidArgument
from peewee_conv.fields import TimeField
from peewee_conv.health_checks import Problem, unreadable_times
from peewee_conv.models import Conversation
from peewee_conv.schemas import assistant, features

FORM = "is not a UTC time as YYYY-MM-DDTHH:MM:SS.ffffffZ"


@pytest.fixture
def full(project: Project) -> Project:
    """A project with a row in every table that has times, which nobody has open."""
    user = sign_up(project).user_id
    project.assistants.create("Aurora", "You analyse markets.")
    for id in ("c", "d"):
        project.conversations.create(id=id)
    project.conversations.begin_message("c")
    project.datasets.add("c", "https://example.com/1.parquet")
    project.usage.record(user, 1, 2, "gpt-5")
    schedule = project.schedules.create("22:00", 60)
    project.schedules.add_override(schedule.id, "start", expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    project.dispose()
    return Project(project.path)


def execute(project: Project, sql: str, *params: Any, schema: Any = assistant) -> list[Any]:
    with closing(sqlite3.connect(project.database_path(schema))) as connection, connection:
        return connection.execute(sql, params).fetchall()


def time_columns(project: Project, schema: Any) -> list[tuple[str, str]]:
    """Return table and column of all times of a file, by their names."""
    sql = (
        "SELECT t.name, c.name FROM pragma_table_list AS t, pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table' AND t.name <> 'schema_migration' AND (c.name GLOB '*_at' OR c.name = 'timestamp')"
    )
    return execute(project, sql, schema=schema)


@pytest.mark.parametrize(("schema", "columns"), [(assistant, 15), (features, 3)], ids=["assistant", "features"])
def test_a_time_that_cannot_be_read_is_found_in_every_column(full: Project, schema: Any, columns: int) -> None:
    assert full.check(schema) == []
    found = time_columns(full, schema)
    assert len(found) == columns

    for table, column in found:
        execute(full, f"UPDATE {table} SET {column} = 'noon'", schema=schema)

    told = [problem.detail.split(f" {FORM}")[0] for problem in full.check(schema) if problem.kind == "time"]
    assert told == sorted(f"{table}: {column}" for table, column in found)


def test_table_count_and_the_first_row_are_told_and_no_content(full: Project) -> None:
    execute(full, "UPDATE conversations SET updated_at = '2026-03-01 12:00:00'")

    detail = f"conversations: updated_at {FORM} in 2 of the rows, first where number is 1"
    assert full.check() == [Problem("time", detail, False)]


def test_a_repair_leaves_it_and_who_knows_the_time_writes_it(full: Project) -> None:
    execute(full, "UPDATE conversations SET updated_at = 'noon' WHERE id = 'c'")

    done = full.repair()

    assert ([problem.kind for problem in done.left], done.mended, done.backup) == (["time"], [], None)
    with pytest.raises(InvalidArgument, match="expected a UTC time as YYYY-MM-DDTHH:MM:SS"):
        _ = full.conversations.get("c").updated_at
    with full:
        Conversation.update(updated_at=datetime(2026, 3, 1, tzinfo=UTC)).where(Conversation.id == "c").execute()
    assert full.check() == []


NOTES = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE note (author TEXT, number INTEGER, at TEXT, PRIMARY KEY (author, number))")
    db.execute_sql('CREATE TABLE "odd {0}" (at TEXT)')


def down(migrator, db):
    db.execute_sql("DROP TABLE note")
"""


def test_times_of_a_user_are_checked_too_whatever_the_key(project: Project, tmp_path: Path) -> None:
    schema = Schema("notes", migrations=write_scripts(tmp_path / "notes", NOTES))

    class Note(schema.Model):  # type: ignore[name-defined,misc]
        author = peewee.TextField()
        number = peewee.IntegerField()
        at = TimeField(null=True)

        class Meta:
            primary_key = peewee.CompositeKey("author", "number")

    class Odd(schema.Model):  # type: ignore[name-defined,misc]
        at = TimeField()

        class Meta:
            primary_key = False
            table_name = "odd {0}"

    class Missing(schema.Model):  # type: ignore[name-defined,misc]
        at = TimeField()

    with project:
        Note.insert_many([("ada", 1, None), ("ada", 2, "noon"), ("ben", 1, "noon")]).execute()
        Odd.create(at="noon")

    assert [problem.detail for problem in project.check(schema)] == [
        f"note: at {FORM} in 2 of the rows, first where author is 'ada' and number is 2",
        f"odd {{0}}: at {FORM} in 1 of the rows, first where rowid is 1",
    ]


# --- what is readable ---


def near_times() -> st.SearchStrategy[str]:
    """Texts of the form, most of which name a time that there is."""
    numbers = (st.integers(0, 9999), *(st.integers(0, most) for most in (13, 32, 25, 60, 60, 999_999)))
    return st.tuples(*numbers).map(lambda parts: "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z".format(*parts))


def damaged(text: str, place: int, put: str, taken: int) -> str:
    return text[:place] + put + text[place + taken :]


DAMAGED = st.builds(
    damaged,
    near_times(),
    st.integers(0, 27),
    st.sampled_from(["", "\0", "Z", " ", "5", "-", "٣", "z"]),
    st.integers(0, 1),
)
STORED = st.one_of(near_times(), DAMAGED, st.binary(max_size=30), st.integers(-9, 9), st.text(max_size=30))


def is_readable(value: Any) -> bool:
    try:
        from_text(value)
    except InvalidArgument:
        return False
    return True


@given(st.lists(STORED, min_size=1, max_size=50))
@example(["2026-02-29T00:00:00.000000Z", "2024-02-29T00:00:00.000000Z", "2026-04-31T00:00:00.000000Z"])
@example(["0000-12-31T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"])
@example(["2026-01-01T24:00:00.000000Z", "9999-12-31T24:00:00.000000Z", "2026-01-01T00:00:00.000000Z\0"])
@example([b"2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:60.000000Z", "2026-01-01T23:59:59.999999Z"])
def test_what_is_told_is_what_the_package_cannot_read(values: list[Any]) -> None:
    wrong = [number for number, value in enumerate(values) if not is_readable(value)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE conversations (number INTEGER PRIMARY KEY, updated_at)")
        connection.executemany("INSERT INTO conversations VALUES (?, ?)", enumerate(values))

        found = unreadable_times(connection, assistant)

    ends = [problem.detail.partition(f"{FORM} in ")[2] for problem in found]
    assert ends == ([f"{len(wrong)} of the rows, first where number is {wrong[0]}"] if wrong else [])
