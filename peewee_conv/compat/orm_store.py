"""The file behind a session: its statements, and the one transaction that may be open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..clock import from_text
from ..database.handle import Handle
from ..database.held import HeldTransaction
from ..database.numbering import numbered
from ..database.schema import Schema
from ..errors import DatabaseFailure, InvalidArgument
from . import caller_sql, caller_times
from .naive_times import naive_utc
from .orm_results import Fetched, fetch

if TYPE_CHECKING:
    from ..project import Project

_KEPT = "objects of a session, or the project's services, which keep counts and search in step"


class Store:
    """One database of a project, for one session.

    :ivar transaction: what is open; ``None`` while the session only reads.
    """

    def __init__(self, project: Project, schema: Schema) -> None:
        self._binding, self._schema = project._binding, schema
        self._handle = Handle(project._binding, schema)
        self.transaction: HeldTransaction | None = None

    @property
    def path(self) -> str:
        """The path of the file."""
        return self._binding.path(self._schema)

    def now(self) -> datetime:
        """Return the time by the clock of the project: naive, in UTC."""
        return naive_utc(from_text(self._binding.settings.now()))

    # --- the transaction ---

    def begin(self) -> None:
        """Take the lock for writing, unless this session has it."""
        if self.transaction is None:
            self.transaction = HeldTransaction(self._binding, self._schema)

    def check_thread(self) -> None:
        """Raise if another thread is in the middle of the transaction."""
        if self.transaction is not None:
            self.transaction.check_thread()

    def commit(self) -> None:
        """End the transaction, if there is one; whatever happens, nothing is locked afterwards."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.commit()

    def rollback(self) -> None:
        """Take the transaction back, if there is one."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.rollback()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make the open transaction that of this thread for a block, so that services join it."""
        if self.transaction is None:
            yield
        else:
            with self.transaction.entered():
                yield

    # --- statements ---

    def fetch_guarded(self, sql: str, params: Any) -> Fetched:
        """Run the caller's own SQL, whole or not at all; times that it makes get the form of our tables.

        :raises InvalidArgument: as for :meth:`fetch`; or the statement gets round the services, or a time is none.
        """
        return self._answer(self._handle.write, _fetch_guarded, sql, params)

    def fetch(self, sql: str, params: Any) -> Fetched:
        """Run a statement, in the transaction if one is open.

        :raises InvalidArgument: a value breaks a rule of the table.
        :raises LimitReached: a new row finds no id left.
        """
        return self._answer(self._handle.read, fetch, sql, params)

    def _answer(self, run: Callable[..., Fetched], work: Callable[..., Fetched], sql: str, params: Any) -> Fetched:
        try:
            with self.inside():
                return run(_numbered, work, sql, params)
        except DatabaseFailure as failure:
            if isinstance(failure.__cause__, sqlite3.IntegrityError):
                allowed = f"what the rules of the table allow ({failure.__cause__})"
                raise InvalidArgument("value", "...", allowed) from failure.__cause__
            raise

    def run(self, query: Any) -> Fetched:
        """Run a query of Peewee."""
        return self.fetch(*query.sql())


def _numbered(connection: sqlite3.Connection, run: Callable[..., Fetched], sql: str, params: Any) -> Fetched:
    with numbered(connection):
        return run(connection, sql, params)


def _fetch_guarded(connection: sqlite3.Connection, sql: str, params: Any) -> Fetched:
    with caller_sql.guarded(connection, "statement", _KEPT) as written:
        fetched = fetch(connection, sql, params)
    caller_times.mend(connection, written)
    return fetched
