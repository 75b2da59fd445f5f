"""Times that callers write by their own SQL, in the one form that our tables have: what sorts and compares by them, and
whoever reads them, relies on it.

>>> stored_time("expires_at", "2026-03-01 12:00:00"), stored_time("expires_at", "2026-03-01T13:00:00+01:00")
('2026-03-01T12:00:00.000000Z', '2026-03-01T12:00:00.000000Z')
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from ..clock import to_text
from ..errors import InvalidArgument
from .caller_sql import CONVERSATION_TABLES, Written

#: The columns of our tables that hold times.
TIMES = frozenset(
    ("created_at", "updated_at", "last_login_at", "expires_at", "used_at", "loaded_at", "timestamp"),
)
_TABLES = CONVERSATION_TABLES | {"schedules", "schedule_overrides"}
_STORED = "????-??-??T??:??:??.??????Z"  # for GLOB


def stored_time(name: str, value: Any) -> Any:
    """Return a time as it is stored; one without an offset is UTC, and ``None`` stays ``None``.

    :raises InvalidArgument: it is no time.
    """
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidArgument(name, value, "a time in ISO 8601 for a column of times") from None
    return to_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC), name)


def mend(connection: sqlite3.Connection, written: Written) -> None:
    """Put the times that a statement has made itself, by ``datetime('now')`` for example, into the form of our tables.

    :raises InvalidArgument: one of them is no time.
    """
    for table, changed in written:
        if table not in _TABLES:
            continue
        names = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        for name in TIMES.intersection(name for (name,) in names if changed in (None, name)):
            odd = connection.execute(f"SELECT rowid, {name} FROM {table} WHERE {name} NOT GLOB ?", (_STORED,))
            for rowid, value in odd.fetchall():
                connection.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (stored_time(name, value), rowid))
