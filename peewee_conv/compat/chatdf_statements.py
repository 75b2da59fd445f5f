"""The caller's own SQL on our tables: what kind of statement it is, and how it is run.

>>> kind_of("SELECT 1"), kind_of("INSERT INTO users ..."), kind_of("COMMIT"), kind_of("pragma foreign_keys = on")
('read', 'write', 'commit', 'setting')
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

from ..database.handle import Handle
from ..database.pool import only_reads
from ..errors import InvalidArgument
from ..project import Project
from ..schemas import assistant
from . import caller_sql, caller_times, chatdf_times
from .chatdf_times import Parameters

Kind = Literal["read", "write", "alone", "begin", "commit", "rollback", "setting"]
RowFactory: TypeAlias = Callable[[sqlite3.Cursor, tuple[Any, ...]], Any] | None

_SAVEPOINTS = frozenset(("SAVEPOINT", "RELEASE", "ROLLBACK"))
_WRITES = frozenset(("INSERT", "UPDATE", "DELETE", "REPLACE", "SAVEPOINT", "RELEASE"))
_TRANSACTIONS: dict[str, Kind] = {"BEGIN": "begin", "COMMIT": "commit", "END": "commit", "ROLLBACK": "rollback"}
_TRANSACTION = re.compile(r"\w+(?:\s+(?:DEFERRED|IMMEDIATE|EXCLUSIVE))?(?:\s+TRANSACTION)?[\s;]*", re.IGNORECASE)
_BACK_TO = re.compile(r"ROLLBACK(\s+TRANSACTION)?\s+TO\b", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?(?:\*/|$)", re.DOTALL)
_VERB = re.compile(r"\w*")
_SETTING = re.compile(r"PRAGMA\s+(?P<name>(?:\w+\.)?\w+)", re.IGNORECASE)
_REFUSED = re.compile(r"(ATTACH|DETACH|VACUUM)\b", re.IGNORECASE)
_KEPT = "process_message() or the project's conversations, which keep search in step"


class Fetched(NamedTuple):
    """What SQLite answered, read to the end: no statement stays open on the file."""

    description: Any
    rows: list[Any]
    rowcount: int
    lastrowid: int | None


NOTHING = Fetched(None, [], -1, None)


def kind_of(sql: object) -> Kind:
    """Return how a statement is run.

    :raises InvalidArgument: it is no text, or one that the project alone may run.
    """
    if not isinstance(sql, str):
        raise InvalidArgument("sql", sql, "one SQL statement as a str")
    text = caller_sql.bare(sql)
    verb = _verb(text)
    if _REFUSED.match(text):
        raise InvalidArgument("sql", verb, "statements on the project's own database: see Project")
    if verb in _TRANSACTIONS:
        return _kind_of_transaction(verb, _COMMENT.sub(" ", text))
    if verb == "PRAGMA":
        return "read" if caller_sql.only_asks(text) else "setting"
    if only_reads(text):
        return "read"
    return "write" if verb in _WRITES else "alone"


def _kind_of_transaction(verb: str, text: str) -> Kind:
    if _BACK_TO.match(text):
        return "write"
    if not _TRANSACTION.fullmatch(text):
        raise InvalidArgument("sql", "...", "one statement at a time")
    return _TRANSACTIONS[verb]


def _verb(text: str) -> str:
    found = _VERB.match(text)
    return found[0].upper() if found else ""


def asking(sql: str) -> str:
    """Return the statement that asks for what *sql*, a PRAGMA, would set: how a file is kept is the project's matter.

    >>> asking("PRAGMA journal_mode=DELETE")
    'PRAGMA journal_mode'

    :raises InvalidArgument: its name cannot be told.
    """
    found = _SETTING.match(caller_sql.bare(sql))
    if found is None:
        raise InvalidArgument("sql", "PRAGMA", "PRAGMA and a name, without a comment or quotes between them")
    return f"PRAGMA {found['name']}"


def run(project: Project, sql: str, params: Parameters, row_factory: RowFactory) -> Fetched:
    """Run one statement in the scope of this thread, or on a connection of its own."""
    deletion = caller_sql.deletion(sql)
    if deletion is not None:
        return _delete(project, deletion, params)
    params, text = chatdf_times.stored(sql, params), caller_sql.bare(sql)
    if only_reads(text) or _verb(text) in _SAVEPOINTS:
        return _handle(project).read(_fetch, sql, params, row_factory)
    return _handle(project).write(_guarded, _fetch, sql, params, row_factory)


def run_many(project: Project, sql: str, rows: list[Parameters]) -> Fetched:
    """Run one statement that writes, with each of several sets of parameters."""
    if caller_sql.deletion(sql):
        counts = [run(project, sql, params, None).rowcount for params in rows]
        return NOTHING._replace(rowcount=sum(counts))
    stored = [chatdf_times.stored(sql, params) for params in rows]
    return _handle(project).write(_guarded, _execute_many, sql, stored)


def _handle(project: Project) -> Handle:
    return Handle(project._binding, assistant)


def _delete(project: Project, deletion: caller_sql.Deletion, params: Parameters) -> Fetched:
    """Delete what the condition names by the service, which keeps the search index in step."""
    found = run(project, deletion.asking, params, None)
    delete = caller_sql.service_of(project, deletion.table).delete
    return NOTHING._replace(rowcount=sum(delete(row[0]) for row in found.rows))


def _guarded(connection: sqlite3.Connection, work: Callable[..., Fetched], sql: str, *args: Any) -> Fetched:
    with caller_sql.guarded(connection, "sql", _KEPT) as written:
        fetched = work(connection, sql, *args)
    if chatdf_times.has_its_own(sql):
        caller_times.mend(connection, written)
    return fetched


def _fetch(connection: sqlite3.Connection, sql: str, params: Any, row_factory: RowFactory) -> Fetched:
    cursor = connection.cursor()
    try:
        _executed(cursor.execute, sql, params)
        names = [column[0] for column in cursor.description or ()]
        rows = [chatdf_times.shown(names, row) for row in cursor.fetchall()]
        if row_factory is not None:
            rows = [row_factory(cursor, row) for row in rows]
        return Fetched(cursor.description, rows, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()


def _execute_many(connection: sqlite3.Connection, sql: str, rows: list[Any]) -> Fetched:
    cursor = connection.cursor()
    try:
        _executed(cursor.executemany, sql, rows)
        return NOTHING._replace(rowcount=cursor.rowcount)
    finally:
        cursor.close()


def _executed(execute: Callable[[str, Any], object], sql: str, params: Any) -> None:
    try:
        execute(sql, params)
    except (sqlite3.Warning, sqlite3.ProgrammingError) as error:  # the former up to Python 3.11
        if "one statement" in str(error):
            raise InvalidArgument("sql", "...", "one statement at a time") from error
        raise
