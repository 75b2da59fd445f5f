"""A lease: one connection of one project database, held by one scope in one thread until the scope is left.

It is what Peewee takes for its connection state, so that models and services of a scope share one connection and one
transaction.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import weakref
from collections.abc import Callable

from ..errors import DatabaseBusy, DatabaseGone, DatabaseIOError, ProjectDisposed
from . import fork
from .faults import COUNTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .files import Connection
    from .pool import ProjectDatabase


class Lease:
    """A connection on loan, with the stack of its open transactions."""

    __slots__ = (
        "__weakref__",
        "_cursors",
        "_released",
        "commit_callbacks",
        "conn",
        "ctx",
        "database",
        "pid",
        "task",
        "transactions",
    )

    closed = False  # Peewee's word for "connected"

    def __init__(self, database: ProjectDatabase, connection: Connection) -> None:
        self.database, self.conn = database, connection
        self.pid = os.getpid()
        self.task: object = None  # the asyncio task that opened the outermost transaction
        self.transactions: list[Any] = []
        self.ctx: list[Any] = []
        self.commit_callbacks: list[Callable[[], Any]] = []
        self._cursors: weakref.WeakSet[sqlite3.Cursor] | None = None  # made for the first: most leases have none
        self._released = False
        this_thread.sentinel.leases.add(self)

    # --- use ---

    def check(self) -> None:
        """Raise if the connection must not be used any more: disposed, forked, or its transaction lost."""
        if self.database.ended is not None or self._released:
            self._check_end()
        if self.transactions and not self.conn.in_transaction:
            # What follows would be committed statement by statement, without what came before.
            raise DatabaseIOError(self.database.path, "SQLite gave up this transaction, leave the atomic() block")

    def _check_end(self) -> None:
        if self.database.ended == "forked":
            raise DatabaseGone(self.database.path, fork.INHERITED, fork.ADVICE)
        if self.database.is_killed or self._released:
            raise ProjectDisposed(self.database.path)

    def cursor(self) -> sqlite3.Cursor:
        """Return a cursor for Peewee; it is closed with the lease, so that no open SELECT keeps a snapshot."""
        self.check()
        self.check_task()
        if self._cursors is None:
            self._cursors = weakref.WeakSet()
        cursor = self.conn.cursor(_Cursor)
        cursor.open_ones = self._cursors
        self._cursors.add(cursor)
        return cursor

    @property
    def is_in_use(self) -> bool:
        """Whether a transaction is open on it, or a cursor that its owner may read on."""
        return bool(self.transactions or self._cursors or self.conn.in_transaction)

    def check_task(self) -> None:
        """Raise if another task of this thread has a transaction open here: it must not be joined."""
        if self.transactions and self.task is not current_task():
            raise DatabaseBusy(self.database.path, "another task of this thread holds a transaction in this scope")

    @property
    def is_aside(self) -> bool:
        """Whether a service should use a connection of its own instead of this one.

        So it is while another task has a transaction on it, and outside transactions while a query of Peewee is not
        read to its end: that keeps an old state of the file, on which WAL refuses to write. But nobody waits for a
        second connection with the first in hand.
        """
        if self.transactions:
            return self.task is not current_task()
        return bool(self._cursors) and self.database.can_lend_aside

    # --- the outermost transaction ---

    def begin(self, transaction: object) -> None:
        """Wait for the turn to write, take the lock of the file, and note *transaction* as the outermost."""
        self.check()
        try:
            self.database.writer.acquire(self, self.conn.counts)
            self.conn.execute("BEGIN IMMEDIATE")
            self.database.writer.locked()
            self.task = current_task()
            self.transactions.append(transaction)
        except BaseException as error:
            self._end()  # an interrupt may come when the lock is taken already
            if isinstance(error, sqlite3.Error):
                raise self.database.fault(error) from error
            if isinstance(error, COUNTED):
                self.database.count_failure(error)
            raise

    def commit(self) -> None:
        """Commit, give the turn on, and raise if the file is not at its path any more."""
        try:
            self.check()
            if not self.conn.in_transaction:
                raise DatabaseIOError(self.database.path, "SQLite gave up this transaction, nothing was written")
            self.conn.execute("COMMIT")
            self.database.check_identity(self.conn)
            self.conn.counts.transactions += 1
        except sqlite3.Error as error:
            raise self.database.fault(error) from error
        except COUNTED as error:
            self.database.count_failure(error)
            raise
        finally:
            self._end()

    def rollback(self) -> None:
        """Take everything back and give the turn on."""
        self._end()

    def _end(self) -> None:
        if self.pid != os.getpid():
            return  # the transaction is the parent's, and so is the lock
        try:
            # On a full disk SQLite has rolled back by itself; a second ROLLBACK would hide the cause.
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
        finally:
            self.task = None
            self.database.writer.release(self)

    # --- the end ---

    def release(self) -> None:
        """Return the connection, clean; safe to call twice and from another thread."""
        if self._released:
            return
        self._released = True
        this_thread.sentinel.leases.discard(self)
        if self.pid != os.getpid():
            # SQLite forbids even closing an inherited handle. Threads that a fork left behind come here before any
            # fork hook has run.
            fork.leak(self, self.conn)
            return
        for cursor in list(self._cursors or ()):
            cursor.close()
        if self.transactions or self.conn.in_transaction:
            self.transactions.clear()
            self._end()
        self.database.checkin(self.conn)

    # --- the rest of what Peewee asks of its state ---

    def reset(self) -> None:
        """Do nothing: the scope decides when the connection goes back."""

    def set_connection(self, conn: object) -> None:
        """Do nothing: the scope has chosen the connection."""


class _Cursor(sqlite3.Cursor):
    """A cursor that says when it is done with; Peewee closes those that it has read to the end."""

    open_ones: weakref.WeakSet[sqlite3.Cursor]

    def close(self) -> None:
        self.open_ones.discard(self)
        super().close()


#: The tokens of the threads that have used a database, as long as they live.
threads: set[object] = set()


class _Sentinel:
    """Goes with its thread, and takes the thread's leases along: a dead thread leaves nothing locked.

    Reference counting does this at once; since CPython 3.11 the garbage collector may otherwise take long.
    """

    __slots__ = ("leases", "token")

    def __init__(self) -> None:
        self.leases: set[Lease] = set()
        #: Stands for this thread alone: the system gives the number of a dead thread to a new one.
        self.token = object()
        threads.add(self.token)

    def __del__(self, threads: set[object] = threads) -> None:  # of the module's names none may be left by then
        threads.discard(self.token)
        for lease in list(self.leases):
            lease.release()


class _Thread(threading.local):
    def __init__(self) -> None:
        self.sentinel = _Sentinel()
        self.token = self.sentinel.token


this_thread = _Thread()


def current_task() -> object:
    """Return the running asyncio task, or ``None``, without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except (RuntimeError, AttributeError):  # no running loop; or asyncio is only being imported
        return None
