"""Imports and backups of several processes, and imports that are killed."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_tools import Child, assert_sound, contents, in_child, race, rows

from peewee_conv import Project, backup
from peewee_conv.errors import DatabaseBusy, PeeweeConvError
from peewee_conv.transfer import ImportReport, export_conversations, export_markdown, import_conversations

Maker = Callable[..., Project]

TALKS, MESSAGES = 300, 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of conversations that take several transactions to store."""
    path = tmp_path / "talks.jsonl"
    with path.open("w") as file:
        for talk in range(TALKS):
            messages = [{"role": "user", "content": f"talk {talk} message {n}"} for n in range(MESSAGES)]
            file.write(json.dumps({"id": f"t-{talk}", "messages": messages}) + "\n")
    return path


def do_import(path: Path, source: Path) -> ImportReport:
    project = Project(path)
    try:
        return import_conversations(project, source)
    finally:
        project.dispose()


def assert_imported_once(project: Project) -> None:
    assert rows(project.database_path(), "SELECT count(*), count(DISTINCT content) FROM messages") == [
        (TALKS * MESSAGES, TALKS * MESSAGES)
    ]
    assert_sound(project.database_path())


def test_processes_that_import_the_same_file_at_once_store_it_once(project: Project, source: Path) -> None:
    reports = race(do_import, [(project.path, source)] * 4)

    assert sum(report.conversations_added for report in reports) == TALKS
    assert sum(report.messages_added for report in reports) == TALKS * MESSAGES
    assert_imported_once(project)


def test_import_that_was_killed_is_finished_by_the_next_one(make_project: Maker, source: Path) -> None:
    seeded = random.Random(5)
    for turn in range(12):
        project = make_project(f"killed-{turn}")
        in_child(lambda path: Project(path).conversations.list(), project.path)
        child = Child(do_import, project.path, source)
        time.sleep(seeded.uniform(0.02, 0.25))
        child.kill()
        child.forget()

        do_import(project.path, source)

        assert_imported_once(project)


def write_until_told(path: Path, stop: Path, journal_mode: str) -> int:
    project = Project(path, journal_mode=journal_mode, durability="normal")
    count = 0
    while not stop.exists():
        project.conversations.add_message("c", "user", "x" * 500)
        count += 1
        time.sleep(0.001)  # some 1,500 a second of two processes: else the file would outgrow its copies
    project.dispose()
    return count


def back_up_beside_writers(folder: Path, journal_mode: str, copies: int) -> float:
    """Make so many backups while two processes write, check each, and return how much was written per second."""
    project = Project(folder / "project", journal_mode=journal_mode, durability="normal")
    project.conversations.create(id="c")
    project.conversations.add_messages("c", [{"role": "user", "content": "x" * 5000}] * 500)
    project.dispose()
    project = Project(project.path, journal_mode=journal_mode, durability="normal")
    stop = folder / "stop"
    children = [Child(write_until_told, project.path, stop, journal_mode, seconds=600) for _ in range(2)]
    started, seconds = time.monotonic(), 0.0
    counts = []
    try:
        for number in range(copies):
            copy = folder / f"{number}.db"
            project.backup(copy)
            counts += rows(copy, "SELECT count(*), max(sequence) FROM messages")
            assert_sound(copy)
            copy.unlink()
    finally:
        stop.touch()
        seconds = time.monotonic() - started
        project.dispose()
    written = sum(child.result() for child in children)

    assert written > 0
    assert counts == sorted(counts)
    assert all(count == last for count, last in counts)
    return written / seconds


# Without a log, readers and writers of other processes poll for one lock: that takes its time.
@pytest.mark.parametrize(("journal_mode", "copies"), [("wal", 10), ("delete", 5)])
def test_backups_beside_writing_processes_are_each_a_consistent_beginning(
    tmp_path: Path, journal_mode: str, copies: int
) -> None:
    assert back_up_beside_writers(tmp_path, journal_mode, copies) > 0


def hold_open(path: Path, ready: Path, stop: Path) -> None:
    project = Project(path)
    project.conversations.list()
    ready.touch()
    while not stop.exists():
        time.sleep(0.01)
    project.dispose()


def test_restore_is_refused_while_another_process_has_the_database_open(project: Project, tmp_path: Path) -> None:
    project.conversations.create(id="c")
    project.backup(tmp_path / "b.db")
    project.conversations.create(id="later")
    project.dispose()
    ready, stop = tmp_path / "ready", tmp_path / "stop"
    child = Child(hold_open, project.path, ready, stop)
    while not ready.exists():
        time.sleep(0.01)

    with pytest.raises(DatabaseBusy, match="the file is open elsewhere"):
        backup.restore(Project(project.path), tmp_path / "b.db", timeout=0.3)
    stop.touch()
    child.result()

    assert in_child(lambda path: len(Project(path).conversations.list()), project.path) == 2


def restore(path: Path, copy: Path) -> None:
    Project(path).restore(copy)


def test_restore_that_was_killed_leaves_the_old_or_the_new_database(make_project: Maker, tmp_path: Path) -> None:
    seeded = random.Random(7)
    for turn in range(15):
        project = make_project(f"restored-{turn}")
        project.conversations.create(id="c")
        project.backup(tmp_path / f"{turn}.db")
        project.conversations.create(id="later")
        project.dispose()
        child = Child(restore, project.path, tmp_path / f"{turn}.db")
        time.sleep(seeded.uniform(0.005, 0.08))
        child.kill()
        child.forget()

        assert_sound(project.database_path())
        assert rows(project.database_path(), "SELECT count(*) FROM conversations") in ([(1,)], [(2,)])


def test_import_of_a_rejected_file_leaves_a_project_as_it_was(project: Project, source: Path) -> None:
    project.conversations.create(id="mine")
    project.dispose()
    before = contents(project.path)
    with source.open("a") as file:
        file.write('{"id": "poisoned", "messages": [{"role": "user"}]}\n')

    answer = in_child(rejected, project.path, source)

    assert answer.endswith("nothing was written")
    assert contents(project.path) == before
    assert os.path.exists(source)


def rejected(path: Path, source: Path) -> str:
    project = Project(path)
    try:
        import_conversations(project, source)
    except ValueError as error:
        return str(error)
    finally:
        project.dispose()
    return "it was taken"


def without_room(work: Callable[[Project, Path], object], path: Path, target: Path, room: int) -> str:
    """Return what *work* raised where no file may become larger than *room*."""
    import resource
    import signal

    project = Project(path)
    project.conversations.list()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        work(project, target)
    except PeeweeConvError as error:
        return type(error).__name__
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        project.dispose()
    return "nothing"


@pytest.mark.parametrize("work", [backup.backup, export_conversations, export_markdown])
def test_file_for_which_there_is_no_room_is_an_error_of_ours_and_leaves_nothing(
    project: Project, source: Path, tmp_path: Path, work: Callable[[Project, Path], object]
) -> None:
    in_child(do_import, project.path, source)
    before = sorted(os.listdir(tmp_path))

    answer = in_child(without_room, work, project.path, tmp_path / "target", 300_000)

    assert answer in ("DatabaseFull", "DatabaseIOError")
    assert sorted(os.listdir(tmp_path)) == before


def test_import_that_has_no_room_to_be_checked_in_writes_nothing(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "large.jsonl"
    with source.open("w") as file:
        for talk in range(10):
            file.write(json.dumps({"id": f"t-{talk}", "messages": [{"role": "user", "content": "x" * 10**6}]}) + "\n")

    answer = in_child(without_room, import_conversations, project.path, source, 6_000_000)

    assert answer in ("DatabaseFull", "DatabaseIOError")
    assert rows(project.database_path(), "SELECT count(*) FROM conversations") == [(0,)]
