"""Many threads of several processes write one file; a writer elsewhere keeps it too long."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count, pairwise
from pathlib import Path

import pytest
from fault_tools import PATIENT, Child, assert_sound, open_files, race, rows, wait_for

from peewee_conv import Project
from peewee_conv.errors import DatabaseBusy
from peewee_conv.models import Conversation

PROCESSES, THREADS, EACH = 4, 4, 150
DATABASE = Path(".peewee_conv", "assistant.db")


def append_from_threads(path: Path, journal: str, process: int, each: int) -> list[list[int]]:
    """Append from several threads; return the sequences that each was told."""
    project = Project(path, journal_mode=journal, **PATIENT)

    def append(thread: int) -> list[int]:
        writer = f"writer {process}.{thread}"
        add = project.conversations.add_message
        return [add("shared", "user", f"{writer} {n}", token_count=1).sequence for n in range(each)]

    with ThreadPoolExecutor(THREADS) as pool:
        told = list(pool.map(append, range(THREADS)))
    project.dispose()
    return told


def contend(path: Path, journal: str, each: int) -> None:
    """Let all processes append to one conversation at once, and check what they were told against the file."""
    project = Project(path, journal_mode=journal)
    project.conversations.create(id="shared")
    project.dispose()

    answers = race(append_from_threads, [(path, journal, process, each) for process in range(PROCESSES)])

    by_thread = [told for answer in answers for told in answer]
    total = PROCESSES * THREADS * each
    assert sorted(sequence for told in by_thread for sequence in told) == list(range(1, total + 1))
    assert all(earlier < later for told in by_thread for earlier, later in pairwise(told))
    stored = dict(rows(path / DATABASE, "SELECT sequence, content FROM messages"))
    for process, answer in enumerate(answers):
        for thread, told in enumerate(answer):
            assert [stored[n] for n in told] == [f"writer {process}.{thread} {number}" for number in range(each)]
    assert_sound(path / DATABASE)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_appends_of_many_processes_and_threads_are_numbered_without_gap_or_double(tmp_path: Path, journal: str) -> None:
    contend(tmp_path / "project", journal, EACH)


def mix(path: Path, process: int) -> int:
    """Read, write and count in scopes and transactions; return how often this process added one."""
    project = Project(path)

    def work(thread: int) -> None:
        for number in range(25):
            with project, project.atomic():
                row = Conversation.get(Conversation.id == "shared")
                time.sleep(0.0005)  # between the read and the write
                row.token_count += 1
                row.save(only=[Conversation.token_count])
            project.conversations.create(id=f"{process}-{thread}-{number}")
            assert project.conversations.get(f"{process}-{thread}-{number}").message_count == 0
            project.conversations.update("shared", title=f"{process} {thread}")  # reads, then writes

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert len(open_files(path)) <= 2 * 16 + 1
    project.dispose()
    assert open_files(path) == []
    return 16 * 25


def test_nothing_is_lost_between_four_processes_of_sixteen_threads_on_one_project(tmp_path: Path) -> None:
    path = tmp_path / "project"
    project = Project(path)
    project.conversations.create(id="shared")
    project.dispose()

    added = race(mix, [(path, process) for process in range(PROCESSES)])

    assert rows(path / DATABASE, "SELECT token_count FROM conversations WHERE id = 'shared'") == [(sum(added),)]
    assert rows(path / DATABASE, "SELECT count(*) FROM conversations") == [(sum(added) + 1,)]


# --- a busy writer ---------------------------------------------------------------------------------------------------


def hold_lock(path: Path, signs: Path, seconds: float) -> None:
    """Keep the write lock of a file for that time, as a writer of another application does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        signs.touch()
        time.sleep(seconds)
        connection.execute("COMMIT")


@pytest.fixture(params=["wal", "delete"])
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Project, Child]:
    """A project with a timeout of 300 ms whose file another process keeps locked for two seconds."""
    path = tmp_path / "project"
    project = Project(path, journal_mode=request.param)
    project.conversations.create(id="talk")
    project.dispose()
    child = Child(hold_lock, path / DATABASE, tmp_path / "locked", 2.0)
    wait_for((tmp_path / "locked").exists)
    return Project(path, journal_mode=request.param, busy_timeout_ms=300), child


def test_a_writer_beyond_the_timeout_is_reported_and_the_project_stays_usable(busy: tuple[Project, Child]) -> None:
    project, child = busy
    started = time.monotonic()
    with pytest.raises(DatabaseBusy):
        project.conversations.create(id="other")
    assert 0.25 < time.monotonic() - started < 1.5
    child.result()

    assert project.conversations.create(id="other").id == "other"
    assert project.conversations.add_message("talk", "user", "Hello!").sequence == 1
    project.dispose()


def test_every_thread_that_waits_gets_its_own_busy_error_in_time(busy: tuple[Project, Child]) -> None:
    project, child = busy
    outcomes: list[object] = []

    def append() -> None:
        started = time.monotonic()
        try:
            project.conversations.add_message("talk", "user", "Hello!")
        except DatabaseBusy as error:
            outcomes.append(error)
        assert time.monotonic() - started < 1.5

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child.result()

    assert len(set(map(id, outcomes))) == 4
    assert project.conversations.add_message("talk", "user", "Hello!").sequence == 1
    project.dispose()


def test_a_writer_within_the_timeout_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "project"
    project = Project(path)
    project.conversations.create(id="talk")
    child = Child(hold_lock, path / DATABASE, tmp_path / "locked", 0.4)
    wait_for((tmp_path / "locked").exists)

    assert project.conversations.add_message("talk", "user", "Hello!").sequence == 1

    child.result()
    project.dispose()


def test_readers_do_not_wait_for_a_writer_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "project"
    project = Project(path)
    project.conversations.create(id="talk")
    child = Child(hold_lock, path / DATABASE, tmp_path / "locked", 2.0)
    wait_for((tmp_path / "locked").exists)

    started = time.monotonic()
    assert project.conversations.get("talk").id == "talk"
    assert time.monotonic() - started < 1

    assert os.waitpid(child.pid, os.WNOHANG) == (0, 0)
    child.result()
    project.dispose()


def keep_busy(path: Path, journal: str, stop: Path) -> int:
    """Take the lock again as soon as it is given back, until told to stop; return how often that was."""
    project = Project(path, journal_mode=journal)
    for turns in count(1):
        with project, project.atomic():
            project.conversations.add_message("talk", "user", "Hello!")
            time.sleep(0.02)  # a slow disk
        if stop.exists():
            project.dispose()
            return turns
    raise AssertionError


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_process_that_writes_without_pause_starves_no_other_one(tmp_path: Path, journal: str) -> None:
    path, stop = tmp_path / "project", tmp_path / "stop"
    project = Project(path, journal_mode=journal)
    project.conversations.create(id="talk")
    project.dispose()
    busy = Child(keep_busy, path, journal, stop)
    project = Project(path, journal_mode=journal, busy_timeout_ms=30_000)
    wait_for(lambda: project.conversations.get("talk").message_count > 1)

    try:
        for number in range(6):
            project.conversations.add_message("talk", "user", f"{number}")
    finally:
        stop.touch()

    turns = busy.result()
    assert project.conversations.get("talk").message_count == 6 + turns
    project.dispose()
