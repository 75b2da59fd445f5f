"""Several processes make, or upgrade, the same files at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fault_tools import assert_sound, in_child, race, rows
from upgrade_fixture import Ladder

from peewee_conv import Project
from peewee_conv.schemas import assistant

PROCESSES, PROJECTS = 8, 50


def open_all(root: Path, count: int) -> list[str]:
    """Open *count* projects in this process and leave a conversation of its own in each."""
    made = []
    for number in range(count):
        project = Project(root / f"p{number}")
        made.append(project.conversations.create(id=f"by-{os.getpid()}").id)
        assert project.dispose()
    return made


def race_round(root: Path, processes: int, projects: int) -> None:
    """Let all processes open the same new projects, and check each project afterwards."""
    answers = race(open_all, [(root, projects)] * processes)
    names = sorted(answer[0] for answer in answers)
    assert len(set(names)) == processes
    for number in range(projects):
        folder = root / f"p{number}" / ".peewee_conv"
        # Two processes that close in the same moment may each leave the log to the other; no draft may stay.
        assert set(os.listdir(folder)) <= {"assistant.db", "assistant.db-wal", "assistant.db-shm"}
        path = folder / "assistant.db"
        assert_migrated_once(path)
        assert [id for (id,) in rows(path, "SELECT id FROM conversations ORDER BY id")] == names


def assert_migrated_once(path: Path) -> None:
    scripts = assistant.migrations.scripts
    assert rows(path, "SELECT name FROM schema_migration ORDER BY name") == [(script.name,) for script in scripts]
    assert rows(path, "PRAGMA user_version") == [(len(scripts),)]
    assert rows(path, "SELECT count(*) FROM sqlite_master WHERE name = 'tr_messages_appended'") == [(1,)]


@pytest.mark.parametrize("turn", range(4))
def test_processes_that_open_new_projects_at_once_all_succeed(tmp_path: Path, turn: int) -> None:
    for number in range(5):
        race_round(tmp_path / str(number), PROCESSES, PROJECTS)

    assert_sound(tmp_path / "0" / "p0" / ".peewee_conv" / "assistant.db")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_processes_that_upgrade_one_file_at_once_all_succeed(tmp_path: Path, journal: str) -> None:
    ladder = Ladder(tmp_path, journal)
    for number in range(10):
        ladder.make_old(tmp_path / str(number))

        found = race(ladder.count_at_head, [(tmp_path / str(number),)] * 5)

        assert found == [ladder.counts] * 5
        ladder.assert_new(tmp_path / str(number))


def test_a_project_that_one_process_has_open_is_upgraded_by_another_once_it_is_idle(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, "wal")
    ladder.make_old(tmp_path / "one")
    held = ladder.old_project(tmp_path / "one")
    with held:
        assert ladder.OldCard.select().count() == ladder.counts[1]

        assert in_child(ladder.count_at_head, tmp_path / "one") == ladder.counts
    held.dispose()
    ladder.assert_new(tmp_path / "one")
