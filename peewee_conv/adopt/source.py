"""A foreign database, read from a private copy: the file itself is never written, and never waited for twice.

The copy is made by :mod:`.snapshot` in a process of its own, into a folder that only this user can read and that is
deleted in the end. It is one state of the source, however busy that is, and it is ours: an index may be added to it.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from .. import inspection, paths
from ..database.faults import translate
from ..drafts import path_of
from ..errors import DatabaseBusy, DatabaseCorrupt, DatabaseIOError, InvalidArgument, PeeweeConvError
from ..legacy import rows
from ..legacy.rows import Refused, Row
from . import snapshot

_PREFIX = "peewee_conv-adopt-"
_KILLED_SECONDS = 86_400  # after which a private copy is that of a process that was killed
# What the rules of a table forbid is found row by row; only what makes rows unreadable is damage.
_NO_DAMAGE = ("NULL value in", "CHECK constraint failed", "non-unique entry")


class Source:
    """The private copy of a foreign database.

    :ivar path: where the original is.
    """

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path, self.connection = path, connection
        connection.text_factory = _lenient
        encoding = self.value("PRAGMA encoding")
        connection.create_function("moment", 1, lambda value: _moment(value, encoding), deterministic=True)

    def tables(self) -> list[str]:
        """Return the names of the ordinary tables, sorted."""
        return [name for name in inspection.tables(self.connection) if not name.startswith("sqlite_")]

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns; empty where there is no such table."""
        return rows.columns(self.connection, table)

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        quoted = table.replace('"', '""')
        found: int = self.connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]
        return found

    def value(self, sql: str, *params: Any) -> Any:
        """Return the first value of a query."""
        return self.connection.execute(sql, params).fetchone()[0]

    def add_index(self, table: str, column: str) -> None:
        """Make sure that rows are found by *column*: the source may have lost its index."""
        self.connection.execute(f"CREATE INDEX adopt_{table} ON {table} ({column})")

    def rows(self, table: str, order: str = "rowid", where: str = "1", *params: Any) -> Iterator[Row]:
        """Yield rows, each as a dictionary by column. The texts of SQL come from our own code."""
        cursor = self.connection.execute(f'SELECT * FROM "{table}" WHERE {where} ORDER BY {order}', params)
        names = [column[0] for column in cursor.description]
        for row in cursor:
            yield dict(zip(names, row, strict=True))


def by_time(column: str) -> str:
    """Return the SQL of the order by a time, whatever its form: NULL first, equal ones as they were stored."""
    return f"moment(CAST({column} AS BLOB)), rowid"


def _lenient(text: bytes) -> str:
    return text.decode(errors="surrogateescape")


def bound(value: Any) -> tuple[str, Any]:
    """Return the SQL and the parameter that stand for a value of the source: a text may be no UTF-8."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return "CAST(? AS TEXT)", value.encode(errors="surrogateescape")
    return "?", value


def _moment(value: bytes | None, encoding: str) -> str | None:
    try:
        return None if value is None else rows.time(value.decode(encoding, errors="replace"), "time")
    except Refused:
        return None


@contextmanager
def opened(argument: object, busy_timeout_ms: int) -> Iterator[Source]:
    """Yield a foreign database, copied and checked.

    :raises InvalidArgument: there is no file.
    :raises DatabaseCorrupt: it is no database, or damaged.
    :raises DatabaseBusy: a writer kept it locked for too long.
    """
    path = path_of("source", argument)
    if os.path.isdir(path) or paths.identity(path) is None:
        raise InvalidArgument("source", argument, "the path of a database file")
    _sweep()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        copy = os.path.join(folder, "source.db")
        _copy(path, copy, busy_timeout_ms)
        try:
            with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
                _prepare(connection, path)
                yield Source(path, connection)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise translate(error, path) from error


def _sweep() -> None:
    """Delete the private copies of adoptions that were killed: they may hold what is secret in the source."""
    for found in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f"{_PREFIX}*")):
        with suppress(OSError):
            if time.time() - os.lstat(found).st_mtime > _KILLED_SECONDS:
                shutil.rmtree(found)


def _copy(path: str, copy: str, busy_timeout_ms: int) -> None:
    if not sys.executable or getattr(sys, "frozen", False):
        raise DatabaseIOError(path, "it is copied by a Python interpreter, and sys.executable names none")
    command = [sys.executable, "-I", "-S", snapshot.__file__, path, copy, str(busy_timeout_ms)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise _failure(done, path)


def _failure(done: subprocess.CompletedProcess[str], path: str) -> PeeweeConvError:
    """Return our error for what the other process reported."""
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return DatabaseIOError(path, f"the process that copies it ended with status {done.returncode}")
    if found["sqlite"] is not None:
        error = sqlite3.OperationalError(found["text"])
        error.sqlite_errorcode = found["sqlite"]
        return translate(error, path)
    if found["errno"] is None:
        return DatabaseBusy(path, found["text"])
    return translate(OSError(found["errno"], os.strerror(found["errno"])), path)


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "synchronous = OFF", "journal_mode = DELETE"):
        connection.execute(f"PRAGMA {pragma}")
    found, _ = inspection.damage(connection, quick=True)
    damage = [line for line in found if not line.startswith(_NO_DAMAGE)]
    if damage:
        raise DatabaseCorrupt(path, f"the file is damaged: {damage[0]}")
