"""What SQLite reports, in our own errors. The one place that knows SQLite's result codes."""

from __future__ import annotations

import errno
import os
import sqlite3

from ..errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFailure,
    DatabaseFull,
    DatabaseGone,
    DatabaseIOError,
    DatabaseReadOnly,
    InvalidArgument,
    LimitReached,
    PeeweeConvError,
    ProjectDisposed,
)

#: What is counted when a caller gets it: the file failed, not the caller's arguments.
COUNTED = (DatabaseFailure, ProjectDisposed, LimitReached)

_DBMOVED = sqlite3.SQLITE_READONLY | 4 << 8
_BUSY_SNAPSHOT = sqlite3.SQLITE_BUSY | 2 << 8
_BY_CODE: dict[int, type[DatabaseFailure]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_FULL: DatabaseFull,
    sqlite3.SQLITE_IOERR: DatabaseIOError,
    sqlite3.SQLITE_CANTOPEN: DatabaseIOError,
    sqlite3.SQLITE_PROTOCOL: DatabaseBusy,
    sqlite3.SQLITE_READONLY: DatabaseReadOnly,
    sqlite3.SQLITE_PERM: DatabaseReadOnly,
    sqlite3.SQLITE_CORRUPT: DatabaseCorrupt,
    sqlite3.SQLITE_NOTADB: DatabaseCorrupt,
}


def translate(error: Exception, path: str) -> PeeweeConvError:
    """Return our error for *error*, a fault that ``sqlite3`` or the system reported about the file at *path*."""
    if isinstance(error, OSError):
        return _translate_os(error, path)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return _translate_binding(error, path)
    if code == _DBMOVED:
        return DatabaseGone(path, "was moved or deleted while it was open")
    if code == _BUSY_SNAPSHOT:
        return DatabaseBusy(path, "a query of this scope that is not read to its end keeps an older state of the file")
    if code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR) and not os.path.lexists(path):
        return DatabaseGone(path, "was moved or deleted while it was open")
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(error, path)
    if code & 0xFF == sqlite3.SQLITE_TOOBIG:
        return InvalidArgument("value", "...", "a text or blob below SQLite's limit of 1000000000 bytes")
    return _BY_CODE.get(code & 0xFF, DatabaseFailure)(path, str(error))


def _cannot_open(error: Exception, path: str) -> PeeweeConvError:
    if not os.access(path, os.W_OK) or not os.access(os.path.dirname(path), os.W_OK):
        return DatabaseReadOnly(path, str(error))
    return DatabaseIOError(path, str(error))


def _translate_os(error: OSError, path: str) -> PeeweeConvError:
    detail = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DatabaseFull(path, detail)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DatabaseReadOnly(path, detail)
    return DatabaseIOError(path, detail)


def _translate_binding(error: Exception, path: str) -> PeeweeConvError:
    """Translate what the ``sqlite3`` module itself objects to: values that SQLite cannot hold, closed handles."""
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return ProjectDisposed(path, "was closed while it was in use")
    if isinstance(error, OverflowError):
        return InvalidArgument("value", "...", "whole numbers of at most 64 bits")
    if isinstance(error, UnicodeEncodeError):
        return InvalidArgument("value", "...", "text without lone surrogates")
    if isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode"):
        error.args = ("the text is not shown",)  # it is in the report, and a traceback has the report
        return DatabaseCorrupt(path, "it holds text that is not UTF-8")
    return DatabaseFailure(path, str(error))
