"""A hundred backups beside processes that write some 1,500 messages a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_fault_transfer import back_up_beside_writers


@pytest.mark.timeout(900)
@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_100_backups_beside_writing_processes_are_each_a_consistent_beginning(
    tmp_path: Path, journal_mode: str
) -> None:
    rate = back_up_beside_writers(tmp_path, journal_mode, 100)

    print(f"{journal_mode}: {rate:.0f} writes per second")  # a bar for a quiet machine: pytest -rP shows it
    assert rate > 0
