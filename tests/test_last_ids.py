"""The last id that SQLite can give: whoever stores a row with it, the next caller gets one clear error of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from adopt_tools import rejected_ids
from legacy_files import DEPENDENCIES, IN_PROGRESS, OLD_SCHEDULES, OLDEST, OVERRIDES, make, rejects

from peewee_conv import Project
from peewee_conv.adopt import adopt
from peewee_conv.compat.feature_database import Feature, Schedule, create_database, dispose_engine, text
from peewee_conv.errors import DatabaseFull, LimitReached
from peewee_conv.schemas import features

LAST = 2**63 - 1
TABLES = ("features", "schedules", "schedule_overrides")
FEATURE = (
    "INSERT INTO features (id, priority, category, name, description, steps, passes)"
    " VALUES ({}, 1, 'a', 'b', 'c', '[]', 0);"
)
SCHEDULE = (
    "INSERT INTO schedules (id, project_name, start_time, duration_minutes, days_of_week, enabled, yolo_mode,"
    " created_at) VALUES ({}, 'a', '10:00', 5, 127, 1, 0, '2026-01-02T03:04:05.000000Z');"
)
OVERRIDE = (
    "INSERT INTO schedule_overrides (id, schedule_id, override_type, expires_at, created_at)"
    " VALUES ({}, 1, 'stop', '2026-01-02T03:04:05.000000Z', '2026-01-02T03:04:05.000000Z');"
)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


def execute(project: Project, sql: str) -> None:
    project.dispose()
    with closing(sqlite3.connect(project.database_path(features))) as connection, connection:
        connection.executescript(sql)


@pytest.mark.parametrize(
    ("table", "sql", "call"),
    [
        ("features", FEATURE, lambda project: project.features.create("next")),
        ("schedules", SCHEDULE, lambda project: project.schedules.create("11:00", 5)),
        ("schedule_overrides", OVERRIDE, lambda project: project.schedules.add_override(1, "start", expires_at=LATER)),
    ],
)
def test_a_service_says_which_ids_have_run_out(
    project: Project, table: str, sql: str, call: Callable[[Project], Any]
) -> None:
    project.schedules.create("10:00", 5)
    execute(project, sql.format(LAST))
    project = Project(project.path)

    with pytest.raises(LimitReached, match=f"limit of {LAST} ids of {table} reached: a row has the last id"):
        call(project)

    assert project.check(features) == []


@pytest.mark.parametrize(
    "store",
    [
        lambda session: (session.add(Feature(category="a", name="b", description="", steps=[])), session.commit()),
        lambda session: session.execute(text(FEATURE.replace("id, ", "").replace("{}, ", ""))),
    ],
    ids=["object", "statement"],
)
def test_a_session_says_it_too_after_a_row_of_its_own(tmp_path: Path, store: Callable[[Any], Any]) -> None:
    _, maker = create_database(tmp_path)
    with maker() as session:
        session.execute(text(FEATURE.format(LAST)))
        session.commit()

    with maker() as session, pytest.raises(LimitReached, match="ids of features"):
        store(session)

    with maker() as session:
        assert [feature.id for feature in session.query(Feature).all()] == [LAST]
        session.add(Schedule(project_name="a", start_time="10:00", duration_minutes=5))
        session.commit()
    dispose_engine(tmp_path)


def test_a_full_disk_is_still_called_so(project: Project) -> None:
    project.features.create("first")
    with project:
        features.database.execute_sql("PRAGMA max_page_count = 1")
        with pytest.raises(DatabaseFull):
            project.features.create("second", description="x" * 900_000)


def test_after_the_highest_priority_the_queue_goes_on_by_id(project: Project) -> None:
    project.features.create("first")
    execute(project, f"UPDATE features SET priority = {LAST}")
    project = Project(project.path)

    project.features.create_many([{"name": "second"}, {"name": "third"}])

    assert project.features.skip(1).priority == LAST
    assert [feature.name for feature in project.features.all()] == ["first", "second", "third"]


# --- files of older applications ---

OLD = OLDEST + IN_PROGRESS + DEPENDENCIES + OLD_SCHEDULES + OVERRIDES


def old_rows() -> str:
    return "".join(sql.format(id) for sql in (FEATURE, SCHEDULE, OVERRIDE) for id in (1, 2**62, 2**62 + 1, LAST))


def assert_numbers_go_on(project: Project) -> None:
    assert project.features.create("next").id == 2**62 + 1
    assert project.schedules.create("11:00", 5).id == 2**62 + 1
    assert project.schedules.add_override(1, "start", expires_at=LATER).id == 2**62 + 1
    assert project.check(features) == []


def test_an_upgrade_of_an_old_file_rejects_what_would_end_its_numbers(tmp_path: Path, project: Project) -> None:
    make(project.path / ".autoforge" / "features.db", OLD + old_rows())

    assert [feature.id for feature in project.features.all()] == [1, 2**62]

    found = [(line["table"], line["row"]["id"]) for line in rejects(project.database_path(features))]
    assert found == [(table, id) for table in TABLES for id in (2**62 + 1, LAST)]
    assert_numbers_go_on(project)


def test_an_adoption_rejects_what_would_end_the_numbers_of_the_project(tmp_path: Path, project: Project) -> None:
    make(tmp_path / "features.db", OLD + old_rows())

    report = adopt(tmp_path / "features.db", project)

    assert {table: rejected_ids(report, table) for table in TABLES} == {table: {2**62 + 1, LAST} for table in TABLES}
    assert_numbers_go_on(project)
