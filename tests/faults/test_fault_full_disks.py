"""A disk that is full: nothing is acknowledged, reads go on, and the same handle writes again when space is back.

The disk is a small one made of memory, in a mount namespace of the child's own. Where the system does not allow that,
a limit on the size of files takes its place; SQLite then speaks of an I/O error.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fault_tools import assert_sound, in_child
from upgrade_fixture import Ladder

from peewee_conv import Project
from peewee_conv.errors import DatabaseFull, DatabaseIOError

CLONE_NEWNS, CLONE_NEWUSER, MS_REC, MS_PRIVATE = 0x20000, 0x10000000, 0x4000, 0x40000
FULL = (DatabaseFull, DatabaseIOError)
SIZE = 3 * 1024 * 1024
TEXT = "x" * 20_000


class SmallDisk:
    """Room for three megabytes at *path*, for this process; it can be filled up and emptied."""

    def __init__(self, path: Path, kind: str) -> None:
        path.mkdir(exist_ok=True)
        self.path, self._ballast = path, path / "ballast"
        self.is_real = kind == "disk" and _mount_memory(path)
        self.error: type[Exception] | tuple[type[Exception], ...] = DatabaseFull if self.is_real else FULL

    def fill(self) -> None:
        """Leave no room, or no room in any file beyond what it has now."""
        if self.is_real:
            with self._ballast.open("ab", buffering=0) as ballast:
                while ballast.write(bytes(4096)) == 4096 and os.statvfs(self.path).f_bavail:
                    pass
        else:
            largest = max((file.stat().st_size for file in self.path.rglob("*") if file.is_file()), default=0)
            _limit_file_size(min(largest, 4096))

    def shrink(self) -> None:
        """Leave room for some dozens of messages."""
        if self.is_real:
            self._ballast.write_bytes(bytes(SIZE // 2))
        else:
            _limit_file_size(SIZE // 3)

    def clear(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)
        _limit_file_size(resource.RLIM_INFINITY)


def _limit_file_size(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _mount_memory(path: Path) -> bool:
    """Mount a small disk for this process alone; return whether the system allows it."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "unshare"):
        return False
    own = CLONE_NEWNS if os.geteuid() == 0 else CLONE_NEWNS | CLONE_NEWUSER
    return (
        libc.unshare(own) == 0
        and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
        and libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, f"size={SIZE}".encode()) == 0
    )


on_both = pytest.mark.parametrize("kind", ["disk", "limit"])
in_both_journals = pytest.mark.parametrize("journal", ["wal", "delete"])


def append_until_full(disk: SmallDisk, project: Project) -> list[int]:
    """Append until the disk is full; return the numbers of the messages that were acknowledged."""
    done: list[int] = []
    with pytest.raises(disk.error):
        append_for_ever(project, done)
    return done


def append_for_ever(project: Project, done: list[int]) -> list[int]:
    while len(done) < 1000:
        done.append(project.conversations.add_message("talk", "user", TEXT).sequence)
    return done


def append_five(project: Project) -> None:
    with project.atomic():
        for _ in range(5):
            project.conversations.add_message("talk", "user", TEXT)


def write_on_a_full_disk(path: Path, kind: str, journal: str) -> None:
    disk = SmallDisk(path, kind)
    disk.shrink()
    project = Project(path / "project", journal_mode=journal)
    project.conversations.create(id="talk")
    done = append_until_full(disk, project)[-1]
    assert done > 3

    # Every way of writing says so, again and again; what was acknowledged can be read.
    for _ in range(3):
        with pytest.raises(disk.error):
            project.conversations.add_message("talk", "user", TEXT * 5)
        with pytest.raises(disk.error):
            project.conversations.add_messages("talk", [{"role": "user", "content": TEXT}] * 5)
        with pytest.raises(disk.error):
            append_five(project)
        assert project.conversations.get("talk").message_count == done
        assert [message.sequence for message in project.conversations.iterate("talk")] == list(range(1, done + 1))

    disk.clear()
    assert project.conversations.add_message("talk", "user", TEXT).sequence == done + 1
    with project.atomic():
        assert project.conversations.add_message("talk", "user", TEXT).sequence == done + 2
    project.dispose()
    assert_sound(project.database_path())


@on_both
@in_both_journals
def test_a_full_disk_is_reported_reads_go_on_and_writes_come_back(tmp_path: Path, kind: str, journal: str) -> None:
    in_child(write_on_a_full_disk, tmp_path / "disk", kind, journal)


def write_in_threads_on_a_full_disk(path: Path, kind: str, journal: str) -> None:
    disk = SmallDisk(path, kind)
    disk.shrink()
    project = Project(path / "project", journal_mode=journal)
    project.conversations.create(id="talk")

    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(append_until_full, [disk] * 6, [project] * 6)
        acknowledged = sorted(sequence for done in answers for sequence in done)

    assert acknowledged == [message.sequence for message in project.conversations.iterate("talk")]
    disk.clear()
    assert project.conversations.add_message("talk", "user", TEXT).sequence == len(acknowledged) + 1
    project.dispose()
    assert_sound(project.database_path())


@on_both
@in_both_journals
def test_threads_that_share_commits_on_a_full_disk_lose_nothing_acknowledged(
    tmp_path: Path, kind: str, journal: str
) -> None:
    in_child(write_in_threads_on_a_full_disk, tmp_path / "disk", kind, journal)


def make_on_a_full_disk(path: Path, kind: str) -> None:
    disk = SmallDisk(path, kind)
    project = Project(path / "project")
    (path / "project" / ".peewee_conv").mkdir(parents=True)
    disk.fill()
    for _ in range(3):
        with pytest.raises(disk.error):
            project.conversations.create(id="talk")
    assert os.listdir(path / "project" / ".peewee_conv") == []

    disk.clear()
    assert project.conversations.create(id="talk").id == "talk"
    project.dispose()
    assert_sound(project.database_path())


@on_both
def test_a_project_that_is_made_on_a_full_disk_leaves_nothing_broken(tmp_path: Path, kind: str) -> None:
    in_child(make_on_a_full_disk, tmp_path / "disk", kind)


def upgrade_on_a_full_disk(path: Path, kind: str, make: Callable[[], Ladder]) -> None:
    disk = SmallDisk(path, kind)
    ladder = make()
    ladder.make_old(path / "project")
    disk.fill()
    for _ in range(3):
        with pytest.raises(FULL):  # an I/O error where SQLite cannot even make the index of its log
            ladder.count_at_head(path / "project")
    Project(path / "project").dispose()
    leftovers = os.listdir(path / "project" / ".peewee_conv")

    disk.clear()
    assert ladder.version(path / "project") == 1
    assert ladder.count_at_head(path / "project") == ladder.counts
    ladder.assert_new(path / "project")
    assert set(leftovers) <= {"deck.db", "deck.db-wal", "deck.db-shm"}


@on_both
@in_both_journals
def test_an_upgrade_on_a_full_disk_leaves_the_old_file(tmp_path: Path, kind: str, journal: str) -> None:
    made: list[Any] = []

    def make() -> Ladder:
        return made[0]

    made.append(Ladder(tmp_path, journal))
    in_child(upgrade_on_a_full_disk, tmp_path / "disk", kind, make)
