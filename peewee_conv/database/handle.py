"""How a service reaches its database: ``read`` and ``write`` run a plain function over a connection.

Inside a scope of the project both use the connection of the scope, and join its transaction. Outside, they borrow a
connection for the one call. Faults come out as our own errors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from .cache import Binding
from .faults import COUNTED
from .lease import Lease, this_thread, threads
from .schema import Schema
from .scope import current_scope
from .turnstile import readers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, TypeVarTuple

    Arguments = TypeVarTuple("Arguments")
    Result = TypeVar("Result")

_PATIENCE_MS = 250  # of who can do without the write

# The last two are what the sqlite3 module says of values that SQLite cannot hold, or of texts that it should not.
_FAULTS = (sqlite3.Error, UnicodeError, OverflowError)


class Handle:
    """One schema of one project, for a service.

    :param binding: the project.
    :param schema: the schema.
    """

    __slots__ = ("binding", "schema")

    def __init__(self, binding: Binding, schema: Schema) -> None:
        self.binding, self.schema = binding, schema

    def read(self, work: Callable[[sqlite3.Connection, *Arguments], Result], *args: *Arguments) -> Result:
        """Return ``work(connection, *args)``, which only reads. It waits for no writer and takes no lock."""
        result: Result
        result = self._read(work, args) if len(threads) < 2 else self._read(_in_turn, (work, args))
        return result

    def _read(self, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        lease = self._lease()
        if lease is not None:
            try:
                lease.check()
                lease.conn.counts.reads += 1
                return work(lease.conn, *args)
            except _FAULTS as error:
                raise lease.database.fault(error) from error
            except COUNTED as error:
                lease.database.count_failure(error)
                raise
        threads.add(this_thread.token)
        database, connection = self.binding.checkout(self.schema)
        connection.counts.reads += 1
        try:
            return work(connection, *args)
        except _FAULTS as error:
            raise database.fault(error) from error
        except COUNTED as error:
            database.count_failure(error)
            raise
        finally:
            database.checkin(connection)

    def read_snapshot(self, work: Callable[[sqlite3.Connection, *Arguments], Result], *args: *Arguments) -> Result:
        """Return ``work(connection, *args)``, whose several reads see one state of the file."""
        result: Result = self.read(_in_snapshot, work, args)
        return result

    def write(self, work: Callable[[sqlite3.Connection, *Arguments], Result], *args: *Arguments) -> Result:
        """Return ``work(connection, *args)``, carried out whole or not at all, and on disk.

        Another thread that commits for several callers may run *work*: it must depend on its arguments alone.
        """
        result: Result = self._write(work, args, False)
        return result

    def write_statement(self, work: Callable[[sqlite3.Connection, *Arguments], Result], *args: *Arguments) -> Result:
        """Do as :meth:`write` with *work* that runs one single SQL statement, which SQLite itself makes atomic."""
        result: Result = self._write(work, args, True)
        return result

    def write_if_free(self, work: Callable[[sqlite3.Connection, *Arguments], Result], *args: *Arguments) -> Result:
        """Do as :meth:`write`, but give up after a quarter of a second if others are writing.

        :raises DatabaseBusy: they were.
        """
        result: Result = self._read(self._hurried, (work, args))
        return result

    def _hurried(self, connection: sqlite3.Connection, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if connection.in_transaction:
            return _in_savepoint(connection, work, args, False)
        usual = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        connection.execute(f"PRAGMA busy_timeout = {min(usual, _PATIENCE_MS)}")
        try:
            database = self.binding.database(self.schema)
            return database.writer.run(connection, work, args, False, timeout=_PATIENCE_MS / 1000)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {usual}")

    def _write(self, work: Callable[..., Any], args: tuple[Any, ...], is_statement: bool) -> Any:
        lease = self._lease()
        if lease is not None:
            try:
                lease.check()
                if lease.transactions:
                    return _in_savepoint(lease.conn, work, args, is_statement)
                return lease.database.writer.run(lease.conn, work, args, is_statement)
            except _FAULTS as error:
                raise lease.database.fault(error) from error
            except COUNTED as error:
                lease.database.count_failure(error)
                raise
        database, connection = self.binding.checkout(self.schema)
        try:
            return database.writer.run(connection, work, args, is_statement)
        except _FAULTS as error:
            raise database.fault(error) from error
        except COUNTED as error:
            database.count_failure(error)
            raise
        finally:
            database.checkin(connection)

    def _lease(self) -> Lease | None:
        scope = current_scope()
        if scope is None:
            return None
        scope = scope.find(self.binding)
        if scope is None:
            return None
        lease = scope.lease(self.schema)
        return None if lease.is_aside else lease


def _in_turn(connection: sqlite3.Connection, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Run *work* when it is this thread's turn to read."""
    gate = readers.enter()
    try:
        return work(connection, *args)
    finally:
        readers.leave(gate)


def _in_savepoint(
    connection: sqlite3.Connection, work: Callable[..., Any], args: tuple[Any, ...], is_statement: bool
) -> Any:
    """Run *work* inside an open transaction, so that its failure takes back its own changes alone."""
    if is_statement:
        result = work(connection, *args)
    else:
        connection.execute("SAVEPOINT work")
        try:
            result = work(connection, *args)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK TO work")
                connection.execute("RELEASE work")
            raise
        connection.execute("RELEASE work")
    connection.counts.joined += 1  # type: ignore[attr-defined]
    return result


def _in_snapshot(connection: sqlite3.Connection, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    if connection.in_transaction:
        return work(connection, *args)
    connection.execute("BEGIN")
    try:
        return work(connection, *args)
    finally:
        _leave_snapshot(connection)


def _leave_snapshot(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # an I/O error has ended it already
        connection.execute("COMMIT")
