"""Forks: a child never touches what it inherits, works with connections of its own, and the parent notices nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from fault_tools import Child, assert_sound, in_child, open_files, run_script, wait_for

from peewee_conv import Project, counters, metrics
from peewee_conv.database.cache import cache
from peewee_conv.database.turnstile import readers
from peewee_conv.errors import DatabaseBusy, DatabaseGone, ProjectDisposed
from peewee_conv.models import Conversation, Message, assistant


@pytest.fixture(params=["wal", "delete"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path / "project", journal_mode=request.param)
    project.conversations.create(id="talk")
    yield project
    project.dispose()
    assert_sound(project.database_path())


def append(project: Project, content: str = "from the child") -> int:
    return project.conversations.add_message("talk", "user", content).sequence


def test_a_child_works_with_connections_of_its_own_beside_its_parent(project: Project) -> None:
    append(project)

    child = Child(lambda: [append(project) for _ in range(50)])
    own = [append(project) for _ in range(50)]

    assert sorted(child.result() + own) == list(range(2, 102))


def test_a_child_forked_inside_a_scope_works_in_it_and_leaves_it(project: Project) -> None:
    def work() -> tuple[int, int, int]:
        with project:
            inner = Conversation.select().count()
        return Conversation.select().count(), inner, append(project)

    with project:
        assert Conversation.select().count() == 1
        assert in_child(work) == (1, 1, 1)
        assert Conversation.get().message_count == 1
        assert append(project) == 2


def test_a_child_forked_inside_a_transaction_gets_one_clear_error_and_the_parent_commits(project: Project) -> None:
    def work() -> list[str]:
        said = []
        with suppress(DatabaseBusy):
            try:
                append(project)
            except ProjectDisposed as error:
                said.append(str(error))
        return said

    with project.atomic():
        append(project)
        (said,) = in_child(work)
        assert append(project) == 2

    assert "fork" in said
    assert append(project) == 3


def test_a_child_that_leaves_the_block_of_its_parent_neither_commits_nor_rolls_back(project: Project) -> None:
    def fork_in_block() -> int:
        with project.atomic():
            append(project)
            return os.fork()

    pid = fork_in_block_quietly(fork_in_block)

    assert os.waitpid(pid, 0)[1] == 0
    assert append(project) == 2


def fork_in_block_quietly(fork_in_block: Callable[[], int]) -> int:
    """Return the child's id in the parent; the child ends here, however it came out of the block."""
    own = os.getpid()
    pid = 0
    try:
        pid = fork_in_block()
    except ProjectDisposed:
        if os.getpid() == own:
            raise
    finally:
        if os.getpid() != own:
            os._exit(0)
    return pid


# --- what was counted ------------------------------------------------------------------------------------------------


def test_a_child_counts_from_zero_and_the_parent_goes_on(project: Project) -> None:
    append(project)
    before = metrics.snapshot().schema("assistant")

    def count() -> tuple[int, int, int]:
        begun = metrics.snapshot()
        append(project)
        found = metrics.snapshot().schema("assistant")
        return len(begun.schemas), found.writes, found.connections_opened

    assert in_child(count) == (0, 1, 1)
    append(project)
    assert metrics.snapshot().schema("assistant").writes == before.writes + 1


# --- whatever another thread holds at the moment of the fork ---------------------------------------------------------


def locks_of(project: Project) -> dict[str, list[object]]:
    database = project._binding.database(assistant)
    return {
        "the cache": [cache._lock],
        "the pool": [database._mutex],
        "an opening": [database._opening],
        "the queue of writers": [database.writer._mutex],
        "the metrics": [counters._lock],
        "the readers": [readers._gate],
    }


@pytest.mark.parametrize(
    "held", ["the cache", "the pool", "an opening", "the queue of writers", "the metrics", "the readers"]
)
def test_a_child_does_not_hang_on_a_lock_that_a_vanished_thread_held(project: Project, held: str) -> None:
    append(project)
    taken, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks_of(project)[held]:
                stack.enter_context(lock)  # type: ignore[arg-type]
            taken.set()
            forked.wait(0.7)  # a fork may wait for a moment, so this is let go without it

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    child = Child(append, project)
    forked.set()
    thread.join()

    assert child.result() == 2
    assert append(project) == 3


def refused(project: Project) -> str:
    """Return what a child is told about a file that was in use when it was forked."""
    started = time.monotonic()
    with pytest.raises(DatabaseGone) as info:
        append(project)
    with pytest.raises(DatabaseGone):
        project.conversations.get("talk")
    assert time.monotonic() - started < 1
    return str(info.value)


def test_a_child_is_told_of_the_transaction_of_a_thread_that_it_did_not_inherit(project: Project) -> None:
    begun, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with project.atomic():
            append(project, "from the thread")
            begun.set()
            forked.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    child = Child(refused, project)
    forked.set()
    thread.join()

    assert "at the moment of a fork" in child.result()
    assert append(project) == 2


def test_a_fork_while_writers_queue_disturbs_none_of_them(project: Project) -> None:
    with project.atomic():
        threads = [threading.Thread(target=append, args=(project,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        child = Child(refused_in_new_thread, project)
        append(project)
    for thread in threads:
        thread.join()

    assert "at the moment of a fork" in child.result()
    assert append(project) == 6


def refused_in_new_thread(project: Project) -> str:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(refused, project).result()


def test_a_thread_that_only_makes_calls_does_not_bar_the_child(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peewee_conv.database.cache._FORK_PATIENCE", 60)  # a slow disk makes calls slow
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            append(project, "from the thread")
            project.conversations.get("talk")
            time.sleep(0.001)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()

    told = [in_child(append, project) for _ in range(10)]

    stop.set()
    for thread in threads:
        thread.join()
    assert told == sorted(set(told))


def test_what_a_child_writes_survives_that_its_parent_leaves_first(project: Project) -> None:
    append(project)
    here, there = os.pipe()

    def work() -> list[int]:
        first = append(project)
        os.close(there)
        os.read(here, 1)
        return [first, *(append(project) for _ in range(20))]

    child = Child(work)
    wait_for(lambda: project.conversations.get("talk").message_count == 2)
    project.dispose()
    for end in (here, there):
        os.close(end)

    assert child.result() == list(range(2, 23))
    again = Project(project.path, journal_mode=project._binding.settings.journal_mode)
    assert again.conversations.get("talk").message_count == 22
    again.dispose()


def test_a_query_that_the_parent_is_reading_survives_a_fork(project: Project) -> None:
    for _ in range(5):
        append(project)
    with project:
        reading = iter(Message.select().order_by(Message.id).iterator())
        assert next(reading).sequence == 1

        child = Child(refused, project)

        assert [message.sequence for message in reading] == [2, 3, 4, 5]
    assert "at the moment of a fork" in child.result()


def test_a_grandchild_works_too(project: Project) -> None:
    append(project)

    def work() -> list[int]:
        return [append(project), in_child(append, project), append(project)]

    assert in_child(work) == [2, 3, 4]


def test_a_child_gives_back_its_own_descriptors_and_never_the_inherited_ones(project: Project, tmp_path: Path) -> None:
    append(project)

    def work() -> tuple[list[str], list[str]]:
        inherited = open_files(tmp_path)
        append(project)
        assert project.dispose()
        return inherited, open_files(tmp_path)

    inherited, left = in_child(work)

    assert inherited == left == []


# --- whole programs -------------------------------------------------------------------------------------------------

ORDINARY_EXIT = """
import gc, os, sys, threading
from peewee_conv import Project

project = Project(sys.argv[1], journal_mode=sys.argv[2])
project.conversations.create(id="talk")
block = project.atomic()
block.__enter__()
project.conversations.add_message("talk", "user", "of the parent")
pid = os.fork()
if pid == 0:
    gc.collect()
    sys.exit(0)         # an ordinary end: every destructor runs
assert os.waitpid(pid, 0)[1] == 0

probe = os.fork()       # another process must still find the file locked, and its log in place
if probe == 0:
    import sqlite3
    other = sqlite3.connect(project.database_path(), timeout=0)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        os._exit(0)
    os._exit(1)
assert os.waitpid(probe, 0)[1] == 0, "the lock of the parent is gone"
block.__exit__(None, None, None)
assert project.conversations.get("talk").message_count == 1
assert project.dispose()
again = Project(sys.argv[1], journal_mode=sys.argv[2])
assert again.conversations.messages("talk")[0].content == "of the parent"
again.dispose()
"""


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_the_ordinary_exit_of_a_child_leaves_the_transaction_of_its_parent_alone(tmp_path: Path, journal: str) -> None:
    run_script(ORDINARY_EXIT, tmp_path / "project", journal)


POOL = """
import multiprocessing, sys
from peewee_conv import Project

project = Project(sys.argv[1])

def work(number):
    with project, project.atomic():
        return project.conversations.add_message("talk", "user", str(number)).sequence

if __name__ == "__main__":
    project.conversations.create(id="talk")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        told = pool.map(work, range(200), chunksize=1)
        pool.close()
        pool.join()
    assert sorted(told) == list(range(1, 201))
    assert project.conversations.get("talk").message_count == 200
    assert project.dispose()
"""


def test_a_multiprocessing_pool_of_forks_shares_a_project(tmp_path: Path) -> None:
    run_script(POOL, tmp_path / "project")


PRELOAD = """
import os, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
from peewee_conv import Project

root, opens_first, workers = sys.argv[1], sys.argv[2] == "open", 3
project = Project(root)
if opens_first:                       # the application touches its database while it is imported
    project.conversations.create(id="talk", title="preloaded")
    with project:
        project.conversations.list()

def serve(number):
    if project.conversations.find("talk") is None:
        try:
            project.conversations.create(id="talk")
        except Exception as error:
            assert type(error).__name__ == "AlreadyExists", error
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: project.conversations.add_message("talk", "user", str(n)), range(40)))

pids = []
for number in range(workers):
    pid = os.fork()
    if pid == 0:
        serve(number)
        sys.exit(0)
    pids.append(pid)
killed = os.fork()                    # one worker is killed and replaced
if killed == 0:
    serve(9)
    signal.pause()
os.kill(killed, signal.SIGKILL)
os.waitpid(killed, 0)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
stored = project.conversations.get("talk")
assert stored.message_count >= workers * 40
assert [m.sequence for m in project.conversations.iterate("talk")] == list(range(1, stored.message_count + 1))
project.dispose()
"""


@pytest.mark.parametrize("moment", ["import", "open"])
def test_workers_forked_from_a_preloaded_application_share_the_project(tmp_path: Path, moment: str) -> None:
    run_script(PRELOAD, tmp_path / "project", moment)
    assert_sound(tmp_path / "project" / ".peewee_conv" / "assistant.db")
