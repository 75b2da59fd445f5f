"""``kill -9`` while a file is made or upgraded: the next open finds all or nothing of it, and finishes."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from fault_crash import RandomKills, killed_at_step
from fault_tools import assert_sound, in_child, rows
from upgrade_fixture import Ladder

from peewee_conv import Project

RANDOM_KILLS = 30


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_an_upgrade_killed_at_any_statement_is_whole_or_absent(tmp_path: Path, journal: str) -> None:
    ladder = Ladder(tmp_path, journal)
    path = tmp_path / "project"
    for step in itertools.count(1):
        ladder.make_old(path)
        if not killed_at_step(step, ladder.count_at_head, path):
            break

        assert ladder.version(path) in (1, 4)
        assert in_child(ladder.count_at_head, path) == ladder.counts
        ladder.assert_new(path)
        assert_copies_are_whole(ladder, path)
    assert step > 60, "there were fewer steps than an upgrade has"


def kill_upgrades_at_random(folder: Path, journal: str, kills: int) -> int:
    """Kill that many upgrades at random moments, check each; return how many were killed before their end."""
    ladder = Ladder(folder, journal)
    path = folder / "project"
    ladder.make_old(path)
    kill = RandomKills.timed_by(ladder.count_at_head, path)
    for _ in range(kills):
        ladder.make_old(path)
        kill(ladder.count_at_head, path)
        assert ladder.version(path) in (1, 4)
        assert in_child(ladder.count_at_head, path) == ladder.counts
        ladder.assert_new(path)
    return kill.hits


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_upgrades_killed_at_random_moments_are_whole_or_absent(tmp_path: Path, journal: str) -> None:
    assert kill_upgrades_at_random(tmp_path, journal, RANDOM_KILLS) > 0


def assert_copies_are_whole(ladder: Ladder, path: Path) -> None:
    """Whatever is called a copy from before the upgrade opens, and has every row."""
    folder = path / ".peewee_conv"
    names = sorted(os.listdir(folder))
    copies = [name for name in names if ".before-" in name]
    assert copies
    assert set(names) - set(copies) == {"deck.db"}
    for name in copies:
        assert rows(folder / name, "SELECT count(*) FROM card") == [(ladder.counts[1],)]


def make(path: Path) -> None:
    Project(path).conversations.create(id="first")


def test_a_project_killed_at_any_step_of_its_making_opens_afterwards(tmp_path: Path) -> None:
    for step in itertools.count(1):
        path = tmp_path / str(step)
        if not killed_at_step(step, make, path):
            break

        assert in_child(count_after_crash, path) in (0, 1)
        assert_sound(path / ".peewee_conv" / "assistant.db")
    assert step > 60, "there were fewer steps than the making of a project has"


def count_after_crash(path: Path) -> int:
    project = Project(path)
    found = len(project.conversations.list())
    project.conversations.create()
    project.dispose()
    return found
