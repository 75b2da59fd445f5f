"""A disk that refuses every single step of every kind, once and for good."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from disk_errors import Disk
from test_fault_disk_errors import (
    FILES,
    OPERATIONS,
    Old,
    refuse,
    refuse_converting,
    refuse_making,
    refuse_upgrading,
    share_commits,
)
from upgrade_fixture import Ladder

pytestmark = pytest.mark.timeout(900)

in_both_journals = pytest.mark.parametrize("journal", ["wal", "delete"])


def every() -> count[int]:
    return count(1)


def every_fifth() -> count[int]:
    return count(1, 5)


@in_both_journals
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_step_of_an_operation_may_fail(tmp_path: Path, disk: Disk, name: str, journal: str) -> None:
    assert refuse(disk, tmp_path / "project", name, journal, every, each_way=True) > 10


@in_both_journals
def test_each_step_of_a_shared_commit_may_fail(tmp_path: Path, disk: Disk, journal: str) -> None:
    assert share_commits(disk, tmp_path / "project", journal, every, each_way=True) > 20


@in_both_journals
def test_each_step_of_the_making_of_a_project_may_fail(tmp_path: Path, disk: Disk, journal: str) -> None:
    refuse_making(disk, tmp_path / "project", journal, every, each_way=True)


@in_both_journals
def test_each_step_of_an_upgrade_may_fail(tmp_path: Path, disk: Disk, journal: str) -> None:
    refuse_upgrading(disk, Ladder(tmp_path, journal), tmp_path / "project", every, each_way=True)


@in_both_journals
@pytest.mark.parametrize("name", FILES)
def test_a_step_of_the_upgrade_of_an_older_application_may_fail(
    tmp_path: Path, disk: Disk, name: str, journal: str
) -> None:
    refuse_converting(disk, Old(tmp_path, name, journal), every_fifth, each_way=True)
