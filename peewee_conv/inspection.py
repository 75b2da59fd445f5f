"""Looking at an open file: is it damaged, and are its tables those that the migrations make?"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Final

from . import migrate, versions
from .database.faults import translate
from .versions import Migrations

#: Kind and name of a table, index, view or trigger.
Name = tuple[str, str]

_LEFT_OUT: Final = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
# What a check says of a page that cannot be read, with a result code or, in the list of free pages, without one.
_UNREADABLE: Final = re.compile(r"unable to get the page\. error code=(\d+)|failed to get page \d+")
_TOKEN = re.compile(r"'(?:[^']|'')*'|\w+|[^\s\w\"`\[\]]")


def tables(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the ordinary tables, without those that SQLite or the upgrades keep for themselves."""
    found = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        " AND name NOT GLOB 'sqlite_*' AND name <> 'schema_migration' ORDER BY name"
    )
    return [name for (name,) in found]


def damage(connection: sqlite3.Connection, *, quick: bool = False) -> tuple[list[str], list[str]]:
    """Return what SQLite finds wrong in the file, and apart from it what is wrong in a search index.

    :param quick: leave out the comparison of each index with its table.
    """
    try:
        found = connection.execute("PRAGMA quick_check" if quick else "PRAGMA integrity_check").fetchall()
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)  # none: a name that is not UTF-8
        if code & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return [str(error)], []
    lines = [line for (line,) in found if line != "ok"]
    _raise_if_unreadable(lines)
    # From 3.44 on SQLite asks virtual tables too. A search index is made of what the tables hold.
    return [line for line in lines if "FTS5" not in line], [line for line in lines if "FTS5" in line]


def _raise_if_unreadable(lines: list[str]) -> None:
    """Raise for a page that the disk did not give: that says nothing about what is on it."""
    codes = [int(code or sqlite3.SQLITE_IOERR) for line in lines for code in _UNREADABLE.findall(line)]
    if any(code & 0xFF == sqlite3.SQLITE_IOERR for code in codes):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise error


def differences(connection: sqlite3.Connection, migrations: Migrations) -> list[str]:
    """Return in what the tables of the file differ from those that the scripts up to its version make."""
    expected = _expected(migrations, versions.version(connection))
    found = _schema(connection)
    missing = [f"{kind} {name} is missing" for kind, name in sorted(expected.keys() - found.keys())]
    added = [f"{kind} {name} is not of this schema" for kind, name in sorted(found.keys() - expected.keys())]
    changed = [
        f"{kind} {name} is not as the migrations make it"
        for kind, name in sorted(expected.keys() & found.keys())
        if expected[kind, name] != found[kind, name]
    ]
    return missing + added + changed


def _expected(migrations: Migrations, version: int) -> dict[Name, str]:
    path = "a new file in memory"
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate.upgrade(connection, path, migrations, translate=translate)
        if version < migrations.head:
            migrate.downgrade(connection, path, migrations, version, translate=translate)
        return _schema(connection)


def _schema(connection: sqlite3.Connection) -> dict[Name, str]:
    # What a virtual table makes for itself depends on the version of SQLite.
    shadows = {name for (name,) in connection.execute(_LEFT_OUT)}
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT GLOB 'sqlite_*'").fetchall()
    return {(kind, name): _normalise(sql or "") for kind, name, sql in rows if name not in shadows}


def _normalise(sql: str) -> str:
    """Take out what means nothing: white space, and the quotes around names."""
    return " ".join(_TOKEN.findall(sql))
