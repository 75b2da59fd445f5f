"""The end of the ids that SQLite gives to new rows, of which it speaks as of a full disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import LimitReached

LAST = 2**63 - 1
_ADVICE = "a row has the last id that there is, and none is given twice: use another project"


@contextmanager
def numbered(connection: sqlite3.Connection, table: str | None = None) -> Iterator[None]:
    """Insert rows in the block whose ids SQLite chooses.

    :param table: where to; any table if left out.
    :raises LimitReached: no id is left there.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL  # the module's own have no code
        found = _full_table(connection, table) if is_full else None
        if found is None:
            raise
        raise LimitReached(f"ids of {found[0]}", LAST, _ADVICE) from error


def _full_table(connection: sqlite3.Connection, table: str | None) -> Any:
    sql = "SELECT name FROM sqlite_sequence WHERE seq = ? AND name = coalesce(?, name)"
    return connection.execute(sql, (LAST, table)).fetchone()
