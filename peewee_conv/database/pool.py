"""A project database: one SQLite file of one project, its connections and its writers.

To Peewee it is an ordinary ``SqliteDatabase`` whose connection is the one that the current scope has on loan.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import sqlite3
import threading
import weakref
from collections.abc import Callable

from peewee import PeeweeException, SqliteDatabase

from .. import counters, paths, versions
from ..errors import (
    DatabaseBusy,
    DatabaseGone,
    DatabaseReadOnly,
    PeeweeConvError,
    ProjectNotBound,
)
from . import files
from .faults import COUNTED, translate
from .files import Connection
from .handover import Handover, Waiter
from .lease import Lease
from .sizes import SizeWatch
from .transactions import Transaction
from .writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .cache import Binding, Cache
    from .schema import Schema

logger = logging.getLogger("peewee_conv")

_ticks = itertools.count(1)
_PATIENCE = 0.05  # seconds: ten times as long as a thread may keep the interpreter to itself
_READS = ("SELECT", "PRAGMA", "EXPLAI", "VALUES")
_WRITES = r"\b(insert|update|delete|replace)\b"


class Ended(Exception):
    """Internal: this database object has left the cache; ask the cache again."""


def _checker(database: ProjectDatabase) -> Callable[[sqlite3.Connection], None]:
    """Return ``database.check_identity`` without a reference to the database: evicted, it should go at once."""
    found = weakref.ref(database)

    def check(connection: sqlite3.Connection) -> None:
        database = found()
        if database is not None:
            database.check_identity(connection)

    return check


class ProjectDatabase(SqliteDatabase):
    """One file: idle connections in a stack, loans counted, one queue of writers.

    :ivar ended: ``None`` while it may lend; else why it does not any more (``"evicted"``, ``"disposed"``, ``"gone"``,
        ``"forked"``), or does not for the moment (``"forking"``).
    :ivar is_killed: loans that are still out must not be used any more.
    """

    def __init__(self, binding: Binding, schema: Schema, path: str, cache: Cache) -> None:
        settings = binding.settings
        self.binding, self.schema, self.settings = binding, schema, settings
        self.path = path
        self.ended: str | None = None
        self.is_killed = False
        self.last_used = 0
        self.journal = ""
        self.writer = Writer(path, settings.busy_timeout_ms, _checker(self), group_commit=settings.group_commit)
        self._size = SizeWatch(path, settings.warn_size_bytes)
        self._cache = cache
        self._mutex = threading.Lock()
        self._opening = threading.Lock()
        self._handover = Handover()
        self._idle: list[Connection] = []
        self._out = 0
        self._drained = threading.Event()
        self._is_made = False  # Peewee's constructor asks for a connection where it finds one: inside a scope
        super().__init__(self.path, autoconnect=False, lock_type="IMMEDIATE")
        self._is_made = True

    # --- loans ---

    def checkout(self) -> Connection:
        """Lend a connection to this thread; it goes back with :meth:`checkin`.

        :raises Ended: this object has left the cache.
        """
        connection = self._borrow()
        self.last_used = next(_ticks)
        try:
            if connection is None:
                connection = self._connect_more()
            elif not self._is_at_path(connection):
                self._cache.discard(self, "gone")
                raise Ended
        except BaseException:
            self._take_back(connection)
            raise
        return connection

    def _borrow(self) -> Connection | None:
        """Take an idle connection, or the right to open one more, which is ``None``."""
        with self._mutex:
            if self.ended is not None or self._idle or not self._out or not self._cache.is_full:
                return self._lend()
            waiter = self._handover.join()
        return self._await_return(waiter)

    def _lend(self) -> Connection | None:
        if self.ended is not None:
            raise Ended
        self._out += 1
        return self._idle.pop() if self._idle else None

    def _await_return(self, waiter: Waiter) -> Connection | None:
        """Wait a moment for a loan to come back: cheaper than closing another project's connection to open one more."""
        try:
            waiter.gate.acquire(timeout=_PATIENCE)
        except BaseException:  # an interrupt, which may come when there is something in the hand already
            with self._mutex:
                connection = self._handover.leave(waiter)
            if connection is not None:
                self.checkin(connection)
            raise
        with self._mutex:
            return self._handover.leave(waiter) or self._lend()

    def checkin(self, connection: Connection) -> None:
        """Take a connection back; it must be in no transaction."""
        with self._mutex:
            keep = self.ended is None and not self._cache.is_wanted
            if keep and not self._handover.give(connection):
                self._out -= 1
                self._idle.append(connection)
        if not keep:
            self._take_back(connection)

    def _take_back(self, connection: Connection | None) -> None:
        if connection is not None and self.ended != "forked":
            self.close_connection(connection)
        with self._mutex:
            self._out -= 1
            is_empty = not self._out
            is_unused = is_empty and not self._idle and self.ended is None
        if is_empty:
            self._drained.set()
        if is_unused:
            self._cache.discard(self, "evicted")

    def _connect_more(self) -> Connection:
        try:
            connection = self._cache.open_connection(self._open, self.settings.busy_timeout_ms / 1000)
        except COUNTED as error:
            self.count_failure(error)
            raise
        if not self._is_at_path(connection):
            self.close_connection(connection)
            self._cache.discard(self, "gone")
            raise Ended
        return connection

    def close_connection(self, connection: Connection) -> None:
        """Close a connection that nobody uses."""
        self._cache.close(connection)

    @property
    def can_lend_aside(self) -> bool:
        """Whether a thread that has a connection of this file may have a second one, and needs it."""
        return self.journal == "wal" and not self._cache.is_full

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on loan."""
        return self._out == 0

    @property
    def idle_count(self) -> int:
        """How many open connections nobody uses."""
        return len(self._idle)

    @property
    def connection_count(self) -> int:
        """How many connections are open, used or not."""
        return self._out + len(self._idle)

    def look(self) -> counters.Open:
        """Return how large it is at this moment."""
        return self.schema.name, self.connection_count, paths.size(self.path), paths.size(self.path + "-wal")

    def take_idle(self, *, all_: bool) -> list[Connection]:
        """Remove and return idle connections: all of them, or the one that was used longest ago."""
        with self._mutex:
            taken, self._idle = (self._idle, []) if all_ else (self._idle[:1], self._idle[1:])
            return taken

    def end(self, reason: str, *, only_if_idle: bool = False) -> bool:
        """Lend nothing from now on. Return whether this call ended it."""
        with self._mutex:
            if self.ended is not None or (only_if_idle and self._out):
                return False
            self.ended = reason
            self._handover.send_away()
            if self._out:
                self._drained.clear()
            else:
                self._drained.set()
            return True

    def resume(self) -> None:
        """Lend again, after a fork."""
        with self._mutex:
            if self.ended == "forking":
                self.ended = None

    def wait_until_drained(self, timeout: float) -> bool:
        """Wait until every loan is back, for at most *timeout* seconds."""
        return self._drained.wait(timeout)

    # --- opening ---

    def _open(self) -> Connection:
        """Open one more connection; the first one makes or upgrades the file."""
        try:
            if self.journal:
                return self._open_checked(self.journal)
            return self._open_first()
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise translate(error, self.path) from error

    def _open_first(self) -> Connection:
        timeout = self.settings.busy_timeout_ms / 1000
        if not self._opening.acquire(timeout=timeout):
            raise DatabaseBusy(self.path, f"another thread has been opening the file for {timeout:g} s")
        try:
            mode = self.journal or files.journal_mode(os.path.dirname(self.path), self.settings)
            self._ensure_file(mode)
            connection = self._open_checked(mode)
            self.journal = mode
            self._size.look(paths.size(self.path))
            # An application with many projects opens them again and again: that is no news.
            is_news = self.schema.name not in self.binding.seen
            logger.log(logging.INFO if is_news else logging.DEBUG, "%s opened, journal mode %s", self.path, mode)
            self.binding.seen.add(self.schema.name)
            return connection
        finally:
            self._opening.release()

    def _open_checked(self, mode: str) -> Connection:
        connection = files.connect(self.path, self.settings)
        try:
            # The version comes before any pragma that writes: a newer or foreign file stays untouched.
            if not versions.is_current(connection, self.path, self.schema.migrations):
                self._upgrade(connection)
            files.configure(connection, self.path, self.settings, mode)
            self._add_conn_hooks(connection)  # type: ignore[attr-defined]
            counters.opened(self.schema.name, connection.counts)
        except BaseException:
            connection.close()
            raise
        return connection

    def _ensure_file(self, mode: str) -> None:
        if paths.identity(self.path) is not None:
            return
        if self.schema.name in self.binding.seen:
            raise DatabaseGone(self.path, "was deleted while it was open")
        files.create(self.path, self.settings, mode, self._upgrade)

    def _upgrade(self, connection: Connection) -> None:
        if not os.access(self.path if os.path.exists(self.path) else os.path.dirname(self.path), os.W_OK):
            raise DatabaseReadOnly(self.path, "the file needs an upgrade and cannot be written")
        from .. import migrate  # here: most files that are opened need no upgrade

        migrate.upgrade(
            connection,
            self.path,
            self.schema.migrations,
            keep_copies=self.settings.keep_copies,
            translate=lambda error, _: translate(error, connection.path),  # of a draft the file itself is not there yet
        )

    # --- the file under an open handle ---

    def _is_at_path(self, connection: Connection) -> bool:
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return connection.identity == (found.st_dev, found.st_ino)

    def check_identity(self, connection: sqlite3.Connection) -> None:
        """Raise if the file of *connection* is not at its path any more: a write must not vanish unnoticed."""
        try:
            found = os.stat(self.path)
        except OSError:
            found = None
        if found is not None and connection.identity == (found.st_dev, found.st_ino):  # type: ignore[attr-defined]
            size = self._size
            if (found.st_size > size.bound) is not size.is_large:
                size.cross(found.st_size)
            return
        self._cache.discard(self, "gone")
        raise DatabaseGone(self.path, "was deleted or replaced while it was written to; nothing is acknowledged")

    def fault(self, error: Exception) -> PeeweeConvError:
        """Return our error for *error*; where the file has gone, the next call opens what is there then."""
        failure = translate(error, self.path)
        if isinstance(failure, DatabaseGone):
            self._cache.discard(self, "gone")
        self.count_failure(failure)
        return failure

    def count_failure(self, error: PeeweeConvError | PeeweeException) -> None:
        """Count an error that the caller gets."""
        counters.failed(self.schema.name, error)

    # --- what Peewee sees: the connection of the current scope ---

    @property
    def _state(self) -> Lease:
        return self.binding.lease(self.schema)

    @_state.setter
    def _state(self, value: object) -> None:
        """Ignore the per-thread state that Peewee's constructor offers."""

    def is_closed(self) -> bool:
        """Whether this thread or task is outside a scope of the project."""
        return not (self._is_made and self.binding.is_bound())

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Do nothing inside a scope, which is connected already."""
        if self.is_closed():
            raise ProjectNotBound("a project database is connected by its scope")
        return False

    def close(self) -> bool:
        """Do nothing: leaving the scope returns the connection."""
        return False

    def init(self, database: str | None, *args: Any, **kwargs: Any) -> None:
        """Remember the path, without Peewee's look at its state."""
        self.database, self.deferred = database, False
        self._timeout = self.settings.busy_timeout_ms / 1000
        self.connect_params.update(kwargs)

    def connection(self) -> sqlite3.Connection:
        """Return the connection of the current scope."""
        return self._state.conn

    def cursor(self, named_cursor: str | None = None) -> sqlite3.Cursor:
        """Return a cursor of the current scope's connection, which ends with the scope."""
        return self._state.cursor()

    def execute_sql(self, sql: str, params: Any = None) -> sqlite3.Cursor:
        """Run one statement of plain Peewee; one that writes waits for its turn like everybody else."""
        lease = self._state
        lease.conn.counts.models += 1
        try:
            if lease.transactions or only_reads(sql):
                cursor: sqlite3.Cursor = super().execute_sql(sql, params)  # type: ignore[no-untyped-call]
                return cursor
            return self._write_in_turn(lease, sql, params)
        except (PeeweeException, *COUNTED) as error:
            self.count_failure(error)
            raise

    def _write_in_turn(self, lease: Lease, sql: str, params: Any) -> sqlite3.Cursor:
        turn = object()
        try:
            self.writer.acquire(turn, lease.conn.counts)
            cursor: sqlite3.Cursor = super().execute_sql(sql, params)  # type: ignore[no-untyped-call]
            self.check_identity(lease.conn)
            lease.conn.counts.model_commits += 1
            return cursor
        finally:
            self.writer.release(turn)

    def atomic(self, *args: Any, **kwargs: Any) -> Transaction:  # type: ignore[override]
        """Return a transaction, or a savepoint inside one. Every transaction of a project is ``IMMEDIATE``."""
        return Transaction(lambda: self._state)

    transaction = atomic  # type: ignore[assignment]

    def savepoint(self) -> Transaction:  # type: ignore[override]
        """Return a savepoint inside the open transaction."""
        return Transaction(lambda: self._state)

    def begin(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: only ``atomic()`` waits for its turn and gives it on."""
        raise TypeError("a transaction of a project is made by atomic(), and ended by leaving its block")

    commit = rollback = manual_commit = begin


def only_reads(sql: str) -> bool:
    """Say whether a statement surely writes nothing: reading waits for no writer."""
    verb = sql.lstrip()[:6].upper()
    return verb in _READS or (verb.startswith("WITH") and not re.search(_WRITES, sql, re.IGNORECASE))
