"""Making files: what a killed maker leaves behind, and whose a converted file is."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from peewee_conv import Project


@pytest.mark.parametrize(("age", "stays"), [(7200, False), (60, True)])
def test_draft_of_a_killed_maker_goes_when_it_is_old(project: Project, age: int, stays: bool) -> None:
    path = project.database_path()
    path.parent.mkdir(mode=0o700, parents=True)
    draft = path.with_name(f"{path.name}.new-1-aa")
    draft.write_bytes(b"half")
    os.utime(draft, (time.time() - age,) * 2)

    project.conversations.create()

    assert draft.exists() is stays


@pytest.mark.parametrize(
    ("name", "age", "stays"),
    [
        ("b.db.new-1-aa", 2, False),
        ("b.db.new-1-aa-journal", 2, False),
        ("b.db.new-1-aa", 0.5, True),
        ("b.db.new-copy", 2, True),
        ("a-b.db.new-1-aa", 2, True),
    ],
)
def test_draft_of_a_backup_that_was_killed_goes_with_the_next_one_after_a_day(
    project: Project, tmp_path: Path, name: str, age: float, stays: bool
) -> None:
    project.conversations.create()
    draft = tmp_path / name
    draft.write_bytes(b"half")
    os.utime(draft, (time.time() - age * 86_400,) * 2)

    project.backup(tmp_path / "b.db")

    assert draft.exists() is stays


def test_draft_of_a_restore_that_was_killed_goes_with_the_next_one(project: Project, tmp_path: Path) -> None:
    project.conversations.create()
    project.backup(tmp_path / "b.db")
    draft = project.database_path().with_name("assistant.db.new-1-aa")
    draft.write_bytes(b"half")
    os.utime(draft, (time.time() - 2 * 86_400,) * 2)

    project.restore(tmp_path / "b.db")

    assert not draft.exists()


def test_converted_file_is_readable_by_its_owner_alone(tmp_path: Path, make_project: Callable[..., Project]) -> None:
    old = tmp_path / "old" / "features.db"
    old.parent.mkdir()
    connection = sqlite3.connect(old)
    connection.execute(
        "CREATE TABLE features (id INTEGER PRIMARY KEY, priority, category, name, description, steps, passes)"
    )
    connection.close()
    old.chmod(0o644)

    make_project("old").features.stats()

    assert old.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("journal", "suffix"), [("wal", "-wal"), ("delete", "-journal")])
def test_log_of_a_file_that_has_gone_is_not_taken_for_that_of_the_new_one(
    make_project: Callable[..., Project], journal: str, suffix: str
) -> None:
    project = make_project(journal_mode=journal)
    log = Path(f"{project.database_path()}{suffix}")
    with project.atomic():
        for _ in range(2):  # the second one finds something to keep a journal of
            project.conversations.create()
    with project.atomic():
        project.conversations.create()
        left = log.read_bytes()
    project.dispose()
    project.database_path().unlink()
    log.write_bytes(left)

    project = make_project(journal_mode=journal)

    assert project.conversations.list() == []
    assert project.check() == []
