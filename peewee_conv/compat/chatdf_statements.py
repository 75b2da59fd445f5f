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
from . import chatdf_times
from .chatdf_times import Parameters

Kind = Literal["read", "write", "alone", "begin", "commit", "rollback", "setting"]
RowFactory: TypeAlias = Callable[[sqlite3.Cursor, tuple[Any, ...]], Any] | None

_SPACE = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_START = re.compile(_SPACE, re.DOTALL)
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("INSERT", "UPDATE", "DELETE", "REPLACE", "SAVEPOINT", "RELEASE"), "write"),
    "BEGIN": "begin",
    "COMMIT": "commit",
    "END": "commit",
}
_BACK_TO = re.compile(r"ROLLBACK(\s+TRANSACTION)?\s+TO\b", re.IGNORECASE)
_SETTING = re.compile(r"PRAGMA\s+(?P<name>(?:\w+\.)?\w+)\s*(?P<value>[=(])?", re.IGNORECASE)
_ASKS = re.compile(r"(?:\w+\.)?(?:table|index|foreign_key)_|quick_check|integrity_check", re.IGNORECASE)
_REFUSED = re.compile(r"(ATTACH|DETACH|VACUUM)\b", re.IGNORECASE)
_NAME = r"\s+(?:main\s*\.\s*)?[\"`\[]?"
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_FLAGS = re.IGNORECASE | re.DOTALL
# What would leave messages, their counts and the search index out of step.
_GUARDED = re.compile(
    rf"(?:INTO|DELETE\s+FROM|UPDATE(?:\s+OR\s+\w+)?){_NAME}messages\b|REPLACE\s+INTO{_NAME}(?:conversations|users)\b",
    _FLAGS,
)
_GUARDED_BEHIND_WITH = re.compile(rf"DELETE\s+FROM{_NAME}(?:conversations|users)\b", _FLAGS)
_OWNERS = re.compile(rf"DELETE\s+FROM{_NAME}(?P<table>conversations|users)\b[\"`\]]?(?P<rest>.*)", _FLAGS)


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
    text = _without_comment(sql)
    if _REFUSED.match(text):
        raise InvalidArgument("sql", text.split()[0], "statements on the project's own database: see Project")
    verb = text.split(None, 1)[0].upper().rstrip(";") if text else ""
    if verb == "ROLLBACK":
        return "write" if _BACK_TO.match(text) else "rollback"
    if verb == "PRAGMA":
        return "setting" if _sets(text) else "read"
    if only_reads(text):
        return "read"
    words = _LITERAL.sub("''", text)
    if _GUARDED.search(words) or (verb == "WITH" and _GUARDED_BEHIND_WITH.search(words)):
        raise InvalidArgument(
            "sql", verb, "process_message() or the project's conversations, which keep search in step"
        )
    return _KINDS.get(verb, "alone")


def _without_comment(sql: str) -> str:
    start = _START.match(sql)
    return sql[start.end() :] if start else sql


def _sets(text: str) -> bool:
    found = _SETTING.match(text)
    return found is not None and found["value"] is not None and not _ASKS.match(found["name"])


def asking(sql: str) -> str:
    """Return the statement that asks for what *sql*, a PRAGMA, would set: how a file is kept is the project's matter.

    >>> asking("PRAGMA journal_mode=DELETE")
    'PRAGMA journal_mode'
    """
    found = _SETTING.match(_without_comment(sql))
    return sql if found is None else f"PRAGMA {found['name']}"


def run(project: Project, sql: str, params: Parameters, row_factory: RowFactory) -> Fetched:
    """Run one statement in the scope of this thread, or on a connection of its own."""
    owners = _OWNERS.match(_without_comment(sql))
    if owners is not None:
        return _delete(project, owners["table"].lower(), owners["rest"], params)
    return _handle(project).read(_fetch, sql, chatdf_times.stored(sql, params), row_factory)


def run_many(project: Project, sql: str, rows: list[Parameters]) -> Fetched:
    """Run one statement that writes, with each of several sets of parameters."""
    if _OWNERS.match(_without_comment(sql)):
        counts = [run(project, sql, params, None).rowcount for params in rows]
        return NOTHING._replace(rowcount=sum(counts))
    return _handle(project).read(_execute_many, sql, [chatdf_times.stored(sql, params) for params in rows])


def _handle(project: Project) -> Handle:
    return Handle(project._binding, assistant)


def _delete(project: Project, table: str, rest: str, params: Parameters) -> Fetched:
    """Delete what the condition names by the service, which keeps the search index in step."""
    service = project.conversations if table == "conversations" else project.accounts
    found = run(project, f"SELECT id FROM {table}{rest}", params, None)
    return NOTHING._replace(rowcount=sum(service.delete(row[0]) for row in found.rows))


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
