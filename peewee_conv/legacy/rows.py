"""What the upgrades of both legacy files share: reading old values, keeping what the new rules refuse.

An old value is any of the things that SQLite holds. Each reader returns the value for the new column, or raises
:class:`Refused` with the reason; ``None`` gives the documented default, which the caller passes in.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from .. import paths
from ..clock import to_text
from ..errors import InvalidArgument

logger = logging.getLogger("peewee_conv")

Row = dict[str, Any]
Default = TypeVar("Default", str, None)

_MAX_ID = 2**62


class Refused(Exception):
    """A value that the rules of the new tables cannot hold; the text says which and why."""


class Rejects:
    """Collects what does not fit, and writes it beside the file before the upgrade commits.

    :param path: the database; the rejects go to ``<path>.rejected.jsonl``, one JSON object a line: the table, the row
        as it was, the reason, and whether the row itself was kept with that value replaced.
    :param source: where the rows are from, for the log; *path* if left out.
    """

    def __init__(self, path: str, source: str | None = None) -> None:
        self._path, self._source = path, source or path
        self._lines: list[str] = []

    def add(self, table: str, row: Row, reason: str, *, kept: bool = False) -> None:
        """Note a row that was left out, or kept with a value replaced."""
        plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
        self._lines.append(json.dumps({"table": table, "kept": kept, "reason": reason, "row": plain}))

    def write(self) -> str | None:
        """Write the file, if there is anything to write, and return its path. An older one of other contents stays."""
        if not self._lines:
            return None
        text = "".join(f"{line}\n" for line in self._lines)
        target = self._name_for(text)
        if not os.path.lexists(target):
            self.publish(text, target)
        logger.warning(
            "%d rows of %s do not fit the new tables as they were: see %s", len(self._lines), self._source, target
        )
        return target

    def _name_for(self, text: str) -> str:
        """Return a name that is free, or that of the same rejects: an upgrade that was killed has written them."""
        number, name = 1, f"{self._path}.rejected.jsonl"
        while os.path.lexists(name) and _contents(name) != text.encode():
            number += 1
            name = f"{self._path}.rejected.{number}.jsonl"
        return name

    def publish(self, text: str, target: str) -> None:
        """Make the file, whole or not at all."""
        draft = f"{self._path}.rejecting"  # only whoever holds the lock of the database has one
        if os.path.lexists(draft):
            os.unlink(draft)
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, target)
        paths.sync(os.path.dirname(target))


def _contents(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # a folder, or not ours to read
        return None


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of a table's columns; empty where there is no such table."""
    return {row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", (table,))}


def set_aside(connection: sqlite3.Connection, tables: Iterable[str]) -> None:
    """Move tables into temporary ones of the same name with ``old_`` before it."""
    # Until drop_old(): a text that is no UTF-8 is read nevertheless, and then refused as a value.
    connection.text_factory = _lenient
    connection.execute("DROP TABLE IF EXISTS main.sqlite_stat1")
    for table in tables:
        if columns(connection, table):
            connection.execute(f"CREATE TEMP TABLE old_{table} AS SELECT * FROM main.{table}")
            connection.execute(f"DROP TABLE main.{table}")


def _lenient(text: bytes) -> str:
    return text.decode(errors="surrogateescape")


def old_rows(connection: sqlite3.Connection, table: str, condition: str = "1", *params: Any) -> Iterator[Row]:
    """Yield the rows of a table that was set aside, by id."""
    if not connection.execute("SELECT 1 FROM temp.sqlite_master WHERE name = ?", (f"old_{table}",)).fetchone():
        return
    cursor = connection.execute(f"SELECT * FROM temp.old_{table} WHERE {condition} ORDER BY id", params)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def drop_old(connection: sqlite3.Connection, tables: Iterable[str]) -> None:
    """Drop the temporary tables."""
    for table in tables:
        connection.execute(f"DROP TABLE IF EXISTS temp.old_{table}")
    connection.text_factory = str


def insert(connection: sqlite3.Connection, table: str, values: Row) -> None:
    """Insert one row.

    :raises Refused: a rule of the table forbids it.
    """
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    try:
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
    except sqlite3.IntegrityError as error:
        raise Refused(str(error)) from error
    except UnicodeEncodeError as error:
        raise Refused("a text is no UTF-8") from error


# --- values ---


def text(value: Any, name: str, default: Default) -> str | Default:
    """Return a text."""
    if value is None:
        return default
    if isinstance(value, bytes):
        raise Refused(f"{name} is no text")
    return str(value)


def id_of(row: Row) -> Any:
    """Return the id of a row, which SQLite itself checks.

    :raises Refused: new rows, which get higher ones, would soon find none left.
    """
    if type(row["id"]) is int and row["id"] > _MAX_ID:
        raise Refused(f"id is above {_MAX_ID}: none would be left for new rows")
    return row["id"]


def flag(value: Any, name: str, default: int = 0) -> int:
    """Return 0 or 1."""
    if value is None:
        return default
    if value in (0, 1) and not isinstance(value, str):
        return int(value)
    raise Refused(f"{name} is neither true nor false: {value!r:.40}")


def whole(value: Any, name: str, default: int | None = None) -> int | None:
    """Return a whole number."""
    if value is None:
        return default
    if type(value) is int:
        return value
    raise Refused(f"{name} is no whole number: {value!r:.40}")


def time(value: Any, name: str) -> str | None:
    """Return a stored time of ours for a naive UTC text of theirs."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return to_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (TypeError, ValueError, InvalidArgument) as error:
        raise Refused(f"{name} is no time: {value!r:.40}") from error


def parsed(value: Any) -> Any:
    """Return what a JSON text stands for; ``None`` for NULL, and for the four letters ``null``.

    :raises Refused: it is no JSON.
    """
    if value is None:
        return None
    try:
        # A column of the type JSON makes numbers of texts such as 5: the affinity of its name is that of numbers.
        is_number = isinstance(value, (int, float))
        found = value if is_number else json.loads(value, parse_constant=_refuse_constant)
        dumped(found).encode()  # half a surrogate pair can be escaped in JSON, but not be stored
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(f"this is no JSON that can be kept: {value!r:.40}") from error
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def dumped(value: Any) -> str:
    """Return JSON text as our tables keep it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
