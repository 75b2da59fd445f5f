"""Adoptions that are killed, and adoptions beside processes that write to the same project."""

from __future__ import annotations

import itertools
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_crash import RandomKills, killed_at_step
from fault_tools import Child, assert_sound, in_child, race, rows

from peewee_conv import Project
from peewee_conv.adopt import Adopted, adopt

sys.path.insert(0, str(Path(__file__).parent.parent))

import source_databases

Maker = Callable[..., Project]

STORED = (
    "SELECT c.id, c.number, c.title, c.message_count, c.token_count, c.created_at, c.updated_at, c.metadata,"
    " m.sequence, m.role, m.content, m.token_count, m.metadata, m.external_id, m.created_at"
    " FROM conversations AS c LEFT JOIN messages AS m ON m.conversation = c.number ORDER BY c.number, m.sequence"
)
KILLS = 4
SYSTEMS = ["autoforge_assistant", "sovereign", "haia", "chatdf_head"]


def do_adopt(path: Path, source: Path, batch: int = 20) -> Adopted:
    project = Project(path)
    try:
        return adopt(source, project, batch=batch)
    finally:
        project.dispose()


def everything(project: Path) -> list[Any]:
    return rows(project / ".peewee_conv" / "assistant.db", STORED)


def total(report: Adopted) -> dict[str, int]:
    return {table: counts.copied + counts.already_there for table, counts in report.tables.items()}


@pytest.fixture(params=SYSTEMS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "old" / f"{request.param}.db"
    source_databases.SYSTEMS[request.param](path, talks=5, messages=60)
    return path


def assert_same_as_one(target: Path, source: Path, report: Adopted, expected: list[Any], whole: Adopted) -> None:
    database = target / ".peewee_conv" / "assistant.db"
    assert everything(target) == expected
    assert total(report) == total(whole)
    assert Path(str(report.rejects)).read_text() == Path(str(whole.rejects)).read_text()
    assert sorted(path.name for path in database.parent.glob("*.jsonl")) == [f"{source.name}.rejected.jsonl"]
    assert_sound(database)


def test_adoption_that_was_killed_at_random_is_finished_by_the_next_one(tmp_path: Path, source: Path) -> None:
    whole = in_child(do_adopt, tmp_path / "one", source)
    expected = everything(tmp_path / "one")
    kill = RandomKills.timed_by(do_adopt, tmp_path / "timed", source)

    for turn in itertools.count():
        target = tmp_path / f"killed-{turn}"
        in_child(lambda path: Project(path).conversations.list(), target)
        kill(do_adopt, target, source)
        kill(do_adopt, target, source)

        report = in_child(do_adopt, target, source)

        assert_same_as_one(target, source, report, expected, whole)
        if kill.hits >= KILLS:
            break


@pytest.mark.parametrize("source", ["chatdf_head"], indirect=True)
def test_adoption_that_is_killed_at_a_step_is_finished_by_the_next_one(tmp_path: Path, source: Path) -> None:
    whole = in_child(do_adopt, tmp_path / "one", source)
    expected = everything(tmp_path / "one")

    for step in itertools.count(7, 61):
        target = tmp_path / f"step-{step}"
        was_killed = killed_at_step(step, do_adopt, target, source)

        report = in_child(do_adopt, target, source, 500)

        assert_same_as_one(target, source, report, expected, whole)
        if not was_killed:
            break
    assert step > 500


@pytest.mark.parametrize("source", ["haia"], indirect=True)
def test_processes_that_adopt_the_same_source_at_once_store_it_once(tmp_path: Path, source: Path) -> None:
    whole = in_child(do_adopt, tmp_path / "one", source)

    reports = race(do_adopt, [(tmp_path / "raced", source)] * 4)

    assert everything(tmp_path / "raced") == everything(tmp_path / "one")
    for table, counts in whole.tables.items():
        assert sum(report.tables[table].copied for report in reports) == counts.copied
    assert_sound(tmp_path / "raced" / ".peewee_conv" / "assistant.db")


def write_until_told(path: Path, stop: Path) -> int:
    project = Project(path)
    written = 0
    while not stop.exists():
        project.conversations.add_message("busy", "user", f"word{written}")
        written += 1
    project.dispose()
    return written


def add_to_source(path: Path, stop: Path) -> int:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    written = 0
    while not stop.exists():
        connection.execute(
            "INSERT INTO messages VALUES (?, 1, 'user', 'written meanwhile', '2027-01-01 00:00:00.000000')",
            (9001 + written,),
        )
        written += 1
    connection.close()
    return written


@pytest.mark.parametrize("source", ["haia"], indirect=True)
def test_others_write_to_the_project_meanwhile(tmp_path: Path, source: Path, project: Project) -> None:
    project.conversations.create(id="busy", number=5000)
    stop = tmp_path / "stop"
    writers = [Child(write_until_told, project.path, stop) for _ in range(2)]

    report = adopt(source, project, batch=5)
    stop.touch()
    written = sum(writer.result() for writer in writers)

    assert written > 10
    assert project.conversations.get("busy").message_count == written
    assert report.tables["messages"].copied == len([row for row in everything(project.path) if row[13] is not None])
    assert_sound(project.database_path())


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_source_that_is_written_meanwhile_is_adopted_as_it_was_at_one_moment(
    tmp_path: Path, project: Project, journal: str
) -> None:
    source = tmp_path / "haia.db"
    source_databases.haia(source, talks=3, messages=40, journal=journal)
    stop = tmp_path / "stop"
    writer = Child(add_to_source, source, stop)
    seen = []
    for _ in range(5):
        adopt(source, project)
        seen.append([m.external_id for m in project.conversations.iterate("1") if m.content == "written meanwhile"])
    stop.touch()
    written = writer.result()
    adopt(source, project)

    for ids in seen:
        assert ids == [str(9001 + place) for place in range(len(ids))]
    assert len([m for m in project.conversations.iterate("1") if m.content == "written meanwhile"]) == written
    assert_sound(project.database_path())
