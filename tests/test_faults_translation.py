"""What SQLite, its module and the system report comes out as one error of ours."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from peewee_conv import Project
from peewee_conv.database.faults import translate
from peewee_conv.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFailure,
    DatabaseFull,
    DatabaseGone,
    DatabaseIOError,
    DatabaseReadOnly,
    InvalidArgument,
    PeeweeConvError,
    ProjectDisposed,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "x.db").touch()
    return str(tmp_path / "x.db")


def fault(code: int, text: str = "what SQLite says") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, DatabaseBusy),
        (sqlite3.SQLITE_BUSY_RECOVERY, DatabaseBusy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseBusy),
        (sqlite3.SQLITE_BUSY_TIMEOUT, DatabaseBusy),
        (sqlite3.SQLITE_LOCKED, DatabaseBusy),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, DatabaseBusy),
        (sqlite3.SQLITE_PROTOCOL, DatabaseBusy),
        (sqlite3.SQLITE_FULL, DatabaseFull),
        (sqlite3.SQLITE_IOERR, DatabaseIOError),
        (sqlite3.SQLITE_IOERR_WRITE, DatabaseIOError),
        (sqlite3.SQLITE_IOERR_FSYNC, DatabaseIOError),
        (sqlite3.SQLITE_CANTOPEN, DatabaseIOError),
        (sqlite3.SQLITE_READONLY, DatabaseReadOnly),
        (sqlite3.SQLITE_READONLY_DIRECTORY, DatabaseReadOnly),
        (sqlite3.SQLITE_READONLY_DBMOVED, DatabaseGone),
        (sqlite3.SQLITE_PERM, DatabaseReadOnly),
        (sqlite3.SQLITE_CORRUPT, DatabaseCorrupt),
        (sqlite3.SQLITE_CORRUPT_VTAB, DatabaseCorrupt),
        (sqlite3.SQLITE_NOTADB, DatabaseCorrupt),
        (sqlite3.SQLITE_TOOBIG, InvalidArgument),
        (sqlite3.SQLITE_ERROR, DatabaseFailure),
        (sqlite3.SQLITE_INTERRUPT, DatabaseFailure),
    ],
)
def test_a_result_code_becomes_one_kind_of_error(path: str, code: int, kind: type[PeeweeConvError]) -> None:
    assert type(translate(fault(code), path)) is kind


def test_the_text_of_sqlite_and_the_path_are_kept(path: str) -> None:
    error = translate(fault(sqlite3.SQLITE_FULL, "database or disk is full"), path)

    assert str(error) == f"database or disk is full ({path}): free some space, then retry"


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_FSTAT])
def test_what_cannot_be_opened_because_it_is_not_there_has_gone(tmp_path: Path, code: int) -> None:
    assert type(translate(fault(code), str(tmp_path / "missing.db"))) is DatabaseGone


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DatabaseFull),
        (errno.EDQUOT, DatabaseFull),
        (errno.EACCES, DatabaseReadOnly),
        (errno.EPERM, DatabaseReadOnly),
        (errno.EROFS, DatabaseReadOnly),
        (errno.EIO, DatabaseIOError),
        (errno.ENAMETOOLONG, DatabaseIOError),
        (errno.ESTALE, DatabaseIOError),
    ],
)
def test_an_error_of_the_system_becomes_one_kind_of_error(path: str, number: int, kind: type[PeeweeConvError]) -> None:
    error = translate(OSError(number, os.strerror(number)), path)

    assert type(error) is kind
    assert os.strerror(number) in str(error)


@pytest.mark.parametrize(
    ("provoke", "kind"),
    [
        (lambda c: c.execute("SELECT ?", (2**63,)), InvalidArgument),
        (lambda c: c.execute("SELECT ?", ("\ud800",)), InvalidArgument),
        (lambda c: c.execute("SELECT zeroblob(2000000000)"), InvalidArgument),
        (lambda c: c.execute("SELECT ?", (object(),)), DatabaseFailure),
        (lambda c: c.execute("SELECT 1; SELECT 2"), DatabaseFailure),
        (lambda c: c.execute("SELEC"), DatabaseFailure),
        (lambda c: (c.close(), c.execute("SELECT 1")), ProjectDisposed),
    ],
    ids=["large int", "surrogate", "large blob", "object", "two statements", "syntax", "closed"],
)
def test_what_the_module_really_raises_is_translated(
    path: str, provoke: Callable[[sqlite3.Connection], object], kind: type[PeeweeConvError]
) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises((sqlite3.Error, OverflowError, UnicodeEncodeError)) as caught:
        provoke(connection)
    connection.close()

    assert type(translate(caught.value, path)) is kind


def test_an_error_of_a_service_is_raised_from_its_cause(project: Project) -> None:
    project.database_path().parent.mkdir(parents=True)
    project.database_path().write_bytes(b"no database " * 100)

    with pytest.raises(DatabaseCorrupt, match=r"restore a backup, or run 'peewee-conv check'") as caught:
        project.conversations.list()

    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
