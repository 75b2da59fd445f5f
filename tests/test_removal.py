"""Deleting a project's files: what a killed deletion leaves goes with the next one, and nothing else does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from peewee_conv import Project, Projects

LEFT = ".peewee_conv.deleted-123-0a1b2c3d"


def leave(project: Project, name: str = LEFT) -> Path:
    """Leave what a deletion has renamed and not yet deleted."""
    left = project.path / name
    (left / "sub").mkdir(parents=True)
    (left / "assistant.db").write_bytes(b"what was said")
    return left


@pytest.mark.parametrize(
    "call",
    [Project.delete, lambda project: project.conversations.create(), lambda project: project.features.stats()],
    ids=["delete", "conversation", "feature"],
)
def test_what_a_killed_deletion_has_left_goes_when_the_project_is_deleted_or_made_again(
    project: Project, call: Callable[[Project], object]
) -> None:
    left = leave(project)

    call(project)

    assert not left.exists()


def test_leftovers_alone_are_no_project(tmp_path: Path) -> None:
    projects = Projects(tmp_path)
    leave(projects.create("aurora"))

    assert not projects.get("aurora").delete()
    assert projects.delete("aurora")
    assert projects.list() == []


@pytest.mark.parametrize("name", [".peewee_conv.deleted-by-me", f"{LEFT}0", f"x{LEFT}", "notes"])
def test_a_folder_of_somebody_else_stays(project: Project, name: str) -> None:
    other = leave(project, name)
    project.conversations.create()

    assert project.delete()

    assert (other / "assistant.db").read_bytes() == b"what was said"


def test_a_link_of_such_a_name_stays_with_what_it_leads_to(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    project.conversations.create()
    (project.path / LEFT).symlink_to(tmp_path / "elsewhere")

    assert project.delete()

    assert (project.path / LEFT).is_symlink()
    assert (tmp_path / "elsewhere").is_dir()


def test_beside_files_of_others_the_folders_of_ours_go_too(project: Project) -> None:
    project.conversations.create()
    folder = project.database_path().parent
    (folder / "notes.txt").write_text("mine")
    (folder / "assistant.db.dry-run-abc" / ".peewee_conv").mkdir(parents=True)

    assert project.delete()

    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_damaged_file_with_a_log_goes_beside_files_of_others(project: Project) -> None:
    folder = project.database_path().parent
    folder.mkdir(parents=True)
    for name in ("assistant.db", "assistant.db-wal", "features.db-journal", "notes.txt"):
        (folder / name).write_bytes(b"garbage" * 1000)

    assert project.delete()

    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_folder_of_somebody_else_stays_beside_a_database(project: Project) -> None:
    project.conversations.create()
    folder = project.database_path().parent
    (folder / "assistant.db.copies").mkdir()
    (folder / "assistant.db.copies" / "monday.db").write_text("mine")

    assert project.delete()

    assert [path.name for path in folder.iterdir()] == ["assistant.db.copies"]
    assert (folder / "assistant.db.copies" / "monday.db").read_text() == "mine"


def test_the_log_of_somebody_else_is_left_alone(project: Project) -> None:
    project.conversations.create()
    folder = project.database_path().parent
    with closing(sqlite3.connect(folder / "Other.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE notes (text)")
        connection.commit()
        before = (folder / "Other.db-wal").read_bytes()

        assert project.delete()

        assert before == (folder / "Other.db-wal").read_bytes() != b""


def test_a_folder_with_the_name_of_a_database_does_not_keep_the_files_of_ours(project: Project) -> None:
    project.conversations.create()
    folder = project.database_path().parent
    (folder / "old.db").mkdir()
    (folder / "old.db-wal").write_bytes(b"")

    assert project.delete()

    assert [path.name for path in folder.iterdir()] == ["old.db"]
