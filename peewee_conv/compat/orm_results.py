"""What a session answers to a statement: rows that are read to the end, so that nothing stays open on the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from ..errors import InvalidArgument, NotFound


class Row(tuple[Any, ...]):
    """A row of values, by place and by name."""

    _names: tuple[str, ...]

    @classmethod
    def of(cls, names: tuple[str, ...], values: tuple[Any, ...]) -> Row:
        """Make a row."""
        row = tuple.__new__(cls, values)
        row._names = names
        return row

    @property
    def _mapping(self) -> dict[str, Any]:
        return dict(zip(self._names, self, strict=True))

    def _asdict(self) -> dict[str, Any]:
        return self._mapping

    def __getattr__(self, name: str) -> Any:
        try:
            return self[self._names.index(name)]
        except ValueError:
            raise AttributeError(f"the row has no {name!r}, but: {', '.join(self._names)}") from None


class Fetched(NamedTuple):
    """What SQLite answered.

    :ivar rowcount: rows that the statement changed; -1 for one that changes none.
    """

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    rowcount: int
    lastrowid: int | None


def fetch(connection: sqlite3.Connection, sql: str, params: Any) -> Fetched:
    """Run a statement on a connection and read its rows to the end."""
    cursor = connection.execute(sql, params)
    names = tuple(column[0] for column in cursor.description or ())
    return Fetched(names, cursor.fetchall(), cursor.rowcount, cursor.lastrowid)


class Values(list[Any]):
    """What is left of a result: a list, which also answers as SQLAlchemy's do."""

    def all(self) -> list[Any]:
        """Return all of them."""
        return self

    fetchall = all

    def first(self) -> Any:
        """Return the first one, or ``None``."""
        return next(iter(self), None)

    def one(self) -> Any:
        """Return the only one.

        :raises NotFound: there is none.
        :raises InvalidArgument: there are more.
        """
        return only(self)

    def one_or_none(self) -> Any:
        """Return the only one, or ``None``.

        :raises InvalidArgument: there are more.
        """
        return only(self) if self else None


class Result:
    """The rows of a statement, to be taken one by one or all at once."""

    def __init__(self, fetched: Fetched) -> None:
        self._names = fetched.names
        self._rows = iter(fetched.rows)
        #: How many rows were changed; -1 for a statement that changes none.
        self.rowcount = fetched.rowcount
        #: The id of the row that was inserted last.
        self.lastrowid = fetched.lastrowid

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._names)

    def __iter__(self) -> Iterator[Row]:
        return (Row.of(self._names, row) for row in self._rows)

    def all(self) -> list[Row]:
        """Return the rows that are left."""
        return list(self)

    fetchall = all

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Return the next rows, at most *size*."""
        return list(islice(self, size))

    def fetchone(self) -> Row | None:
        """Return the next row, or ``None``."""
        return next(iter(self), None)

    first = fetchone

    def one(self) -> Row:
        """Return the only row.

        :raises NotFound: there is none.
        :raises InvalidArgument: there are more.
        """
        row: Row = only(self.all())
        return row

    def scalar(self) -> Any:
        """Return the first value of the next row, or ``None``."""
        row = self.fetchone()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        """Return the first value of the only row.

        :raises NotFound: there is none.
        :raises InvalidArgument: there are more.
        """
        return self.one()[0]

    def scalars(self) -> Values:
        """Return the first value of each row that is left."""
        return Values(row[0] for row in self)

    def mappings(self) -> Values:
        """Return the rows that are left as dictionaries."""
        return Values(row._mapping for row in self)


def only(rows: list[Any]) -> Any:
    """Return the only one of *rows*."""
    if not rows:
        raise NotFound("that was asked for")
    if len(rows) > 1:
        raise InvalidArgument("query", "...", "one row, but there are more")
    return rows[0]
