"""What the rows of a database must agree on, and putting right what the rows themselves tell."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

import peewee

from . import health_values, inspection, search_index
from .arguments import MAX_TOKEN_COUNT
from .database.schema import BUNDLED, Schema
from .fields import JsonField, TimeField
from .versions import Migrations

_MOST = 100  # problems of one kind that are listed: a file with more needs no longer list

# Where the messages of each conversation begin and end, by their keys, and what they add up to.
_STORED: Final = f"""
    SELECT conversations.number AS number, conversations.id AS id, message_count, conversations.token_count AS tokens,
        last_sequence, indexed_sequence, conversations.number IN (SELECT conversation FROM message_search_pending),
        count(messages.id) AS stored, sum(
            CASE WHEN typeof(messages.token_count) = 'integer' AND messages.token_count BETWEEN 0 AND {MAX_TOKEN_COUNT}
            THEN messages.token_count ELSE 0 END
        ) AS stored_tokens,
        min(sequence) AS first, max(sequence) AS last
    FROM conversations LEFT JOIN messages ON messages.id > conversations.number << 32
        AND messages.id <= (conversations.number << 32 | 4294967295)
    GROUP BY conversations.number
"""
_COUNTS: Final = (
    "UPDATE conversations SET message_count = ?, token_count = ?, last_sequence = max(last_sequence, ?)"
    " WHERE number = ?"
)

# What ``clock.from_text`` would refuse, said in SQL: a million rows in a second. With a modifier SQLite writes the day
# that a date names, so that 30 February is not equal to itself; the comparison sees what is behind a NUL too.
_TIME_SHAPE: Final = "0000-00-00T00:00:00.000000Z".replace("0", "[0-9]")
_NO_TIME: Final = (
    f"{{0}} IS NOT NULL AND NOT ({{0}} GLOB '{_TIME_SHAPE}' AND {{0}} >= '0001'"
    " AND {0} IS strftime('%Y-%m-%dT%H:%M:%S', substr({0}, 1, 19), '+0 days') || substr({0}, 20, 8))"
)


class Problem(NamedTuple):
    """Something that is wrong with a database.

    :ivar kind: ``missing``, ``permissions``, ``corrupt``, ``index``, ``foreign``, ``too_new``, ``outdated``,
        ``history``, ``schema``, ``foreign_key``, ``json``, ``time``, ``value``, ``sequence_gap``, ``counts``,
        ``pending`` or ``search``.
    :ivar detail: what and where, without any content.
    :ivar repairable: a repair mends it without loss.
    """

    kind: str
    detail: str
    repairable: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return self._asdict()


def orphans(connection: sqlite3.Connection) -> list[Problem]:
    """Return the rows whose parent is missing."""
    try:
        rows = connection.execute("PRAGMA foreign_key_check").fetchmany(_MOST)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:  # none: a name that is not UTF-8
            raise
        # The index of the parent is missing.
        return [Problem("foreign_key", f"foreign keys cannot be checked: {error}", False)]
    return [_orphan(table, rowid, parent) for table, rowid, parent, _ in rows]


def _orphan(table: str, rowid: int, parent: str) -> Problem:
    is_mark = table == "message_search_pending"  # which holds nothing that the messages do not tell
    kind = "pending" if is_mark else "foreign_key"
    return Problem(kind, f"{table}, row {rowid}: its row in {parent} is missing", is_mark)


def invalid_json(connection: sqlite3.Connection, schema: Schema) -> list[Problem]:
    """Return the JSON columns, known by their fields in the models, that hold something else."""
    found = []
    for table, column, _ in _columns(connection, schema, JsonField):
        invalid = f'SELECT count(*) FROM "{table}" WHERE "{column}" IS NOT NULL AND NOT json_valid("{column}")'
        count = connection.execute(invalid).fetchone()[0]
        if count:
            found.append(Problem("json", f"{table}: {column} is not valid JSON in {count} of the rows", False))
    return found


def unreadable_times(connection: sqlite3.Connection, schema: Schema) -> list[Problem]:
    """Return the columns of times, known by their fields in the models, that hold what no record can show as one."""
    found = []
    for table, column, keys in _columns(connection, schema, TimeField):
        quoted = [f'"{key}"' for key in keys]
        first = ", ".join([f"min({quoted[0]})", *quoted[1:]])  # of the others SQLite gives those of the same row
        wrong = _NO_TIME.format(f'"{column}"')
        rows = f'SELECT count(*), {first} FROM "{table}" WHERE {wrong}'
        count, *values = connection.execute(rows).fetchone()
        if count:
            where = " and ".join(f"{key} is {value!r}" for key, value in zip(keys, values, strict=True))
            detail = f"{column} is not a UTC time as YYYY-MM-DDTHH:MM:SS.ffffffZ in {count} of the rows"
            found.append(Problem("time", f"{table}: {detail}, first where {where}", False))
    return found


def wrong_values(connection: sqlite3.Connection, schema: Schema) -> list[Problem]:
    """Return the columns that hold text that nobody can read or, in a bundled schema, values of another type."""
    found = list(health_values.unreadable_text(connection))
    if schema.name in BUNDLED:
        judged = [*_columns(connection, schema, JsonField), *_columns(connection, schema, TimeField)]
        found += health_values.wrong_types(connection, {(table, column) for table, column, _ in judged})
    return [Problem("value", line, False) for line in found]


def _columns(
    connection: sqlite3.Connection, schema: Schema, kind: type[peewee.Field]
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return table, column and key of each field of a *kind* whose column the file has."""
    from . import feature_models, models  # noqa: F401 - only what is imported is known to its schema

    found = set()
    for model in _descendants(peewee.Model):
        if model._meta.database is schema.database:
            keys = tuple(field.column_name for field in model._meta.get_primary_keys()) or ("rowid",)
            fields = [field for field in model._meta.sorted_fields if isinstance(field, kind)]
            found |= {(model._meta.table_name, field.column_name, keys) for field in fields}
    return [each for each in sorted(found) if _has_column(connection, *each[:2])]


def _has_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Return whether there is such a column: a model may be of a table that no migration makes."""
    found = connection.execute("SELECT 1 FROM pragma_table_info(?) WHERE name = ? COLLATE NOCASE", (table, column))
    return found.fetchone() is not None


def _descendants(model: Any) -> Iterator[Any]:
    for child in model.__subclasses__():
        yield child
        yield from _descendants(child)


def conversations(connection: sqlite3.Connection) -> list[Problem]:
    """Return the conversations whose counts, sequences or marks are not those of their messages."""
    found: dict[str, list[Problem]] = {}
    for row in connection.execute(_STORED):
        for problem in _judge(*row):
            of_kind = found.setdefault(problem.kind, [])
            if len(of_kind) < _MOST:
                of_kind.append(problem)
    return [problem for of_kind in found.values() for problem in of_kind]


def _judge(
    number: int,
    id: str,
    message_count: int,
    tokens: int,
    last_sequence: int,
    indexed: int,
    is_pending: int,
    stored: int,
    stored_tokens: int,
    first: int | None,
    last: int | None,
) -> Iterator[Problem]:
    where = f"conversation {id!r}"
    if not {type(last_sequence), type(indexed)} <= {int}:
        yield Problem("counts", f"{where}: what should be a sequence is none", False)
        return
    if first is not None and last is not None:
        if last - first + 1 != stored:
            yield Problem("sequence_gap", f"{where}: {last - first + 1 - stored} messages are missing", False)
        if last < last_sequence:
            yield Problem("sequence_gap", f"{where}: messages {last + 1} to {last_sequence} are missing", False)
        if last > last_sequence:
            yield Problem("counts", f"{where}: last_sequence is {last_sequence}, but {last} is stored", True)
    if (message_count, tokens) != (stored, stored_tokens):
        counted = f"{message_count} messages with {tokens} tokens"
        yield Problem("counts", f"{where}: {counted} are counted, {stored} with {stored_tokens} are stored", True)
    if bool(is_pending) != (indexed < last_sequence):
        missing = "not marked for" if not is_pending else "marked for, but complete in"
        yield Problem("pending", f"{where}: it is {missing} the search index", True)


def make_indexes(connection: sqlite3.Connection, wrong: Iterable[str], migrations: Migrations) -> None:
    """Make indexes anew that disagree with their tables, and make what is missing, as far as the rows allow it."""
    again = [f"REINDEX {inspection.quoted(name)}" for name in wrong]
    for sql in (*again, *inspection.makeable(connection, migrations).values()):
        with suppress(sqlite3.IntegrityError, sqlite3.OperationalError):
            connection.execute(sql)


def mend(connection: sqlite3.Connection, rebuild_index: bool) -> None:
    """Write counts and marks anew from the messages; make the search index anew from what counts as indexed."""
    wrong = [row for row in connection.execute(_STORED) if any(found.repairable for found in _judge(*row))]
    connection.executemany(_COUNTS, _right(wrong))
    connection.execute("DELETE FROM message_search_pending")
    connection.execute(
        "INSERT INTO message_search_pending SELECT number FROM conversations WHERE indexed_sequence < last_sequence"
    )
    if rebuild_index:
        search_index.rebuild(connection)


def _right(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, int, int, int]]:
    for number, _, _, _, _, _, _, stored, stored_tokens, _, last in rows:
        yield stored, stored_tokens, last or 0, number
