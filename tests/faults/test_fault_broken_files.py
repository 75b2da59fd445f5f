"""Files that are not what they should be: the right error within a second, and not a byte of them changed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fault_tools import Child, assert_sound, contents, in_child, wait_for
from upgrade_fixture import Ladder

from peewee_conv import Project
from peewee_conv.errors import (
    DatabaseCorrupt,
    DatabaseGone,
    ForeignDatabase,
    PeeweeConvError,
    SchemaTooNew,
)
from peewee_conv.models import Conversation

FOLDER = Path(".peewee_conv")
PAGE = 8192


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a project of 300 messages that nobody has open."""
    project = Project(tmp_path / "project")
    talk = project.conversations.create(id="talk")
    texts = (f"message {number} " + "x" * 500 for number in range(300))
    project.conversations.add_messages(talk.id, [{"role": "user", "content": content} for content in texts])
    project.conversations.search("message")
    project.dispose()
    return project.database_path()


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(5 * PAGE))


def text(path: Path) -> None:
    path.write_text("these are my notes\n" * 1000)


def two_bytes(path: Path) -> None:
    path.write_bytes(b"no")  # a file of one byte counts as empty: SQLite itself leaves such files


def half_a_file(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def half_a_header(path: Path) -> None:
    os.truncate(path, 50)


def odd_pages(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    for start in range(PAGE, len(whole), PAGE):
        whole[start : start + 64] = b"\xff" * 64
    path.write_bytes(whole)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_to_a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere.db")


def looping_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def newer_schema(path: Path) -> None:
    execute(path, "PRAGMA user_version = 9999")


def foreign_of_that_version(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE invoice (id INTEGER)", "PRAGMA user_version = 1")


def foreign_without_version(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE invoice (id INTEGER)")


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


BROKEN: list[tuple[Callable[[Path], None], type[PeeweeConvError]]] = [
    (garbage, DatabaseCorrupt),
    (text, DatabaseCorrupt),
    (two_bytes, DatabaseCorrupt),
    (half_a_file, DatabaseCorrupt),
    (half_a_header, DatabaseCorrupt),
    (odd_pages, DatabaseCorrupt),
    (fifo, DatabaseCorrupt),
    (directory, DatabaseCorrupt),
    (link_to_a_device, DatabaseCorrupt),
    (dangling_link, DatabaseGone),
    (looping_link, PeeweeConvError),
    (newer_schema, SchemaTooNew),
    (foreign_of_that_version, ForeignDatabase),
    (foreign_without_version, ForeignDatabase),
]


def read(project: Project) -> None:
    project.conversations.messages("talk", limit=1000)


def write(project: Project) -> None:
    project.conversations.add_message("talk", "user", "Hello!")


def write_in_a_transaction(project: Project) -> None:
    with project.atomic():
        project.conversations.add_message("talk", "user", "Hello!")


def use_models(project: Project) -> None:
    with project:
        Conversation.select().count()


@pytest.mark.parametrize("use", [read, write, write_in_a_transaction, use_models])
@pytest.mark.parametrize(("spoil", "error"), BROKEN, ids=lambda value: value.__name__)
def test_a_broken_file_is_refused_at_once_and_left_untouched(
    path: Path, spoil: Callable[[Path], None], error: type[Exception], use: Callable[[Project], None]
) -> None:
    spoil(path)
    before = contents(path.parent)
    project = Project(path.parent.parent)

    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(error):
            use(project)

    assert time.monotonic() - started < 3  # a second each, and some for a busy machine
    project.dispose()
    assert contents(path.parent) == before


def test_a_file_that_is_repaired_opens_with_the_same_project(path: Path) -> None:
    whole = path.read_bytes()
    garbage(path)
    project = Project(path.parent.parent)
    with pytest.raises(DatabaseCorrupt):
        read(project)

    path.write_bytes(whole)

    assert project.conversations.get("talk").message_count == 300
    project.dispose()


def test_one_broken_project_does_not_disturb_another(path: Path, tmp_path: Path) -> None:
    garbage(path)
    other = Project(tmp_path / "other")
    with pytest.raises(DatabaseCorrupt):
        read(Project(path.parent.parent))

    assert other.conversations.create(id="talk").id == "talk"
    other.dispose()
    Project(path.parent.parent).dispose()


# --- a log that was left behind, and damaged ------------------------------------------------------------------------


def leave_a_log(folder: Path, signs: Path) -> None:
    project = Project(folder)
    for number in range(30):
        project.conversations.add_message("talk", "user", f"logged {number} " + "x" * 500)
    signs.touch()
    signal.pause()


@pytest.fixture
def log(path: Path, tmp_path: Path) -> Path:
    """The log of a process that was killed after 30 appends."""
    child = Child(leave_a_log, path.parent.parent, tmp_path / "written")
    wait_for((tmp_path / "written").exists)
    child.kill()
    child.forget()
    return Path(f"{path}-wal")


def cut(log: Path) -> None:
    os.truncate(log, log.stat().st_size * 2 // 3)


def flip(log: Path) -> None:
    whole = bytearray(log.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    log.write_bytes(whole)


def empty(log: Path) -> None:
    os.truncate(log, 0)


def spoil_log(log: Path) -> None:
    log.write_bytes(random.Random(2).randbytes(log.stat().st_size))


@pytest.mark.parametrize("damage", [cut, flip, empty, spoil_log], ids=lambda value: value.__name__)
def test_a_damaged_log_leaves_a_sound_file_with_a_prefix_of_it(log: Path, damage: Callable[[Path], None]) -> None:
    damage(log)
    log.with_name("assistant.db-shm").unlink(missing_ok=True)
    folder = log.parent.parent

    stored = in_child(append_one, folder) - 1

    assert 300 <= stored < 330
    assert_sound(log.with_name("assistant.db"))


def test_an_undamaged_log_is_recovered_whole(log: Path) -> None:
    assert in_child(append_one, log.parent.parent) == 331
    assert_sound(log.with_name("assistant.db"))


def append_one(folder: Path) -> int:
    project = Project(folder)
    sequence = project.conversations.add_message("talk", "user", "after the damage").sequence
    project.dispose()
    return sequence


# --- no permission to write ------------------------------------------------------------------------------------------


@pytest.fixture
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that every user can reach; the folders of pytest are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="peewee-conv-public-"))
    folder.chmod(0o755)
    yield folder
    for place, _, _ in os.walk(folder):
        os.chmod(place, 0o755)
    shutil.rmtree(folder)


def as_ordinary_user(use: Callable[[Project], None], folder: Path, journal: str) -> tuple[str, float]:
    """Return the name of the error that a user without any privilege gets, and how long that took."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)  # mode bits do not hold for root
    project = Project(folder, journal_mode=journal)
    started = time.monotonic()
    try:
        use(project)
    except PeeweeConvError as error:
        return type(error).__name__, time.monotonic() - started
    return "no error", time.monotonic() - started


def lock_up(folder: Path, *, is_file_writable: bool = False) -> None:
    """Take the permission to write away from everybody."""
    for file in (folder / FOLDER).iterdir():
        file.chmod(0o666 if is_file_writable else 0o444)
    (folder / FOLDER).chmod(0o555)
    folder.chmod(0o555)


def make(folder: Path, journal: str) -> None:
    project = Project(folder, journal_mode=journal)
    project.conversations.create(id="talk")
    project.dispose()


@pytest.mark.parametrize("use", [write, write_in_a_transaction])
@pytest.mark.parametrize("is_file_writable", [False, True])
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_write_without_permission_is_refused_at_once_and_changes_nothing(
    public: Path, journal: str, is_file_writable: bool, use: Callable[[Project], None]
) -> None:
    make(public / "project", journal)
    lock_up(public / "project", is_file_writable=is_file_writable)
    before = contents(public)

    name, seconds = in_child(as_ordinary_user, use, public / "project", journal)

    assert name == "DatabaseReadOnly"
    assert seconds < 3
    assert contents(public) == before


def test_reads_go_on_without_permission_to_write(public: Path) -> None:
    make(public / "project", "delete")
    lock_up(public / "project")

    assert in_child(as_ordinary_user, read, public / "project", "delete")[0] == "no error"


def test_a_read_without_permission_works_or_says_so_where_the_log_needs_writing(public: Path) -> None:
    make(public / "project", "wal")
    lock_up(public / "project")

    name, seconds = in_child(as_ordinary_user, read, public / "project", "wal")

    assert name in ("no error", "DatabaseReadOnly")
    assert seconds < 3


def test_a_project_cannot_be_made_in_a_read_only_folder(public: Path) -> None:
    public.chmod(0o555)

    name, seconds = in_child(as_ordinary_user, write, public / "project", "wal")

    assert (name, os.listdir(public)) == ("DatabaseReadOnly", [])
    assert seconds < 3


def test_a_read_only_file_that_needs_an_upgrade_is_left_as_it_is(public: Path) -> None:
    ladder = Ladder(public / "ladder", "delete")
    ladder.make_old(public / "project")
    lock_up(public / "project")
    before = contents(public)

    def count(project: Project) -> None:
        ladder.count_at_head(project.path)

    assert in_child(as_ordinary_user, count, public / "project", "delete")[0] == "DatabaseReadOnly"
    assert contents(public) == before
