"""Power cuts while a file is replaced, deleted, repaired or made smaller: it is the old one or the new one, whole.

As in ``test_fault_power_cuts.py`` no power is cut: the calls are recorded and played back. ``tests/stress`` has the
full counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from power_cuts import cuts
from recorded_files import Deletion, Restore, Story, Upkeep

from peewee_conv import paths
from peewee_conv.errors import PeeweeConvError

CUTS = 4  # of each recording

in_both_journals = pytest.mark.parametrize("journal", ["wal", "delete"])


def restores(folder: Path, journal: str) -> Iterator[Story]:
    """Record restores of every kind: six."""
    for found in ("in use", "killed", "missing"):
        for keep_old in (True, False):
            yield Restore(folder / f"restore {found} {keep_old}", journal, found, keep_old=keep_old)


def deletions(folder: Path, journal: str) -> Iterator[Story]:
    """Record deletions of every kind: six."""
    for place in ("only ours", "others", "older"):
        for was_killed in (True, False):
            yield Deletion(folder / f"delete {place} {was_killed}", journal, place, was_killed=was_killed)


def cut_each(stories: Iterator[Story], target: Path, count: int) -> int:
    """Check each recording after that many cuts; return how many there were."""
    done = 0
    for story in stories:
        for moment in cuts(story.recording, target, count, story.window):
            story.assert_survives(target, moment)
            done += 1
    return done


def finds_loss(stories: Iterator[Story], target: Path, count: int) -> bool:
    """Say whether after one of so many cuts of each recording something is missing, or there that should not be."""
    for story in stories:
        for moment in cuts(story.recording, target, count, story.window):
            try:
                story.assert_survives(target, moment)
            except (AssertionError, PeeweeConvError, sqlite3.Error, OSError):
                return True
    return False


@in_both_journals
def test_a_restore_during_a_power_cut_leaves_the_old_file_or_the_restored_one(tmp_path: Path, journal: str) -> None:
    assert cut_each(restores(tmp_path, journal), tmp_path / "cut", CUTS) == 6 * CUTS


@in_both_journals
def test_a_project_deleted_during_a_power_cut_is_whole_or_gone(tmp_path: Path, journal: str) -> None:
    assert cut_each(deletions(tmp_path, journal), tmp_path / "cut", CUTS) == 6 * CUTS


@in_both_journals
def test_a_repair_and_a_vacuum_during_a_power_cut_lose_nothing(tmp_path: Path, journal: str) -> None:
    assert cut_each(iter([Upkeep(tmp_path / "upkeep", journal)]), tmp_path / "cut", 2 * CUTS) == 2 * CUTS


# --- the replay itself: it finds what there is to find ---


@in_both_journals
@pytest.mark.parametrize("record", [restores, deletions])
def test_without_the_syncs_of_the_package_the_replay_finds_a_loss(
    tmp_path: Path, journal: str, record: Callable[[Path, str], Iterator[Story]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "sync", lambda path: None)

    assert finds_loss(record(tmp_path, journal), tmp_path / "cut", 4 * CUTS)
