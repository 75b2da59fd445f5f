"""The caller's own SQL: what a statement is, and what it would get round.

SQLite takes blanks, comments, semicolons and a byte order mark before the first word of a statement.

>>> bare("/* all of it */; COMMIT")
'COMMIT'
>>> only_asks("PRAGMA foreign_keys"), only_asks("PRAGMA/**/foreign_keys=0")
(True, False)
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ..errors import InvalidArgument
from ..project import Project

#: The tables that a statement writes, each with the column that it changes, or ``None`` for whole rows.
Written: TypeAlias = set[tuple[str | None, str | None]]

_FLAGS = re.IGNORECASE | re.DOTALL
_BEFORE = re.compile(r"(?:[\s;\ufeff]|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*+", _FLAGS)
# A setting can be hidden behind comments, quotes and brackets: so it says what asks, and not what sets.
_ASKS = re.compile(
    r"PRAGMA\s+(?:\w+\.)?(?:\w+[\s;]*$|(?:(?:table|index|foreign_key)_\w+|quick_check|integrity_check)\s*\()", _FLAGS
)
_DELETION = re.compile(
    r"DELETE\s+FROM\s+(?:main\s*\.\s*)?[\"`\[]?(?P<table>assistants|conversations|users)\b[\"`\]]?(?P<rest>.*)", _FLAGS
)
_RETURNING = re.compile(r"\bRETURNING\b", re.IGNORECASE)

_WRITES = frozenset((sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE))
_ALTERS = frozenset(
    (
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_TRIGGER,
    )
)
#: Our tables in ``assistant.db``, but for those of the search.
CONVERSATION_TABLES = frozenset(
    (
        *("assistants", "conversations", "messages", "datasets"),
        *("users", "sessions", "referral_keys", "token_usage"),
    )
)
_KEPT_TABLES = frozenset(("messages", "message_search", "message_search_pending"))
_KEPT_COLUMNS = frozenset(("number", "message_count", "token_count", "last_sequence", "indexed_sequence"))
_COUNTED = (
    "SELECT 1 FROM conversations"
    " WHERE number > ? AND (message_count OR token_count OR last_sequence OR indexed_sequence) LIMIT 1"
)
_OUR_TABLES = CONVERSATION_TABLES | _KEPT_TABLES | frozenset(("features", "schedules", "schedule_overrides"))


class Deletion(NamedTuple):
    """A deletion of what messages belong to.

    :ivar asking: the statement that asks for the ids of the rows.
    """

    table: str
    asking: str


def bare(sql: str) -> str:
    """Return a statement from its first word on."""
    found = _BEFORE.match(sql)
    return sql[found.end() :] if found else sql


def only_asks(pragma: str) -> bool:
    """Say whether a PRAGMA surely sets nothing."""
    return _ASKS.match(bare(pragma)) is not None


@contextmanager
def guarded(connection: sqlite3.Connection, argument: str, allowed: str) -> Iterator[Written]:
    """Have SQLite itself refuse a statement that would leave messages, their counts and search out of step.

    It says what a statement does, through cascades and triggers too, however it is spelled. Our tables stay as the
    migrations make them. What the statement writes is added to the set that the block is entered with.

    :param argument: the name of the argument that the statement came in by, for the error.
    :param allowed: what may be done instead.
    :raises InvalidArgument: the statement would do it; nothing was done. Or it did, by a new conversation that comes
        with counts, which SQLite does not tell before: whoever runs it takes it back.
    """
    written: Written = set()
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'conversations'").fetchone()
    connection.set_authorizer(partial(_judge, written))
    try:
        yield written
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_AUTH:
            raise
        raise InvalidArgument(argument, "...", allowed) from error
    finally:
        connection.set_authorizer(None)
    if ("conversations", None) in written and connection.execute(_COUNTED, last or (0,)).fetchone():
        raise InvalidArgument(argument, "...", allowed)


def _judge(written: Written, action: int, first: str | None, second: str | None, *_: str | None) -> int:
    refused = False
    if action in _WRITES:
        written.add((first, second))
        refused = first in _KEPT_TABLES or (first == "conversations" and second in _KEPT_COLUMNS)
    elif action in _ALTERS:
        refused = not _OUR_TABLES.isdisjoint((first, second))
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK


def deletion(sql: str) -> Deletion | None:
    """Return what a statement deletes, if messages go with it: the services delete it, and keep search in step."""
    found = _DELETION.match(bare(sql))
    if found is None or _RETURNING.search(found["rest"]):
        return None
    table = found["table"].lower()
    return Deletion(table, f"SELECT id FROM {table}{found['rest']}")


def service_of(project: Project, table: str) -> Any:
    """Return the service whose ``delete`` takes an id of that table."""
    services = {"assistants": project.assistants, "conversations": project.conversations, "users": project.accounts}
    return services[table]
