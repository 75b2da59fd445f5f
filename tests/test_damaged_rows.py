"""Rows that no rule lets in, in a file that SQLite calls sound: found by fuzzing, each one clear error and no hang."""

from __future__ import annotations

import io
import sqlite3
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from legacy_files import ASSISTANT, NEWEST, NEWEST_ROWS, make, rejects

from peewee_conv import Project
from peewee_conv.adopt import adopt
from peewee_conv.compat.feature_database import Feature, create_database, dispose_engine
from peewee_conv.errors import DatabaseCorrupt, DatabaseFailure, InvalidArgument
from peewee_conv.feature_transfer import export_features
from peewee_conv.schemas import assistant, features
from peewee_conv.transfer import export_conversations


@pytest.fixture
def project(project: Project) -> Project:
    """A project with one conversation of five messages, two features and a schedule, which nobody has open."""
    talk = project.conversations.create(id="talk")
    for place in range(5):
        project.conversations.add_message(talk.id, "user", f"secret {place}", metadata={"a": place})
    project.features.create_many([{"name": "Log in"}, {"name": "Log out"}])
    project.schedules.create("23:00", 60)
    project.dispose()
    return Project(project.path)


def spoil(project: Project, sql: str, *params: Any, schema: Any = assistant) -> None:
    with closing(sqlite3.connect(project.database_path(schema))) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(sql, params)
        connection.commit()


@pytest.mark.parametrize("stored", ["{", "[1]", "7", "\ufffd", b"\x00"])
def test_metadata_that_is_no_json_object_is_one_clear_error(project: Project, stored: Any) -> None:
    spoil(project, "UPDATE messages SET metadata = ?", stored)

    with pytest.raises(InvalidArgument, match=r"invalid stored JSON .*the file is damaged"):
        project.conversations.messages("talk")[0].to_dict()


def test_text_that_is_not_utf8_is_reported_without_being_shown(project: Project) -> None:
    spoil(project, "UPDATE messages SET content = CAST(x'736563726574ff' AS TEXT)")

    with pytest.raises(DatabaseCorrupt, match="it holds text that is not UTF-8") as caught:
        project.conversations.messages("talk")

    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_session_reports_it_too(project: Project) -> None:
    spoil(project, "UPDATE features SET name = CAST(x'736563726574ff' AS TEXT)", schema=features)
    _, maker = create_database(project.path)

    with maker() as session, pytest.raises(DatabaseCorrupt, match="it holds text that is not UTF-8") as caught:
        session.query(Feature).all()

    assert "secret" not in "".join(traceback.format_exception(caught.value))
    dispose_engine(project.path)


@pytest.mark.parametrize(
    ("columns", "row"), [("x REFERENCES odd_name (y)", "1"), ("odd_name NOT NULL", "NULL")], ids=["parent", "column"]
)
def test_a_name_that_is_not_utf8_is_found_by_a_check(project: Project, columns: str, row: str) -> None:
    with closing(sqlite3.connect(project.database_path())) as connection:
        connection.executescript(
            f"CREATE TABLE odd (x); INSERT INTO odd VALUES ({row}); PRAGMA writable_schema = ON;"
            f"UPDATE sqlite_master SET sql = CAST(replace('CREATE TABLE odd ({columns})', 'odd_name', x'ff') AS TEXT)"
            " WHERE name = 'odd'"
        )

    assert [problem[:2] for problem in project.check()] == [("corrupt", "it holds text that is not UTF-8")]


def test_a_conversation_that_breaks_a_rule_is_not_called_full(project: Project) -> None:
    spoil(project, "UPDATE conversations SET title = ?", "x" * 600)

    with pytest.raises(DatabaseFailure, match="CHECK constraint failed: ck_conversation_title"):
        project.conversations.add_message("talk", "user", "Hello!")


def test_a_search_does_not_count_up_to_a_number_that_is_no_sequence(project: Project) -> None:
    spoil(project, "UPDATE conversations SET last_sequence = 4294967295")

    assert len(project.conversations.search("secret", limit=9)) == 5


def test_a_mark_for_the_index_that_does_not_go_away_ends_the_search(project: Project) -> None:
    spoil(project, "CREATE TRIGGER hidden BEFORE DELETE ON message_search_pending BEGIN SELECT RAISE(IGNORE); END")

    assert len(project.conversations.search("secret", limit=9)) == 5


@pytest.mark.parametrize("stored", ["many", b"\xff", 0.5])
def test_a_count_that_is_no_number_is_found_by_a_check_and_does_not_stop_a_deletion(
    project: Project, stored: Any
) -> None:
    spoil(project, "UPDATE conversations SET last_sequence = ?", stored)

    assert "counts" in {problem.kind for problem in project.check()}
    assert project.conversations.delete("talk") is True


def test_pruning_by_rules_ends_where_nothing_can_be_pruned(project: Project) -> None:
    spoil(project, "UPDATE conversations SET message_count = 99")
    spoil(project, "DELETE FROM messages")

    with pytest.raises(DatabaseCorrupt, match="has not the messages that it counts"):
        project.retain(prune=3)


@pytest.mark.parametrize("stored", ["many", b"\xff"])
def test_pruning_by_rules_with_a_count_that_is_no_number_is_one_error_of_ours(project: Project, stored: Any) -> None:
    spoil(project, "UPDATE conversations SET message_count = ?", stored)

    with pytest.raises(DatabaseFailure):
        project.retain(prune=3)

    assert len(project.conversations.messages("talk")) == 5


def test_a_history_of_migrations_that_is_no_text_is_told_by_a_check(project: Project) -> None:
    spoil(project, "UPDATE schema_migration SET name = x'ff' WHERE name GLOB '0001*'")

    assert "history" in {problem.kind for problem in project.check()}


def test_an_export_of_bytes_in_place_of_a_text_is_one_clear_error(project: Project) -> None:
    spoil(project, "UPDATE messages SET content = x'00'")

    with pytest.raises(DatabaseCorrupt, match="a row holds what is no text"):
        export_conversations(project, io.BytesIO())


@pytest.mark.parametrize(("column", "value"), [("priority", "high"), ("dependencies", '["a", [1], 2]')])
def test_a_queue_with_values_that_are_no_numbers_still_answers(project: Project, column: str, value: Any) -> None:
    spoil(project, f"UPDATE features SET {column} = ? WHERE id = 1", value, schema=features)

    assert 2 in [feature.id for feature in project.features.ready()]


@pytest.mark.parametrize("column", ["start_time", "duration_minutes", "days_of_week"])
def test_a_schedule_that_cannot_be_is_named(project: Project, column: str) -> None:
    spoil(project, f"UPDATE schedules SET {column} = 'soon'", schema=features)

    with pytest.raises(InvalidArgument, match=f"invalid stored {column} 'soon'"):
        project.schedules.active_windows()


def test_a_token_count_that_is_no_number_counts_as_none(project: Project) -> None:
    spoil(project, "UPDATE messages SET token_count = 'many'")

    assert len(project.conversations.context("talk", max_tokens=100)) == 5


def test_an_old_message_whose_conversation_is_no_number_is_rejected(tmp_path: Path) -> None:
    make(tmp_path / "assistant.db", ASSISTANT)
    with closing(sqlite3.connect(tmp_path / "assistant.db")) as connection:
        connection.execute("INSERT INTO conversation_messages VALUES (1, CAST(x'ff' AS TEXT), 'user', 'x', NULL)")
        connection.commit()
    project = Project(tmp_path)

    assert project.conversations.list() == []
    assert rejects(tmp_path / "assistant.db")[0]["reason"] == "its conversation does not exist, or was left out"


def test_a_list_of_steps_with_a_number_that_json_has_not_cannot_be_exported(project: Project) -> None:
    spoil(project, "UPDATE features SET steps = '[1e999]'", schema=features)

    with pytest.raises(DatabaseCorrupt, match="a feature holds what JSON cannot"):
        export_features(project)


def test_a_table_without_ids_is_not_adopted_and_named(tmp_path: Path, project: Project) -> None:
    make(tmp_path / "old.db", NEWEST + NEWEST_ROWS + "ALTER TABLE schedules RENAME COLUMN id TO other;")

    assert adopt(tmp_path / "old.db", project).left.keys() >= {"schedules"}
