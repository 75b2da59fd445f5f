"""A ``features.db`` of the AutoForge releases, of any age."""

from __future__ import annotations

import sqlite3


def recognises(connection: sqlite3.Connection) -> bool:
    """Say whether the file has that application's tables and columns."""
    return False


def set_aside(connection: sqlite3.Connection) -> None:
    """Move its tables into temporary ones, so that the scripts find an empty file."""


def fill(connection: sqlite3.Connection, path: str) -> None:
    """Put its rows into the new tables, and those that the rules forbid into a file beside it."""
