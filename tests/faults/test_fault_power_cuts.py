"""Power cuts: what was acknowledged is there, or at least the file is sound, whatever the disk had not yet written.

No power is cut. Real work is recorded, write by write and sync by sync, and then played back up to many moments; the
module ``power_cuts`` says what a disk may have made of it. ``tests/stress`` has the full counts.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from fault_tools import rows
from power_cuts import Recording, cuts
from recorded_work import Work
from test_fault_killed_upgrades import assert_copies_are_whole
from test_fault_legacy_upgrades import FILES, Old
from upgrade_fixture import Ladder

from peewee_conv import Project
from peewee_conv.database import files
from peewee_conv.errors import PeeweeConvError
from peewee_conv.maintenance import downgrade

CUTS, UPGRADE_CUTS, ROUNDS = 40, 15, 10

in_both_journals = pytest.mark.parametrize("journal", ["wal", "delete"])


def cut_work(folder: Path, journal: str, durability: str, count: int, rounds: int = ROUNDS) -> int:
    """Check the work of all kinds after that many cuts; return how many messages it acknowledged."""
    work = Work(folder / "work", journal, durability, rounds)
    for moment in cuts(work.recording, folder / "cut", count):
        work.assert_survives(folder / "cut", moment, all_acknowledged=durability == "full")
    return len(work.contents)


def count_losses(folder: Path, journal: str, durability: str, count: int) -> int:
    """Return after how many of the cuts something acknowledged was missing, or the file broken."""
    work = Work(folder / "work", journal, durability, ROUNDS)
    losses = 0
    for moment in cuts(work.recording, folder / "cut", count):
        try:
            work.assert_survives(folder / "cut", moment, all_acknowledged=True)
        except (AssertionError, PeeweeConvError, sqlite3.Error):
            losses += 1
    return losses


@in_both_journals
def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, journal: str) -> None:
    assert cut_work(tmp_path, journal, "full", CUTS) == 4 * ROUNDS


@in_both_journals
def test_a_power_cut_leaves_a_sound_file_where_writes_do_not_wait_for_the_disk(tmp_path: Path, journal: str) -> None:
    assert cut_work(tmp_path, journal, "normal", CUTS) == 4 * ROUNDS


# --- the replay itself: it finds what there is to find ---


@in_both_journals
def test_without_syncs_the_replay_finds_losses(tmp_path: Path, journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_synchronous", lambda durability, mode: "OFF")

    assert count_losses(tmp_path, journal, "full", CUTS) > CUTS // 4


@in_both_journals
def test_the_replay_finds_what_normal_durability_gives_up(tmp_path: Path, journal: str) -> None:
    assert count_losses(tmp_path, journal, "normal", 2 * CUTS) > 0


# --- upgrades ---


def cut_upgrade(folder: Path, journal: str, count: int) -> None:
    ladder = Ladder(folder, journal)
    path = folder / "project"
    ladder.make_old(path)
    recording = Recording(path)
    with recording.running():
        ladder.count_at_head(path)
        recording.mark("upgraded")

    for moment in cuts(recording, path, count):
        assert ladder.version(path) in ((4,) if recording.told(moment) else (1, 4))
        assert ladder.count_at_head(path) == ladder.counts
        ladder.assert_new(path)
        assert_copies_are_whole(ladder, path)


def cut_legacy_upgrade(folder: Path, name: str, journal: str, count: int) -> None:
    old = Old(folder, name, journal)
    old.reset()
    recording = Recording(old.root)
    with recording.running():
        old.open()
        recording.mark("upgraded")

    for moment in cuts(recording, old.root, count):
        assert old.is_new() or not recording.told(moment)
        old.open()
        old.assert_upgraded_once()


@in_both_journals
def test_an_upgrade_during_a_power_cut_is_whole_or_absent(tmp_path: Path, journal: str) -> None:
    cut_upgrade(tmp_path, journal, UPGRADE_CUTS)


@in_both_journals
@pytest.mark.parametrize("name", FILES)
def test_an_upgrade_of_an_older_application_during_a_power_cut_is_whole_or_absent(
    tmp_path: Path, name: str, journal: str
) -> None:
    cut_legacy_upgrade(tmp_path, name, journal, UPGRADE_CUTS)


@in_both_journals
def test_the_second_script_during_a_power_cut_is_whole_or_absent(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "project"
    project = Project(path, journal_mode=journal)
    project.conversations.create(id="talk")
    project.conversations.add_messages("talk", [{"role": "user", "content": f"word{n}"} for n in range(50)])
    downgrade(project, to=1)
    project.dispose()
    recording = Recording(path)
    with recording.running():
        assert len(Project(path, journal_mode=journal).conversations.messages("talk")) == 50
        recording.mark("upgraded")
        Project(path).dispose()

    for moment in cuts(recording, path, UPGRADE_CUTS):
        database = path / ".peewee_conv" / "assistant.db"
        assert rows(database, "PRAGMA user_version")[0] in (((2,),) if recording.told(moment) else ((1,), (2,)))
        project = Project(path, journal_mode=journal)
        assert [message.sequence for message in project.conversations.messages("talk")] == list(range(1, 51))
        assert project.check() == []
        project.dispose()
