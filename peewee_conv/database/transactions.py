"""``atomic()``: one ``BEGIN IMMEDIATE`` transaction around several calls, savepoints inside it.

Unlike Peewee's own helper it tells a full disk from a failed rollback, restores its state under ``KeyboardInterrupt``
too, and runs after-commit callbacks when the data is committed and the lock is free.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from types import TracebackType

from ..errors import ProjectNotBound
from .lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])


class Transaction:
    """A transaction or, inside one, a savepoint; a context manager and a decorator.

    :param resolve: returns the lease of the current scope; asked once, on entry, so that a scope that changes
        meanwhile cannot end the transaction of another project.
    """

    def __init__(self, resolve: Callable[[], Lease]) -> None:
        self._resolve = resolve
        self._lease: Lease | None = None
        self._savepoint: str | None = None

    def __call__(self, function: Function) -> Function:
        """Run *function* in a transaction of its own."""

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with Transaction(self._resolve):
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]

    def __enter__(self) -> Transaction:
        lease = self._resolve()
        if lease.transactions:
            lease.check()
            lease.check_task()
            self._savepoint = f"level_{len(lease.transactions)}"
            self._execute(lease, f"SAVEPOINT {self._savepoint}")
            lease.transactions.append(self)
        else:
            self._savepoint = None
            lease.begin(self)
        self._lease = lease
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is None or self not in lease.transactions:
            if exc_type is None:  # rolled back with its scope: that must not pass for success
                raise ProjectNotBound("this transaction was ended before its block was left")
            return
        del lease.transactions[lease.transactions.index(self) :]
        if self._savepoint is not None:
            self._leave_savepoint(lease, self._savepoint, failed=exc_type is not None)
        elif exc_type is not None:
            lease.commit_callbacks.clear()
            lease.rollback()
        else:
            _commit(lease)

    def _leave_savepoint(self, lease: Lease, name: str, *, failed: bool) -> None:
        if not lease.conn.in_transaction:
            return  # SQLite gave the whole transaction up; the outermost block reports it
        if failed:
            self._execute(lease, f"ROLLBACK TO {name}")
        self._execute(lease, f"RELEASE {name}")

    def _execute(self, lease: Lease, sql: str) -> None:
        try:
            lease.conn.execute(sql)
        except sqlite3.Error as error:
            raise lease.database.fault(error) from error

    # --- Peewee's explicit verbs, inside the block ---

    def commit(self, begin: bool = True) -> None:
        """Commit what was done so far; the block goes on in a new transaction."""
        lease = self._inside()
        if self._savepoint is not None:
            self._execute(lease, f"RELEASE {self._savepoint}")
            self._execute(lease, f"SAVEPOINT {self._savepoint}")
        else:
            lease.transactions.clear()
            _commit(lease)
            self._go_on(lease, begin)

    def rollback(self, begin: bool = True) -> None:
        """Take back what was done so far; the block goes on in a new transaction."""
        lease = self._inside()
        if self._savepoint is not None:
            self._execute(lease, f"ROLLBACK TO {self._savepoint}")
        else:
            lease.transactions.clear()
            lease.commit_callbacks.clear()
            lease.rollback()
            self._go_on(lease, begin)

    def _go_on(self, lease: Lease, begin: bool) -> None:
        if begin:
            lease.begin(self)
        else:
            self._lease = None

    def _inside(self) -> Lease:
        if self._lease is None:
            raise RuntimeError("this transaction is not open: use it inside its 'with' block")
        return self._lease


def _commit(lease: Lease) -> None:
    callbacks, lease.commit_callbacks = lease.commit_callbacks, []
    lease.commit()
    for callback in callbacks:
        callback()
