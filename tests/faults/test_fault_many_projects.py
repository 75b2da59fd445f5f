"""More projects than connections, more threads than patience: nothing crosses, nothing is lost, nothing leaks."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_tools import assert_sound, open_files, race, rows, run_script

from peewee_conv import Project, set_connection_limit
from peewee_conv.database.cache import cache
from peewee_conv.models import Conversation, Message

THREADS, PROJECTS, LIMIT = 16, 300, 64
DATABASE = Path(".peewee_conv", "assistant.db")


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def work_at_random(root: Path, thread: int, operations: int) -> dict[str, int]:
    """Append to projects in random order, by each way there is; return how many messages each got."""
    chance = random.Random(thread)
    appended: dict[str, int] = {}
    for number in range(operations):
        name = f"p{chance.randrange(PROJECTS)}"
        project = Project(root / name)
        content = f"{name} by {thread} of {os.getpid()}, {number}"
        way = number % 3
        if way == 0:
            project.conversations.add_message(name, "user", content)
        elif way == 1:
            with project, project.atomic():
                project.conversations.add_message(name, "user", content)
                assert Message.select().where(Message.content == content).count() == 1
        else:
            other = Project(root / f"p{chance.randrange(PROJECTS)}")
            with project:
                with other:
                    assert [row.id for row in Conversation.select()] == [other.name]
                assert [row.id for row in Conversation.select()] == [name]
                project.conversations.add_message(name, "user", content)
        appended[name] = appended.get(name, 0) + 1
        assert cache.connection_count <= LIMIT
        assert {message.content.split()[0] for message in project.conversations.messages(name)} == {name}
    return appended


def crowd(root: Path, operations: int) -> list[dict[str, int]]:
    """Let 16 threads of this process work on the 300 projects, then give everything back."""
    set_connection_limit(LIMIT)
    with ThreadPoolExecutor(THREADS) as pool:
        appended = list(pool.map(lambda thread: work_at_random(root, thread, operations), range(THREADS)))
    assert len(open_files(root)) < 4 * LIMIT  # three each; SQLite keeps some that it closes until a lock is free
    for number in range(PROJECTS):
        Project(root / f"p{number}").dispose()
    assert cache.connection_count == 0
    assert open_files(root) == []
    return appended


def prepare(root: Path) -> None:
    for number in range(PROJECTS):
        project = Project(root / f"p{number}")
        project.conversations.create(id=project.name)
        project.dispose()


def assert_all_there(root: Path, appended: list[dict[str, int]]) -> None:
    for number in range(PROJECTS):
        name = f"p{number}"
        expected = sum(one.get(name, 0) for one in appended)
        found = rows(root / name / DATABASE, "SELECT count(*), sum(content LIKE ?) FROM messages", f"{name} by %")
        assert (found[0][0], found[0][1] or 0) == (expected, expected)
    assert_sound(root / "p0" / DATABASE)


@pytest.mark.usefixtures("quick_switches")
def test_sixteen_threads_over_300_projects_with_64_connections_never_cross(tmp_path: Path) -> None:
    prepare(tmp_path)

    appended = crowd(tmp_path, 80)

    assert_all_there(tmp_path, appended)


def test_four_processes_of_sixteen_threads_over_300_projects_never_cross(tmp_path: Path) -> None:
    prepare(tmp_path)

    answers = race(crowd, [(tmp_path, 25)] * 4)

    assert_all_there(tmp_path, [one for answer in answers for one in answer])


MANY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from concurrent.futures import ThreadPoolExecutor
from peewee_conv import Project

def work(number):
    project = Project(f"{sys.argv[1]}/p{number}")
    if project.conversations.find("talk") is None:
        project.conversations.create(id="talk")
    project.conversations.add_message("talk", "user", f"p{number}")
    with project:
        return project.conversations.messages("talk")[-1].content == f"p{number}"

with ThreadPoolExecutor(8) as pool:
    for turn in range(2):
        assert all(pool.map(work, range(500)))
assert all([project.conversations.get("talk").message_count == 2 for project in map(Project, sys.argv[2:])])
"""


def test_500_projects_fit_into_256_descriptors(tmp_path: Path) -> None:
    run_script(MANY, tmp_path, *(tmp_path / f"p{number}" for number in range(0, 500, 50)))


DYING = """
import gc, os, sys, threading
gc.disable()
from peewee_conv import Project

project = Project(sys.argv[1], busy_timeout_ms=2000)
project.conversations.create(id="talk")
before = len(os.listdir("/proc/self/fd"))

def die_by_error():
    with project, project.atomic():
        project.conversations.add_message("talk", "user", "never")
        raise SystemExit

def die_in_abandoned_blocks():
    for block in project.scope(), project.atomic():
        block.__enter__()
        kept.append(block)
    project.conversations.add_message("talk", "user", "never")

kept = []
for number in range(200):
    thread = threading.Thread(target=[die_by_error, die_in_abandoned_blocks][number % 2])
    thread.start()
    thread.join()
    assert project.conversations.add_message("talk", "user", "hi").sequence == number + 1
assert len(os.listdir("/proc/self/fd")) <= before + 3, os.listdir("/proc/self/fd")
assert project.conversations.get("talk").message_count == 200
assert project.dispose()
"""


def test_200_threads_that_die_in_a_transaction_leave_no_lock_and_no_descriptor(tmp_path: Path) -> None:
    run_script(DYING, tmp_path / "project")
