"""What the columns of a database may hold: text that can be read, and numbers where numbers belong."""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from . import inspection
from .arguments import MAX_TOKEN_COUNT

_NUMBERS: Final = re.compile("INT|BOOL|REAL|FLOA|DOUB|NUM|DEC|BLOB")
# By what SQLite calls it: which types a column of ours holds, and what else is in it then.
_KINDS: Final = (
    (re.compile("INT|BOOL"), ("integer",), "no whole number"),
    (re.compile("REAL"), ("real", "integer"), "no number"),
    (re.compile("TEXT|CHAR"), ("text",), "no text"),
)


class Column(NamedTuple):
    """A column of a table and the key of that table."""

    table: str
    name: str
    declared: str
    keys: tuple[str, ...]


def columns(connection: sqlite3.Connection) -> Iterator[list[Column]]:
    """Yield the columns of each table."""
    for table in inspection.tables(connection):
        found = connection.execute("SELECT name, upper(type), pk FROM pragma_table_info(?)", (table,)).fetchall()
        keys = tuple(name for name, _, place in found if place) or ("rowid",)
        yield [Column(table, name, declared, keys) for name, declared, _ in found]


def unreadable_text(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield where there is text that is not UTF-8, which nobody can read."""
    for of_table in columns(connection):
        texts = [column for column in of_table if not _NUMBERS.search(column.declared)]
        if texts and not _is_readable(connection, texts):
            for column in texts:
                yield from _not_utf8(connection, column)


def _is_readable(connection: sqlite3.Connection, texts: list[Column]) -> bool:
    names, table = ", ".join(inspection.quoted(column.name) for column in texts), inspection.quoted(texts[0].table)
    try:
        deque(connection.execute(f"SELECT {names} FROM {table}"), 0)  # decodes each row and keeps none
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):
            raise
        return False
    return True


def _not_utf8(connection: sqlite3.Connection, column: Column) -> Iterator[str]:
    name, table, names = (
        inspection.quoted(column.name),
        inspection.quoted(column.table),
        ", ".join(map(_raw, column.keys)),
    )
    count, first = 0, None
    rows = connection.execute(f"SELECT CAST({name} AS BLOB), {names} FROM {table} WHERE typeof({name}) = 'text'")
    for value, *key in rows:
        try:
            value.decode()
        except UnicodeDecodeError:
            count, first = count + 1, first or key
    if first is not None:
        yield _tell(column, "not UTF-8", count, first)


def wrong_types(connection: sqlite3.Connection, left_out: set[tuple[str, str]]) -> Iterator[str]:
    """Yield where there is something else than the type of a column says, which SQLite allows.

    :param left_out: tables and columns that have a check of their own.
    """
    for of_table in columns(connection):
        judged = [column for column in of_table if (column.table, column.name) not in left_out]
        wrong = [(column, *_wrong(column)) for column in judged]
        names, table = ", ".join(f"total({where})" for _, where, _ in wrong), inspection.quoted(of_table[0].table)
        counts = connection.execute(f"SELECT {names} FROM {table}").fetchone() if wrong else ()  # all in one pass
        for (column, where, told), count in zip(wrong, counts, strict=True):
            if count:
                names = ", ".join(map(_raw, column.keys))
                key = connection.execute(f"SELECT {names} FROM {table} WHERE {where} LIMIT 1").fetchone()
                yield _tell(column, told, int(count), key)


def _wrong(column: Column) -> tuple[str, str]:
    """Return what is true in SQL for a wrong value, and what that is then."""
    name = inspection.quoted(column.name)
    types, told = next(((types, told) for pattern, types, told in _KINDS if pattern.search(column.declared)), ((), ""))
    if not types:
        return "0", ""
    where = f"typeof({name}) NOT IN ('null', {', '.join(map(repr, types))})"
    if (column.table, column.name) == ("messages", "token_count"):
        return f"({where} OR {name} > {MAX_TOKEN_COUNT})", f"{told} up to {MAX_TOKEN_COUNT}"
    return where, told


def _tell(column: Column, told: str, count: int, key: Iterable[object]) -> str:
    shown = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in key]
    where = " and ".join(f"{name} is {value!r}" for name, value in zip(column.keys, shown, strict=True))
    return f"{column.table}: {column.name} is {told} in {count} of the rows, first where {where}"


def _raw(name: str) -> str:
    """Return what gives a key as it is stored, a text as its bytes."""
    quoted = inspection.quoted(name)
    return f"CASE typeof({quoted}) WHEN 'text' THEN CAST({quoted} AS BLOB) ELSE {quoted} END"
