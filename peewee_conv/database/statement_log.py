"""Every statement with its duration, for who asked for ``DEBUG`` before the file was opened.

Whether a connection logs is decided when it is made, so that one that does not pays nothing. The text of the statement
is logged, never a parameter; what an application wrote into the text in quotes is left out too.
"""

from __future__ import annotations

import functools
import logging
import re
import sqlite3
from time import perf_counter
from typing import Any

from .files import Connection

logger = logging.getLogger("peewee_conv")

_QUOTED = re.compile(r"'(?:[^']|'')*'?")
_SPACES = re.compile(r"\s+")
_LONGEST = 2000  # characters of a statement that are logged


class LoggingConnection(Connection):
    """A connection whose cursors log what they execute, and which takes a cursor for what it executes itself."""

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        """Return a cursor of *factory* that logs."""
        cursor: Any = super().cursor(_logging(factory))
        cursor.path = self.path
        return cursor

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Execute a statement and log it."""
        return self.cursor().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> Any:
        """Execute a statement with each of several sets of parameters and log it once."""
        return self.cursor().executemany(sql, *parameters)


@functools.cache
def _logging(factory: type[sqlite3.Cursor]) -> Any:
    class LoggingCursor(factory):  # type: ignore[misc,valid-type]
        path: str

        def execute(self, sql: str, *parameters: Any) -> Any:
            return self._log(super().execute, sql, *parameters)

        def executemany(self, sql: str, *parameters: Any) -> Any:
            return self._log(super().executemany, sql, *parameters)

        def _log(self, execute: Any, sql: str, *parameters: Any) -> Any:
            outcome, begun = "", perf_counter()
            try:
                return execute(sql, *parameters)
            except BaseException as error:
                outcome = f" failed with {type(error).__name__}"
                raise
            finally:
                took = (perf_counter() - begun) * 1000
                logger.debug("%s: %.3f ms%s: %s", self.path, took, outcome, without_values(sql))

    return LoggingCursor


def without_values(sql: str) -> str:
    """Return a statement on one line, without the texts that stand in it.

    >>> without_values("SELECT *  FROM users WHERE name = 'O''Hara'")
    "SELECT * FROM users WHERE name = '...'"
    """
    text = _SPACES.sub(" ", _QUOTED.sub("'...'", sql[: 2 * _LONGEST])).strip()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
