"""Hundreds of power cuts, replayed: for each journal mode and durability, during upgrades, restores, deletions."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_files import Upkeep
from test_fault_legacy_upgrades import FILES
from test_fault_power_cuts import cut_legacy_upgrade, cut_upgrade, cut_work
from test_fault_power_cuts_files import cut_each, deletions, restores

RECORDINGS, CUTS, ROUNDS = 6, 200, 24  # threads take turns differently in each recording

in_both_journals = pytest.mark.parametrize("journal", ["wal", "delete"])


@pytest.mark.timeout(900)
@in_both_journals
@pytest.mark.parametrize("durability", ["full", "normal"])
@pytest.mark.parametrize("number", range(RECORDINGS))
def test_1200_power_cuts_leave_what_the_durability_promises(
    tmp_path: Path, journal: str, durability: str, number: int
) -> None:
    assert cut_work(tmp_path / str(number), journal, durability, CUTS, ROUNDS) == 4 * ROUNDS


@pytest.mark.timeout(900)
@in_both_journals
def test_400_power_cuts_leave_an_upgrade_whole_or_absent(tmp_path: Path, journal: str) -> None:
    cut_upgrade(tmp_path, journal, 400)


@pytest.mark.timeout(900)
@in_both_journals
@pytest.mark.parametrize("name", FILES)
def test_400_power_cuts_leave_an_upgrade_of_an_older_application_whole_or_absent(
    tmp_path: Path, name: str, journal: str
) -> None:
    cut_legacy_upgrade(tmp_path, name, journal, 400)


@pytest.mark.timeout(900)
@in_both_journals
def test_420_power_cuts_during_restores_leave_the_old_file_or_the_restored_one(tmp_path: Path, journal: str) -> None:
    assert cut_each(restores(tmp_path, journal), tmp_path / "cut", 70) == 420


@pytest.mark.timeout(900)
@in_both_journals
def test_420_power_cuts_during_deletions_leave_a_project_whole_or_gone(tmp_path: Path, journal: str) -> None:
    assert cut_each(deletions(tmp_path, journal), tmp_path / "cut", 70) == 420


@pytest.mark.timeout(900)
@in_both_journals
def test_400_power_cuts_during_a_vacuum_and_a_repair_lose_nothing(tmp_path: Path, journal: str) -> None:
    assert cut_each(iter([Upkeep(tmp_path / "upkeep", journal)]), tmp_path / "cut", 400) == 400
