"""Two hundred kills at random moments of the upgrades of an older application's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_fault_legacy_upgrades import FILES, kill_upgrades_at_random

KILLS = 50  # for each of the four combinations


@pytest.mark.timeout(900)
@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("name", FILES)
def test_200_upgrades_killed_at_random_moments_are_whole_or_absent(tmp_path: Path, name: str, journal: str) -> None:
    assert kill_upgrades_at_random(tmp_path, name, journal, KILLS) > KILLS // 4
