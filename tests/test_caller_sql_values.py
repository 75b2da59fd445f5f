"""What the caller's own SQL stores in a session past the services: what is read later is sound, or it is refused."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from peewee_conv import Project
from peewee_conv.compat import assistant_database, feature_database
from peewee_conv.compat.feature_database import Schedule, func, text
from peewee_conv.errors import InvalidArgument, LimitReached

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


@pytest.mark.parametrize("time", ["datetime('now')", "'2026-01-02 03:04:05'", "'2026-01-02T04:04:05+01:00'"])
def test_a_time_that_a_statement_makes_is_put_into_our_form(project: Project, time: str) -> None:
    assistant_database.create_conversation(project.path, "aurora")
    project.schedules.create("10:00", 5)
    run_on_conversations(project.path, f"UPDATE conversations SET updated_at = {time}")
    run_on_features(project.path, f"UPDATE schedules SET created_at = {time}")

    project = Project(project.path)

    assert project.check() == []
    moments = project.conversations.list()[0].updated_at, project.schedules.list()[0].created_at
    assert all("now" in time or moment.isoformat() == "2026-01-02T03:04:05+00:00" for moment in moments)


def test_a_time_that_an_expression_of_a_query_makes_is_put_into_our_form(project: Project) -> None:
    project.schedules.create("10:00", 5)
    with feature_database.create_database(project.path)[1]() as session:
        session.query(Schedule).update({Schedule.created_at: func.datetime("2026-01-02 03:04:05")})
        session.commit()

    assert project.schedules.list()[0].created_at.isoformat() == "2026-01-02T03:04:05+00:00"


def test_a_time_that_is_none_is_refused_and_the_rest_of_the_transaction_stays(project: Project) -> None:
    made = project.schedules.create("10:00", 5)
    with feature_database.create_database(project.path)[1]() as session:
        session.execute("UPDATE schedules SET max_concurrency = 5")
        with pytest.raises(InvalidArgument, match="ISO 8601"):
            session.execute("UPDATE schedules SET created_at = 'noon', duration_minutes = 7")
        session.commit()

    (found,) = project.schedules.list()
    assert (found.max_concurrency, found.duration_minutes, found.created_at) == (5, 5, made.created_at)


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


def test_a_new_conversation_with_counts_is_refused_and_taken_back(project: Project) -> None:
    columns = "id, metadata, created_at, updated_at, message_count"
    with assistant_database.get_session(project.path) as session:
        for id, count in (("counted", 7), ("empty", 0)):
            add = f"INSERT INTO conversations ({columns}) VALUES ('{id}', '{{}}', '{AT}', '{AT}', {count})"
            with pytest.raises(InvalidArgument, match="services") if count else nullcontext():
                session.execute(add)
        session.commit()

    assert [talk.id for talk in project.conversations.list()] == ["empty"]
    assert project.check() == []
