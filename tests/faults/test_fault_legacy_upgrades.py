"""``kill -9`` while an older application's file is upgraded: it is wholly the old one or wholly ours."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fault_crash import RandomKills, killed_at_step
from fault_tools import in_child, problems, race
from legacy_files import (
    ASSISTANT,
    DEPENDENCIES,
    IN_PROGRESS,
    MALFORMED,
    OLD_ROWS,
    OLD_SCHEDULES,
    OLDEST,
    OVERRIDES,
    SCHEDULE_ROWS,
    make,
    rejects,
)

from peewee_conv import Project

RANDOM_KILLS = 10  # for each journal mode; tests/stress has more
FEATURES = OLDEST + IN_PROGRESS + DEPENDENCIES + OLD_SCHEDULES + OVERRIDES + OLD_ROWS + MALFORMED + SCHEDULE_ROWS
MORE = """
WITH RECURSIVE numbers (n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM numbers WHERE n < 400)
INSERT INTO {table} SELECT {values} FROM numbers;
"""
FILES = {
    "features": FEATURES
    + MORE.format(
        table="features (id, priority, category, name, description, steps)", values="n, n, 'a', 'b', 'c', '[]'"
    ),
    "assistant": ASSISTANT
    + MORE.format(table="conversations", values="n, 'aurora', 'title ' || n, '2026-01-02 03:04:05.000006', NULL")
    + MORE.format(table="conversation_messages", values="n, n, iif(n % 50, 'user', 'robot'), 'hello ' || n, NULL"),
}
OLD_TABLES = {
    "features": {"features", "schedules", "schedule_overrides"},
    "assistant": {"conversations", "conversation_messages"},
}


class Old:
    """A project with one file of an older application.

    :param name: ``features`` or ``assistant``.
    """

    def __init__(self, folder: Path, name: str, journal: str) -> None:
        self.name, self.journal = name, journal
        self.root = folder / "project"
        self.path = self.root / ".autoforge" / f"{name}.db"
        self._template = folder / "template.db"
        make(self._template, FILES[name], journal)
        self.old = self._rows(self._template)
        self.reset()
        in_child(self.open)
        self.new, self.rejects = self._rows(self.path), rejects(self.path)

    def reset(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.path.parent.mkdir(parents=True)
        shutil.copy(self._template, self.path)

    def open(self) -> int:
        """Upgrade the file by the first use, and count its rows."""
        project = Project(self.root, journal_mode=self.journal)
        count = project.features.stats().total if self.name == "features" else len(project.conversations.list())
        project.dispose()
        return count

    def is_new(self) -> bool:
        """Check that the file is sound and wholly old or new; return whether it is new."""
        with closing(sqlite3.connect(self.path)) as connection:
            broken = problems(connection)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        found = self._rows(self.path)
        assert found == (self.new if version else self.old)
        # The orphan of the old file is what foreign_key_check reports of it.
        assert [row for row in broken if row[0] != "schedule_overrides" or version] == []
        return bool(version)

    def assert_upgraded_once(self) -> None:
        """Check that the file is new, and that what lies beside it is whole."""
        assert self.is_new()
        assert rejects(self.path) == self.rejects
        names = set(os.listdir(self.path.parent))
        copies = {name for name in names if ".before-0001_initial" in name}
        assert names - copies - {f"{self.path.name}-wal", f"{self.path.name}-shm"} == {
            self.path.name,
            f"{self.path.name}.rejected.jsonl",
        }
        assert copies
        assert all(self._rows(self.path.parent / name) == self.old for name in copies)

    def _rows(self, path: Path) -> dict[str, list[Any]]:
        with closing(sqlite3.connect(path)) as connection:
            connection.text_factory = lambda text: text.decode(errors="surrogateescape")
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            plain = [name for name in tables if not name.startswith(("sqlite_", "message_search"))]
            return {name: connection.execute(f"SELECT {self._columns(name)} FROM {name}").fetchall() for name in plain}

    def _columns(self, table: str) -> str:
        """Leave out what is the time of the upgrade."""
        return {
            "schema_migration": "name",
            "conversations": "id, title, project_name",
            "messages": "id, role, content, external_id",
        }.get(table, "*")


@pytest.fixture(params=["wal", "delete"])
def journal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", FILES)
def test_an_upgrade_killed_at_any_step_is_whole_or_absent(tmp_path: Path, name: str, journal: str) -> None:
    old = Old(tmp_path, name, journal)
    # Some steps of the beginning and fewer of the rows, which are all alike; others at each run.
    chance, step, killed = random.Random(), 1, 0
    while True:
        old.reset()
        if not killed_at_step(step, old.open):
            break

        killed += 1
        old.is_new()
        in_child(old.open)
        old.assert_upgraded_once()
        step += chance.randrange(1, 6) if step < 80 else chance.randrange(30, 100)
    assert killed > 25, "there were fewer steps than an upgrade has"


def kill_upgrades_at_random(folder: Path, name: str, journal: str, kills: int) -> int:
    """Kill that many upgrades at random moments, check each; return how many were killed before their end."""
    old = Old(folder, name, journal)
    old.reset()
    kill = RandomKills.timed_by(old.open)
    for _ in range(kills):
        old.reset()
        kill(old.open)
        old.is_new()
        in_child(old.open)
        old.assert_upgraded_once()
    return kill.hits


@pytest.mark.parametrize("name", FILES)
def test_upgrades_killed_at_random_moments_are_whole_or_absent(tmp_path: Path, name: str, journal: str) -> None:
    assert kill_upgrades_at_random(tmp_path, name, journal, RANDOM_KILLS) > RANDOM_KILLS // 4


@pytest.mark.parametrize("name", FILES)
def test_one_of_eight_processes_upgrades_an_old_file(tmp_path: Path, name: str, journal: str) -> None:
    old = Old(tmp_path, name, journal)
    old.reset()

    counts = race(old.open, [()] * 8)

    assert len(set(counts)) == 1
    old.assert_upgraded_once()
    assert len(list(old.path.parent.glob("*.before-*"))) == 1


def test_upgrades_killed_again_and_again_come_to_an_end(tmp_path: Path) -> None:
    old = Old(tmp_path, "features", "wal")
    old.reset()
    for step in itertools.islice(itertools.count(10, 15), 12):
        killed_at_step(step, old.open)

    in_child(old.open)

    old.assert_upgraded_once()
