"""Damage to what a file can tell by itself: indexes, triggers, marks, the tables behind the search index. It is mended.

And damage to single values, which no rule of SQLite finds: it is named, and left.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from peewee_conv import Project
from peewee_conv.health_checks import Problem
from peewee_conv.schemas import features


@pytest.fixture
def filled(project: Project) -> Project:
    """A project with an indexed conversation of four messages and one that is not indexed."""
    project.conversations.create(id="c")
    for number in range(4):
        project.conversations.add_message("c", "user", f"message {number}", token_count=1)
    project.conversations.search("message")
    project.conversations.create(id="new")
    project.conversations.add_message("new", "user", "not indexed yet")
    project.dispose()
    return Project(project.path)


def spoil(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)


def details(project: Project) -> list[tuple[str, str]]:
    return [(problem.kind, problem.detail) for problem in project.check()]


# --- what is mended ---

SWAP = "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, '{}', '{}') WHERE name = '{}';"
WRONG_INDEX = SWAP.format("(updated_at)", "(created_at)", "idx_conversations_updated_at")
RIGHT_AGAIN = SWAP.format("(created_at)", "(updated_at)", "idx_conversations_updated_at")
DERIVED = {
    "an index is missing": ("DROP INDEX idx_conversations_id", "schema"),
    "a trigger is missing": ("DROP TRIGGER tr_messages_appended", "schema"),
    "the view of the search index is missing": ("DROP VIEW message_search_source", "schema"),
    "the search index is missing": ("DROP TABLE message_search", "schema"),
    "the search index has lost its structure": ("DELETE FROM message_search_data", "search"),
    "the search index has lost its settings": ("DELETE FROM message_search_config", "search"),
    "the search index has lost a table": ("DROP TABLE message_search_data", "search"),
    "a mark has no conversation": ("INSERT INTO message_search_pending VALUES (99)", "pending"),
    "a count is no number": ("UPDATE conversations SET message_count = 'many' WHERE id = 'c'", "counts"),
}


@pytest.mark.parametrize("name", DERIVED)
def test_what_the_file_can_tell_is_found_and_mended(filled: Project, name: str) -> None:
    statements, kind = DERIVED[name]
    spoil(filled.database_path(), statements)

    assert kind in {problem.kind for problem in filled.check() if problem.repairable}
    done = filled.repair()

    assert done.left == []
    assert done.backup is not None
    filled.conversations.add_message("c", "user", "one more message")
    assert len(filled.conversations.search("message")) == 5
    assert filled.conversations.get("c").message_count == 5
    assert filled.check() == []


def test_messages_from_before_a_missing_trigger_are_counted_too(filled: Project) -> None:
    spoil(filled.database_path(), "DROP TRIGGER tr_messages_appended")
    filled.conversations.add_message("c", "user", "nobody counts this message")

    done = filled.repair()

    assert {problem.kind for problem in done.mended} == {"schema", "counts"}
    assert filled.conversations.get("c").message_count == 5
    assert len(filled.conversations.search("message")) == 5


def test_index_that_disagrees_with_its_table_is_made_anew(filled: Project) -> None:
    spoil(filled.database_path(), WRONG_INDEX)
    spoil(filled.database_path(), "UPDATE conversations SET updated_at = '2020-01-02T03:04:05.000000Z'")
    spoil(filled.database_path(), RIGHT_AGAIN)

    assert {problem.kind for problem in filled.check()} == {"index"}
    done = filled.repair()

    assert ({problem.kind for problem in done.mended}, done.left) == ({"index"}, [])
    assert len(filled.conversations.list()) == 2


def test_index_that_the_rows_do_not_allow_is_left(filled: Project) -> None:
    spoil(filled.database_path(), "DROP INDEX idx_conversations_id; UPDATE conversations SET id = 'c'")

    assert ("schema", "index idx_conversations_id is missing") in [each[:2] for each in filled.repair().left]


def test_index_of_features_is_mended_too(project: Project) -> None:
    project.features.create("Log in")
    spoil(project.database_path(features), "DROP INDEX ix_feature_status; DROP INDEX ix_features_id")

    done = project.repair(features)

    assert (len(done.mended), done.left) == (2, [])


def test_nothing_is_made_where_a_table_is_missing(filled: Project) -> None:
    spoil(filled.database_path(), "DROP TABLE conversations; DELETE FROM message_search_pending")
    before = filled.check()

    assert filled.repair().left == before
    assert not any(problem.repairable for problem in before)


def test_table_of_somebody_else_hides_no_wrong_count(filled: Project) -> None:
    spoil(filled.database_path(), "CREATE TABLE mine (x); UPDATE conversations SET message_count = 9 WHERE id = 'c'")

    assert [problem.kind for problem in filled.check()] == ["schema", "counts"]


# --- what is named ---

THIRD = "first where id is 4294967299"
VALUES = {
    "content = CAST(x'ff' AS TEXT)": f"messages: content is not UTF-8 in 1 of the rows, {THIRD}",
    "content = x'ff'": f"messages: content is no text in 1 of the rows, {THIRD}",
    "token_count = 1.5": f"messages: token_count is no whole number up to 2147483647 in 1 of the rows, {THIRD}",
    "token_count = 9223372036854775807": f"messages: token_count is no whole number up to 2147483647 in 1 of the rows,"
    f" {THIRD}",
}


@pytest.mark.parametrize("change", VALUES)
def test_value_that_nobody_can_use_is_named_and_left(filled: Project, change: str) -> None:
    spoil(filled.database_path(), f"UPDATE messages SET {change} WHERE id = (1 << 32 | 3)")

    assert ("value", VALUES[change]) in details(filled)
    assert filled.repair().left == [Problem("value", VALUES[change], False)]
    assert type(filled.conversations.get("c").token_count) is int


def test_key_that_is_not_utf8_is_shown_all_the_same(project: Project) -> None:
    project.assistants.create("A", "do it", id="a")
    spoil(project.database_path(), "UPDATE assistants SET id = CAST(x'61ff' AS TEXT), name = x'00'")

    assert details(project) == [
        ("value", "assistants: id is not UTF-8 in 1 of the rows, first where id is 'a\ufffd'"),
        ("value", "assistants: name is no text in 1 of the rows, first where id is 'a\ufffd'"),
    ]
