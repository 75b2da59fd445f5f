"""A source is read whole and left as it is, whatever its state; what cannot be adopted is refused with one error."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import source_databases
from legacy_files import make

from peewee_conv import Project
from peewee_conv.adopt import adopt
from peewee_conv.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    ForeignDatabase,
    InvalidArgument,
    PeeweeConvError,
    SourceNotRecognised,
)

MakeProject = Callable[..., Project]

LATER = "2027-01-01 00:00:00.000000"
ADD = f"INSERT INTO messages VALUES (9001, 1, 'user', 'the last one', '{LATER}')"
IS_LOCKED = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def has_last(project: Project) -> bool:
    return [message.content for message in project.conversations.iterate("1")][-1:] == ["the last one"]


@pytest.fixture(params=["wal", "delete"])
def journal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(tmp_path: Path, journal: str) -> Path:
    path = tmp_path / "old" / "haia.db"
    source_databases.haia(path, talks=2, messages=20, journal=journal)
    return path


wal = pytest.mark.parametrize("journal", ["wal"], indirect=True)
rollback = pytest.mark.parametrize("journal", ["delete"], indirect=True)


def test_the_folder_of_the_source_stays_as_it_was(source: Path, project: Project) -> None:
    before = contents(source.parent)

    adopt(source, project)

    assert contents(source.parent) == before


def test_source_of_any_name_is_recognised(source: Path, project: Project) -> None:
    odd = source.rename(source.with_name("what is #1? 100% ü.sqlite3"))

    report = adopt(odd, project)

    assert report.system == "HAIA"
    assert report.rejects == str(project.path / ".peewee_conv" / f"{odd.name}.rejected.jsonl")
    assert os.stat(report.rejects).st_mode & 0o777 == 0o600
    assert project.delete()
    assert not (project.path / ".peewee_conv").exists()


@wal
@pytest.mark.parametrize("has_shm", [True, False])
def test_log_of_a_killed_writer_is_read_and_stays(
    tmp_path: Path, source: Path, project: Project, has_shm: bool
) -> None:
    crashed = tmp_path / "crashed"
    with closing(connect(source)) as writer:
        writer.execute(ADD)
        shutil.copytree(source.parent, crashed)
    if not has_shm:
        (crashed / "haia.db-shm").unlink()
    before = contents(crashed)
    assert before["haia.db-wal"]

    adopt(crashed / "haia.db", project)

    assert has_last(project)
    assert contents(crashed) == before


@rollback
def test_half_of_a_transaction_of_a_killed_writer_is_rolled_back_in_the_copy_alone(
    tmp_path: Path, source: Path, project: Project, make_project: MakeProject
) -> None:
    whole = adopt(source, make_project("whole"))
    crashed = tmp_path / "crashed"
    with closing(connect(source)) as writer:
        writer.execute("PRAGMA cache_size = 1")  # what does not fit goes into the file before the commit
        writer.execute("BEGIN")
        writer.execute("UPDATE messages SET content = content || hex(zeroblob(1000))")
        shutil.copytree(source.parent, crashed)
        writer.execute("ROLLBACK")
    before = contents(crashed)
    assert before["haia.db-journal"]
    assert before["haia.db"] != source.read_bytes()

    report = adopt(crashed / "haia.db", project)

    assert report.tables == whole.tables
    assert not any("0000" in message.content for message in project.conversations.iterate("1"))
    assert contents(crashed) == before


def test_what_an_open_connection_has_committed_is_read(source: Path, project: Project) -> None:
    with closing(connect(source)) as writer:
        writer.execute(ADD)
        names = sorted(os.listdir(source.parent))

        adopt(source, project)

        assert sorted(os.listdir(source.parent)) == names
    assert has_last(project)


def test_open_transaction_of_this_process_keeps_its_lock(source: Path, project: Project) -> None:
    with closing(connect(source)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(ADD)

        adopt(source, project)

        done = subprocess.run(
            [sys.executable, "-c", IS_LOCKED, source], capture_output=True, text=True, check=True, timeout=30
        )
        assert done.stdout == "database is locked\n"
        writer.execute("COMMIT")
    assert not has_last(project)


@rollback
def test_source_that_somebody_has_locked_is_busy(source: Path, make_project: MakeProject) -> None:
    project = make_project(busy_timeout_ms=50)
    with closing(connect(source)) as writer:
        writer.execute("BEGIN EXCLUSIVE")

        with pytest.raises(DatabaseBusy) as caught:
            adopt(source, project)

    assert caught.value.path == str(source)
    assert not project.exists()


def test_private_copy_is_deleted(
    source: Path, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "private").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "private"))

    adopt(source, project)

    assert list((tmp_path / "private").iterdir()) == []


@pytest.mark.parametrize(("age", "stays"), [(90_000, False), (3600, True)])
def test_private_copy_of_a_killed_adoption_goes_when_it_is_old(
    source: Path, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: int, stays: bool
) -> None:
    copy = tmp_path / "private" / "peewee_conv-adopt-x"
    copy.mkdir(parents=True)
    os.utime(copy, (time.time() - age,) * 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "private"))

    adopt(source, project)

    assert copy.exists() is stays


@pytest.mark.parametrize("executable", ["", None])
def test_without_an_interpreter_to_read_it_nothing_is_done(
    source: Path, project: Project, monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    monkeypatch.setattr(sys, "executable", executable)

    with pytest.raises(PeeweeConvError, match=r"sys\.executable"):
        adopt(source, project)


# --- what is refused ---


def refused(source: object, project: Project, kind: type[PeeweeConvError], text: str) -> None:
    """Check that adopting raises just that and writes nothing."""
    with pytest.raises(kind, match=text) as caught:
        adopt(source, project)  # type: ignore[arg-type]

    assert type(caught.value) is kind
    assert not project.exists()


def test_missing_file_is_refused(tmp_path: Path, project: Project) -> None:
    refused(tmp_path / "none.db", project, InvalidArgument, "expected the path of a database file")

    assert not (tmp_path / "none.db").exists()


def test_folder_is_refused(tmp_path: Path, project: Project) -> None:
    refused(tmp_path, project, InvalidArgument, "expected the path of a database file")


@pytest.mark.parametrize("source", [None, 7, "", b"x.db", "a\0b"])
def test_what_is_no_path_is_refused(project: Project, source: object) -> None:
    refused(source, project, InvalidArgument, "expected a str or os.PathLike of a file")


@pytest.mark.parametrize("wrong", [None, "project", 5])
def test_what_is_no_project_is_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected a Project"):
        adopt(tmp_path / "any.db", wrong)


def test_pipe_is_refused(tmp_path: Path, project: Project) -> None:
    os.mkfifo(tmp_path / "pipe.db")

    refused(tmp_path / "pipe.db", project, DatabaseCorrupt, "not a regular file")


def test_file_that_is_no_database_is_refused(tmp_path: Path, project: Project) -> None:
    (tmp_path / "notes.db").write_text("Dear diary, " * 1000)

    refused(tmp_path / "notes.db", project, DatabaseCorrupt, "file is not a database")


@rollback
def test_half_a_database_is_refused(source: Path, project: Project) -> None:
    with source.open("r+b") as file:
        file.truncate(source.stat().st_size // 2 // 4096 * 4096)

    refused(source, project, DatabaseCorrupt, "damaged|malformed")


@rollback
@pytest.mark.parametrize("name", ["conversations", "messages", "ix_messages_created_at"])
def test_damaged_page_is_refused(source: Path, project: Project, name: str) -> None:
    with closing(connect(source)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
    with source.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xaa" * 4096)

    refused(source, project, DatabaseCorrupt, "damaged|malformed")


@rollback
def test_damage_deep_in_a_message_is_found_before_anything_is_written(source: Path, project: Project) -> None:
    with closing(connect(source)) as connection:
        connection.execute("INSERT INTO messages VALUES (9001, 2, 'user', ?, ?)", ("y" * 100_000, LATER))
    page = source.read_bytes().index(b"y" * 3000) // 4096 + 5
    with source.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xff" * 4)  # where the text goes on

    refused(source, project, DatabaseCorrupt, "damaged")


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "CREATE TABLE notes (id INTEGER, text TEXT);",
        source_databases.HAIA.replace("    updated_at DATETIME NOT NULL,\n", "", 1).replace("updated_at)", "id)"),
        source_databases.HAIA + "ALTER TABLE messages ADD COLUMN author TEXT;",
        source_databases.SOVEREIGN.replace("token_count", "tokens"),
        source_databases.CHATDF.replace("CREATE TABLE token_usage", "CREATE TABLE usage").split(
            "CREATE INDEX idx_token"
        )[0],
    ],
)
def test_database_of_something_else_is_refused(tmp_path: Path, project: Project, sql: str) -> None:
    make(tmp_path / "assistant.db", sql)

    refused(tmp_path / "assistant.db", project, SourceNotRecognised, "of no system that is known here")
    assert issubclass(SourceNotRecognised, ForeignDatabase)


def test_database_of_ours_is_refused(project: Project, make_project: MakeProject) -> None:
    other = make_project("other")
    other.conversations.create()

    refused(other.database_path(), project, SourceNotRecognised, "export it, then import that")


def test_own_file_of_the_project_is_refused(project: Project) -> None:
    project.conversations.create()

    with pytest.raises(InvalidArgument, match="this one is the project's own"):
        adopt(project.database_path(), project)


def test_own_file_that_waits_for_its_upgrade_is_refused_and_left_alone(tmp_path: Path, project: Project) -> None:
    path = tmp_path / "project" / ".autoforge" / "assistant.db"
    source_databases.autoforge_assistant(path)
    before = path.read_bytes()

    with pytest.raises(InvalidArgument, match="this one is the project's own"):
        adopt(path, project)

    assert path.read_bytes() == before
