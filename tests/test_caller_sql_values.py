"""What the caller's own SQL stores in a session past the services: a check finds it, and no later call fails oddly."""

from __future__ import annotations

from pathlib import Path

import pytest

from peewee_conv import Project
from peewee_conv.compat import assistant_database, feature_database
from peewee_conv.compat.feature_database import text
from peewee_conv.errors import InvalidArgument, LimitReached
from peewee_conv.schemas import assistant, features

AT = "2026-01-02T03:04:05.000000Z"


def run_on_conversations(folder: Path, sql: str) -> None:
    with assistant_database.get_session(folder) as session:
        session.execute(text(sql))
        session.commit()
    assistant_database.dispose_engine(folder)


def run_on_features(folder: Path, sql: str) -> None:
    _, maker = feature_database.create_database(folder)
    with maker() as session:
        session.execute(text(sql))
        session.commit()
    feature_database.dispose_engine(folder)


def test_a_conversation_with_a_time_that_nobody_can_read_is_found_by_a_check(project: Project) -> None:
    assistant_database.create_conversation(project.path, "aurora")
    run_on_conversations(project.path, "UPDATE conversations SET updated_at = datetime('now')")

    project = Project(project.path)

    assert [problem.kind for problem in project.check(assistant)] == ["time"]
    with pytest.raises(InvalidArgument, match="expected a UTC time"):
        assistant_database.get_conversations(project.path, "aurora")


def test_a_schedule_with_a_time_that_nobody_can_read_is_found_by_a_check(project: Project) -> None:
    project.schedules.create("10:00", 5)
    project.dispose()
    run_on_features(project.path, "UPDATE schedules SET created_at = 'noon'")

    project = Project(project.path)

    assert [problem.kind for problem in project.check(features)] == ["time"]
    with pytest.raises(InvalidArgument, match="expected a UTC time"):
        _ = project.schedules.list()[0].created_at


def test_after_a_conversation_with_the_last_number_there_is_one_clear_error(project: Project) -> None:
    columns = "number, id, metadata, created_at, updated_at"
    run_on_conversations(
        project.path, f"INSERT INTO conversations ({columns}) VALUES (2147483647, 'last', '{{}}', '{AT}', '{AT}')"
    )

    with pytest.raises(LimitReached, match="limit of 2147483647 conversations reached"):
        assistant_database.create_conversation(project.path, "aurora")

    assert Project(project.path).check() == []


def test_no_statement_gives_a_conversation_a_number_that_is_too_high(project: Project) -> None:
    columns = "number, id, metadata, created_at, updated_at"
    with assistant_database.get_session(project.path) as session, pytest.raises(InvalidArgument, match="rules of the"):
        session.execute(
            text(f"INSERT INTO conversations ({columns}) VALUES (2147483648, 'last', '{{}}', '{AT}', '{AT}')")
        )
