"""A project is deleted while threads and processes write to it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from fault_tools import PATIENT, Child, open_files, race, wait_for
from peewee import OperationalError

from peewee_conv import Project
from peewee_conv.errors import DatabaseGone, PeeweeConvError, ProjectDisposed
from peewee_conv.models import Conversation


def write_until_disposed(path: Path, journal: str, way: int) -> str:
    """Append until the project is gone; return the name of the error that said so."""
    project = Project(path, journal_mode=journal, **PATIENT)
    for number in count():
        try:
            if way == 0:
                project.conversations.add_message("talk", "user", f"message {number}")
            elif way == 1:
                with project, project.atomic():
                    project.conversations.add_message("talk", "user", f"message {number}")
            else:
                with project:
                    Conversation.update(title=str(number)).execute()
        except OperationalError:
            assert way == 2  # plain Peewee speaks of its own errors; the next call says what happened
        except PeeweeConvError as error:
            assert_stays_gone(project, way)
            return type(error).__name__
        (path / f"wrote-{os.getpid()}").touch()
    raise AssertionError


def assert_stays_gone(project: Project, way: int) -> None:
    """Whoever holds the old object neither brings the project back nor gets another kind of error."""
    for _ in range(3):
        try:
            project.conversations.create(id="back")
        except ProjectDisposed:
            pass
        else:
            raise AssertionError("the deleted project took a write")


def write_from_threads(path: Path, journal: str) -> list[str]:
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda way: write_until_disposed(path, journal, way), range(3)))


def delete_when_written(path: Path, journal: str, writers: int) -> bool:
    project = Project(path, journal_mode=journal, **PATIENT)
    project.conversations.get("talk")
    (path / f"opened-{os.getpid()}").touch()
    wait_for(lambda: len(list(path.glob("wrote-*"))) == writers and len(list(path.glob("opened-*"))) == 2)
    return project.delete()


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("turn", range(5))
def test_two_processes_delete_a_project_in_use_and_every_writer_is_told(
    tmp_path: Path, journal: str, turn: int
) -> None:
    path = tmp_path / "project"
    project = Project(path, journal_mode=journal)
    project.conversations.create(id="talk")
    project.dispose()
    writers = [Child(write_from_threads, path, journal) for _ in range(2)]

    deleted = race(delete_when_written, [(path, journal, 2)] * 2)

    assert sorted(deleted) == [False, True]
    for writer in writers:
        assert set(writer.result()) <= {"DatabaseGone", "ProjectDisposed"}
    assert [name for name in os.listdir(path) if not name.startswith(("wrote-", "opened-"))] == []


def test_threads_of_the_process_that_deletes_are_told_too(tmp_path: Path) -> None:
    path = tmp_path / "project"
    project = Project(path, **PATIENT)
    project.conversations.create(id="talk")
    with ThreadPoolExecutor(3) as pool:
        errors = [pool.submit(write_until_disposed, path, "auto", way) for way in range(3)]
        wait_for((path / f"wrote-{os.getpid()}").exists)
        time.sleep(0.05)

        assert project.delete() is True

        assert {error.result() for error in errors} == {"ProjectDisposed"}
    assert open_files(path) == []
    assert not (path / ".peewee_conv").exists()
    assert project.delete() is False


def test_a_deleted_project_that_is_constructed_again_starts_clean(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.conversations.create(id="talk")
    assert project.delete()

    again = Project(tmp_path / "project")

    assert again.conversations.find("talk") is None
    assert again.conversations.create(id="talk").message_count == 0
    again.dispose()


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_disappears_under_an_open_project_takes_no_write(
    tmp_path: Path, journal: str, is_replaced: bool
) -> None:
    project = Project(tmp_path / "project", journal_mode=journal)
    project.conversations.create(id="talk")
    path = project.database_path()
    moved = tmp_path / "moved"
    moved.mkdir()
    with project:
        assert Conversation.select().count() == 1
        for name in os.listdir(path.parent):
            os.rename(path.parent / name, moved / name)
        if is_replaced:
            other = Project(tmp_path / "other", journal_mode=journal)
            other.conversations.create(id="of another file")
            other.dispose()
            os.rename(other.database_path(), path)

        with pytest.raises(DatabaseGone), project.atomic():
            project.conversations.add_message("talk", "user", "into nowhere")
    project.dispose()


def test_an_append_after_the_file_was_replaced_goes_into_the_file_at_the_path(tmp_path: Path) -> None:
    project, other = Project(tmp_path / "project"), Project(tmp_path / "other")
    for each in (project, other):
        each.conversations.create(id="talk")
    other.dispose()
    os.replace(other.database_path(), project.database_path())

    try:
        acknowledged = project.conversations.add_message("talk", "user", "Hello!")
    except DatabaseGone:
        acknowledged = project.conversations.add_message("talk", "user", "Hello!")

    project.dispose()
    assert acknowledged.sequence == 1
    assert [message.content for message in Project(tmp_path / "project").conversations.messages("talk")] == ["Hello!"]
    Project(tmp_path / "project").dispose()
