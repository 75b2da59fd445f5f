"""A ``features.db`` of any older release becomes ours on its first open, and no row is lost without a word."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from legacy_files import (
    DEPENDENCIES,
    HUMAN_INPUT,
    IN_PROGRESS,
    MALFORMED,
    NEWEST,
    NULL_FLAGS,
    OLD_ROWS,
    OLDEST,
    SHAPES,
    Row,
    dump,
    make,
    rejected_ids,
    rejects,
    schema,
)

from peewee_conv import Project
from peewee_conv.errors import ForeignDatabase
from peewee_conv.schemas import features

TABLES = ("features", "schedules", "schedule_overrides")
MakeProject = Callable[..., Project]


@pytest.fixture(params=["wal", "delete"])
def journal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_legacy(folder: Path, sql: str, journal: str = "delete") -> Path:
    path = folder / "project" / ".autoforge" / "features.db"
    make(path, sql, journal)
    return path


def upgrade(project: Project) -> None:
    project.features.stats()
    project.dispose()


def parsed(text: Any) -> Any:
    with suppress(TypeError, ValueError):
        return json.loads(text)
    return None


def expected_feature(old: Row) -> Row:
    """Say in other words what a row becomes, where all its values are of the right type."""
    dependencies = parsed(old.get("dependencies"))
    return {
        **{name: old[name] for name in ("id", "priority", "category", "name", "description")},
        **{name: bool(old.get(name)) for name in ("passes", "in_progress", "needs_human_input")},
        "steps": parsed(old["steps"]),
        "dependencies": dependencies or [],
        "human_input_request": parsed(old.get("human_input_request")),
        "human_input_response": parsed(old.get("human_input_response")),
    }


def shown(old: Row) -> Row:
    """Return a row as it is in a line of the rejects."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in old.items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_upgraded_file_has_the_schema_of_a_fresh_one(
    tmp_path: Path, make_project: MakeProject, shape: str, journal: str
) -> None:
    path = make_legacy(tmp_path, SHAPES[shape], journal)
    fresh = make_project("fresh")
    upgrade(fresh)

    upgrade(make_project(journal_mode=journal))

    assert schema(path) == schema(fresh.database_path(features))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_row_is_in_the_new_tables_or_among_the_rejects(
    tmp_path: Path, make_project: MakeProject, shape: str, journal: str
) -> None:
    path = make_legacy(tmp_path, SHAPES[shape], journal)
    before = {table: dump(path, table) for table in TABLES}

    upgrade(make_project(journal_mode=journal))

    for table in TABLES:
        kept = [row["id"] for row in dump(path, table)]
        left_out = list(rejected_ids(path, table, kept=False))
        assert sorted(kept + left_out) == [row["id"] for row in before[table]]
        by_id = {row["id"]: shown(row) for row in before[table]}
        assert all(line["row"] == by_id[line["row"]["id"]] for line in rejects(path) if line["table"] == table)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "malformed values"])
def test_features_keep_their_values(tmp_path: Path, make_project: MakeProject, shape: str) -> None:
    path = make_legacy(tmp_path, SHAPES[shape])
    before = dump(path, "features")
    project = make_project()

    found = sorted((feature.to_dict() for feature in project.features.all()), key=lambda feature: feature["id"])

    assert found == [expected_feature(row) for row in before]
    assert list(rejected_ids(path, "features", kept=True)) == []


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if "chedule" in shape or "newest" in shape])
def test_schedules_keep_their_values(tmp_path: Path, make_project: MakeProject, shape: str) -> None:
    path = make_legacy(tmp_path, SHAPES[shape])
    before = dump(path, "schedules")

    upgrade(make_project())

    added = {"max_concurrency": 3, "crash_count": 0}
    times = [row["created_at"].replace(" ", "T") + "Z" for row in before]
    assert dump(path, "schedules") == [
        {**added, **row, "created_at": time} for row, time in zip(before, times, strict=True)
    ]


def test_an_override_without_a_schedule_is_rejected(tmp_path: Path, make_project: MakeProject) -> None:
    path = make_legacy(tmp_path, SHAPES["schedules after their upgrade"])

    upgrade(make_project())

    assert [(row["id"], row["expires_at"]) for row in dump(path, "schedule_overrides")] == [
        (1, "2026-01-03T00:00:00.000000Z")
    ]
    assert [(line["row"]["id"], line["reason"]) for line in rejects(path)] == [(2, "schedule 99999 does not exist")]


@pytest.mark.parametrize("column", ["project_name", "start_time", "model"])
def test_a_schedule_with_bytes_for_a_text_is_rejected(tmp_path: Path, make_project: MakeProject, column: str) -> None:
    path = make_legacy(tmp_path, SHAPES["schedules after their upgrade"])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE schedules SET {column} = CAST('22:00' AS BLOB)")
    project = make_project()

    upgrade(project)

    assert dump(path, "schedules") == []
    assert {line["reason"] for line in rejects(path) if line["table"] == "schedules"} == {f"{column} is no text"}
    assert project.check(features) == []


def test_null_in_all_three_flags_is_false_and_the_feature_can_be_claimed(
    tmp_path: Path, make_project: MakeProject
) -> None:
    make_legacy(tmp_path, SHAPES["NULL in all flags"])

    found = make_project().features.claim(2)

    assert (found.feature.in_progress, found.already_claimed) == (True, False)


def test_a_table_with_testing_columns_takes_new_features(tmp_path: Path, make_project: MakeProject) -> None:
    make_legacy(tmp_path, SHAPES["testing columns and human input"])

    assert make_project().features.create("Log in").id == 1


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        (1, {"dependencies": []}),
        (2, {"dependencies": [1, 5]}),
        (5, {"dependencies": []}),
        (7, {"steps": [], "dependencies": [7]}),
        (9, {"steps": ["one step"], "dependencies": []}),
        (10, {"steps": [], "dependencies": []}),
        (14, {"steps": [], "dependencies": []}),
    ],
)
def test_of_malformed_json_the_sound_part_is_kept(
    tmp_path: Path, make_project: MakeProject, id: int, expected: Row
) -> None:
    make_legacy(tmp_path, SHAPES["malformed values"])

    found = make_project().features.get(id).to_dict()

    assert {name: found[name] for name in expected} == expected


def test_what_was_replaced_or_left_out_is_among_the_rejects_with_its_reason(
    tmp_path: Path, make_project: MakeProject
) -> None:
    path = make_legacy(tmp_path, SHAPES["malformed values"])

    upgrade(make_project())

    assert list(rejected_ids(path, "features", kept=False)) == [6, 8, 11, 12, 13]
    assert sorted(set(rejected_ids(path, "features", kept=True))) == [2, 5, 9, 10, 14]
    assert all(line["reason"] for line in rejects(path))


def test_a_feature_that_waits_for_itself_stays_blocked_and_can_be_freed(
    tmp_path: Path, make_project: MakeProject
) -> None:
    make_legacy(tmp_path, SHAPES["malformed values"])
    queue = make_project().features

    assert 7 in [found.feature.id for found in queue.blocked()]
    assert queue.remove_dependency(7, 7)
    assert 7 in [feature.id for feature in queue.ready()]


def test_null_texts_get_the_documented_defaults(tmp_path: Path, make_project: MakeProject) -> None:
    nullable = OLDEST.replace(" NOT NULL", "").replace("id INTEGER", "id INTEGER NOT NULL")
    path = make_legacy(tmp_path, nullable + "INSERT INTO features (id) VALUES (4);")

    found = make_project().features.get(4)

    assert found.to_dict() == {
        "id": 4,
        "priority": 999,
        "category": "uncategorized",
        "name": "Feature 4",
        "description": "",
        "steps": [],
        "passes": False,
        "in_progress": False,
        "dependencies": [],
        "needs_human_input": False,
        "human_input_request": None,
        "human_input_response": None,
    }
    assert rejects(path) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_the_second_open_changes_nothing(tmp_path: Path, make_project: MakeProject, shape: str, journal: str) -> None:
    path = make_legacy(tmp_path, SHAPES[shape], journal)
    upgrade(make_project(journal_mode=journal))
    names, content = sorted(os.listdir(path.parent)), path.read_bytes()

    upgrade(make_project(journal_mode=journal))

    assert sorted(os.listdir(path.parent)) == names
    assert path.read_bytes() == content


@pytest.mark.parametrize("shape", SHAPES)
def test_a_copy_of_the_file_from_before_stays_beside_it(
    tmp_path: Path, make_project: MakeProject, shape: str, journal: str
) -> None:
    path = make_legacy(tmp_path, SHAPES[shape], journal)
    before = {table: dump(path, table) for table in TABLES}

    upgrade(make_project(journal_mode=journal))

    copy = path.with_name("features.db.before-0001_initial")
    assert {table: dump(copy, table) for table in TABLES} == before


def test_rejects_are_counted_and_logged(
    tmp_path: Path, make_project: MakeProject, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_legacy(tmp_path, SHAPES["malformed values"])

    with caplog.at_level(logging.WARNING, "peewee_conv"):
        upgrade(make_project())

    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"{len(rejects(path))} rows of {path} ")
    assert message.endswith("features.db.rejected.jsonl")


def test_rejects_of_a_killed_upgrade_are_not_written_twice(tmp_path: Path, make_project: MakeProject) -> None:
    path = make_legacy(tmp_path, SHAPES["malformed values"])
    upgrade(make_project())
    written = rejects(path)
    path.unlink()
    make_legacy(tmp_path, SHAPES["malformed values"])

    upgrade(make_project())

    assert rejects(path) == written
    assert not path.with_name("features.db.rejected.2.jsonl").exists()


def test_rejects_of_another_upgrade_are_not_overwritten(tmp_path: Path, make_project: MakeProject) -> None:
    path = make_legacy(tmp_path, SHAPES["malformed values"])
    older = path.with_name("features.db.rejected.jsonl")
    older.write_text("{}\n")

    upgrade(make_project())

    assert older.read_text() == "{}\n"
    assert path.with_name("features.db.rejected.2.jsonl").read_text().count("\n") > 5


def test_rejects_can_be_read_by_their_owner_alone(tmp_path: Path, make_project: MakeProject) -> None:
    path = make_legacy(tmp_path, SHAPES["malformed values"])

    upgrade(make_project())

    assert path.with_name("features.db.rejected.jsonl").stat().st_mode & 0o777 == 0o600


def test_ids_go_on_after_the_highest_of_the_old_file(tmp_path: Path, make_project: MakeProject) -> None:
    make_legacy(tmp_path, OLDEST + IN_PROGRESS + DEPENDENCIES + HUMAN_INPUT + OLD_ROWS + NULL_FLAGS)
    queue = make_project().features
    queue.delete(5)

    assert queue.create("Log in twice").id == 6


@pytest.mark.parametrize(
    "sql",
    [
        NEWEST + "CREATE TABLE invoices (id INTEGER PRIMARY KEY);",
        "CREATE TABLE features (id INTEGER PRIMARY KEY, title TEXT);",
        "CREATE TABLE schedules (id INTEGER PRIMARY KEY);",
    ],
    ids=["one more table", "another table of the name", "no features"],
)
def test_a_file_of_somebody_else_is_left_untouched(tmp_path: Path, make_project: MakeProject, sql: str) -> None:
    path = make_legacy(tmp_path, sql)
    content = path.read_bytes()

    with pytest.raises(ForeignDatabase):
        make_project().features.stats()

    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["features.db"]


def test_without_copies_only_the_rejects_are_written(tmp_path: Path, make_project: MakeProject) -> None:
    path = make_legacy(tmp_path, OLDEST + IN_PROGRESS + DEPENDENCIES + OLD_ROWS + MALFORMED)

    upgrade(make_project(keep_copies=False))

    assert sorted(os.listdir(path.parent)) == ["features.db", "features.db.rejected.jsonl"]
