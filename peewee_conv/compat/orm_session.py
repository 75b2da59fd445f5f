"""A small unit of work over one database of a project, in the words of SQLAlchemy's ``Session``.

Reading takes no lock and waits for nobody. The first write begins one ``BEGIN IMMEDIATE`` transaction, which lasts to
``commit()`` or ``rollback()``. A row that somebody else has changed since this session read it is then not overwritten:
the flush fails with ``DatabaseBusy`` and nothing is written. To read, decide and write without that risk, begin with
:meth:`Session.begin_write`.

A session belongs to one thread at a time. Between transactions it may wander; in the middle of one every other thread
gets one error, but may end it with ``rollback()`` or ``close()``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..database.pool import only_reads
from ..database.schema import Schema
from ..errors import InvalidArgument
from . import caller_sql
from .orm_columns import MOMENT
from .orm_objects import Base
from .orm_query import Query
from .orm_results import Fetched, Result
from .orm_store import Store
from .orm_unit import Unit

if TYPE_CHECKING:
    from ..project import Project

Mapped = TypeVar("Mapped", bound=Base)

# What would end the session's transaction behind its back, or stay on a connection that others use next.
_NOT_HERE = re.compile(r"(?:BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|DETACH|VACUUM)\b", re.IGNORECASE)
_PRAGMA = re.compile(r"PRAGMA\b", re.IGNORECASE)


class Session:
    """Objects of one database, read and written as one unit of work; a context manager that closes itself.

    :param project: whose database it is.
    :param schema: which of its databases.
    :param autoflush: whether queries write pending changes first, so that they see them.
    """

    def __init__(self, project: Project, schema: Schema, *, autoflush: bool = False) -> None:
        self.project, self.autoflush = project, autoflush
        self._store = Store(project, schema)
        self._unit = Unit(self._store)

    # --- objects ---

    def add(self, instance: Base) -> None:
        """Take an object into the session: a new one is stored by the next flush.

        :raises InvalidArgument: another session that is open has it.
        """
        self._unit.add(instance)

    def add_all(self, instances: Iterable[Base]) -> None:
        """Take objects into the session."""
        for instance in instances:
            self.add(instance)

    def delete(self, instance: Base) -> None:
        """Have the row of an object deleted by the next flush.

        :raises InvalidArgument: it has no row in this session.
        """
        self._unit.delete(instance)

    def get(self, entity: type[Mapped], key: Any) -> Mapped | None:
        """Return the object of that key as it is now, or ``None``."""
        found: Mapped | None = self.query(entity).get(key)
        return found

    def query(self, *entities: Any) -> Query[Any]:
        """Return a query for a mapped class, or for columns and expressions of one."""
        return Query(self, entities)

    def refresh(self, instance: Base) -> None:
        """Read the row of an object again; changes that are not flushed are lost.

        :raises NotFound: the row is gone.
        """
        self._unit.refresh(instance)

    def expire_all(self) -> None:
        """Have every object read its row again before its next use; changes that are not flushed are lost."""
        self._unit.expire()

    def loaded(self, entity: type[Base], row: tuple[Any, ...]) -> Base:
        """Return the object of a row that a query has read."""
        return self._unit.loaded(entity, row)

    # --- the transaction ---

    def begin_write(self) -> None:
        """Take the lock for writing now, so that nothing changes between what is read from here on and the commit.

        :raises DatabaseBusy: another writer kept it for longer than ``busy_timeout_ms``.
        """
        self._store.begin()

    def flush(self) -> None:
        """Write what is pending; other sessions see it after the commit.

        :raises InvalidArgument: the table refuses a value. Like every error here, it rolls the transaction back.
        :raises DatabaseBusy: somebody else has changed a row since it was read.
        """
        if self._unit.is_clean:
            return
        self._store.check_thread()
        try:
            self._store.begin()
            self._unit.write(self)
        except BaseException:
            self.rollback()
            raise

    def commit(self) -> None:
        """Write what is pending and commit. From then on the objects show what is in the file; nothing is locked."""
        self._store.check_thread()
        self.flush()
        try:
            self._store.commit()
        except BaseException:
            self._unit.take_back()
            raise
        self._unit.committed()

    def rollback(self) -> None:
        """Take everything back since the last commit, in the file and in the objects."""
        self._store.rollback()
        self._unit.take_back()

    def close(self) -> None:
        """Roll back what is not committed and let go of all objects, which stay readable."""
        self.rollback()
        self._unit.let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # --- statements ---

    def execute(self, statement: object, params: Mapping[str, Any] | None = None) -> Result:
        """Run the caller's own SQL and return its rows.

        :param statement: ``text(...)``, or anything whose ``str()`` is one SQL statement with ``:named`` parameters.
        :raises InvalidArgument: a statement about transactions or settings, or a value that the table refuses.
        """
        sql = caller_sql.bare(str(statement))
        if _NOT_HERE.match(sql) or (_PRAGMA.match(sql) and not caller_sql.only_asks(sql)):
            raise InvalidArgument("statement", sql[:40], "no transaction or setting: commit(), rollback(), Project")
        values = _all_bound(params)
        return Result(
            self._read(sql, values) if only_reads(sql) else self._write(lambda: self._store.fetch_guarded(sql, values))
        )

    def rows(self, query: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query of Peewee."""
        return self._read(*query.sql()).rows

    def write(self, query: Any) -> Fetched:
        """Run a query of Peewee that changes any number of rows, and have the objects of the session show it."""
        return self._write(lambda: self._store.fetch_guarded(*query.sql()))

    def delete_by(self, delete: Callable[[Any], bool], keys: Iterable[Any]) -> Result:
        """Delete rows by a service, in the transaction, and have the objects of the session show it."""
        return Result(self._write(lambda: Fetched((), [], self._deleted(delete, keys), None)))

    def _deleted(self, delete: Callable[[Any], bool], keys: Iterable[Any]) -> int:
        with self._store.inside():
            return sum(map(delete, keys))

    def run(self, query: Any) -> Fetched:
        """Run a query of Peewee as a part of a flush."""
        return self._store.run(query)

    def now(self) -> datetime:
        """Return the time as new rows get it: naive, in UTC."""
        return self._store.now()

    def _read(self, sql: str, params: Any) -> Fetched:
        if self.autoflush:
            self.flush()
        return self._store.fetch(sql, params)

    def _write(self, change: Callable[[], Fetched]) -> Fetched:
        if self.autoflush:
            self.flush()
        self._store.begin()
        self._unit.before_statement()
        fetched = change()
        self._unit.after_statement()
        return fetched


def _all_bound(params: object) -> dict[str, Any]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise InvalidArgument("params", type(params), "a mapping, for the :named parameters of one statement")
    return {name: _bound(name, value) for name, value in params.items()}


def _bound(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return MOMENT.write(name, value)
    if value is None or isinstance(value, (int, float, str, bytes)):
        return value
    raise InvalidArgument(name, type(value), "None, a number, a text, bytes or a datetime")
