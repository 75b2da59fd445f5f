"""The caller's own SQL: what a statement is, and what it would get round.

SQLite takes blanks, comments, semicolons and a byte order mark before the first word of a statement.

>>> bare("/* all of it */; COMMIT")
'COMMIT'
>>> only_asks("PRAGMA foreign_keys"), only_asks("PRAGMA/**/foreign_keys=0")
(True, False)
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..errors import InvalidArgument
from ..project import Project

_FLAGS = re.IGNORECASE | re.DOTALL
_BEFORE = re.compile(r"(?:[\s;\ufeff]|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*+", _FLAGS)
# A setting can be hidden behind comments, quotes and brackets: so it says what asks, and not what sets.
_ASKS = re.compile(
    r"PRAGMA\s+(?:\w+\.)?(?:\w+[\s;]*$|(?:(?:table|index|foreign_key)_\w+|quick_check|integrity_check)\s*\()", _FLAGS
)
_NAME = r"\s+(?:main\s*\.\s*)?[\"`\[]?"
_OWNER = r"(?:assistants|conversations|users)\b"
_NO_WORDS = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?(?:\*/|$)", _FLAGS)
_GUARDED = re.compile(
    rf"(?:INTO|DELETE\s+FROM|UPDATE(?:\s+OR\s+\w+)?){_NAME}messages\b|REPLACE\s+INTO{_NAME}{_OWNER}", _FLAGS
)
_OWNER_GOES = re.compile(rf"DELETE\s+FROM{_NAME}{_OWNER}", _FLAGS)
_DELETION = re.compile(rf"DELETE\s+FROM{_NAME}(?P<table>{_OWNER})[\"`\]]?(?P<rest>.*)", _FLAGS)


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


def check_kept(sql: str, argument: str, allowed: str) -> None:
    """Refuse what would leave messages, their counts and the search index out of step.

    :param argument: the name of the argument that *sql* came in by, for the error.
    :param allowed: what may be done instead.
    :raises InvalidArgument: it would.
    """
    words = _NO_WORDS.sub(" ", sql)
    if _GUARDED.search(words) or (deletion(sql) is None and _OWNER_GOES.search(words)):
        raise InvalidArgument(argument, bare(sql).split(None, 1)[0], allowed)


def deletion(sql: str) -> Deletion | None:
    """Return what a statement deletes, if messages go with it: the services delete it, and keep search in step."""
    found = _DELETION.match(bare(sql))
    if found is None:
        return None
    table = found["table"].lower()
    return Deletion(table, f"SELECT id FROM {table}{found['rest']}")


def service_of(project: Project, table: str) -> Any:
    """Return the service whose ``delete`` takes an id of that table."""
    services = {"assistants": project.assistants, "conversations": project.conversations, "users": project.accounts}
    return services[table]
