"""Looking at an open file: is it damaged, and are its tables those that the migrations make?"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Any, Final

from . import migrate, versions
from .database.faults import translate
from .versions import Migrations

#: Kind and name of a table, index, view or trigger.
Name = tuple[str, str]

_LEFT_OUT: Final = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
# What a check says of a page that cannot be read, with a result code or, in the list of free pages, without one.
_UNREADABLE: Final = re.compile(r"unable to get the page\. error code=(\d+)|failed to get page \d+")
# What it says of an index that has other entries than its table has rows.
_IN_INDEX: Final = re.compile(r"(?:row \d+ (?:missing from|values differ from)|wrong # of entries in) index (.+)")
_IN_SEARCH: Final = re.compile(r"FTS5|^fts5: ")
_INDEX_OF_TEXT: Final = re.compile(r"CREATE VIRTUAL TABLE \S+ USING fts5\b.*\bcontent = '\w", re.DOTALL)
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
    pragma = "quick_check" if quick else "integrity_check"
    unusable = []
    try:
        try:
            found = connection.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.DatabaseError as error:
            if not _is_of_search(error):
                raise
            unusable = [f"FTS5: {error}"]
            found = _check_tables(connection, pragma)
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)  # none: a name that is not UTF-8
        if code & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return [str(error)], []
    lines = [line for (line,) in found if line != "ok"]
    _raise_if_unreadable(lines)
    # From 3.44 on SQLite asks virtual tables too. A search index is made of what the tables hold.
    in_search = [line for line in lines if _IN_SEARCH.search(line)]
    return [line for line in lines if line not in in_search], unusable + in_search


def _is_of_search(error: sqlite3.DatabaseError) -> bool:
    """Say whether SQLite, which asks virtual tables too, has given up because of one that it cannot use."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code == sqlite3.SQLITE_CORRUPT_VTAB or (code == sqlite3.SQLITE_ERROR and "fts5" in str(error))


def _check_tables(connection: sqlite3.Connection, pragma: str) -> list[Any]:
    """Check all but virtual tables, one by one."""
    rows = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')"
    ).fetchall()
    names = [quoted(name) for (name,) in rows]
    return [row for name in names for row in connection.execute(f"PRAGMA {pragma}({name})")]


def quoted(name: str) -> str:
    """Return a name from a file as it may stand in a statement."""
    return '"' + name.replace('"', '""') + '"'


def wrong_indexes(lines: list[str]) -> set[str]:
    """Return the names of the indexes that disagree with their tables, if that is all that is wrong in the file."""
    found = [_IN_INDEX.fullmatch(line) for line in lines]
    return {match[1] for match in found if match} if all(found) else set()


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
        if _normalise(expected[kind, name]) != _normalise(found[kind, name])
    ]
    return missing + added + changed


def makeable(connection: sqlite3.Connection, migrations: Migrations) -> dict[str, str]:
    """Return what is missing and holds nothing of its own, in the words of :func:`differences`, and what makes it.

    That is indexes, views, triggers, and a search index over a view. There is nothing to make for a file whose tables
    are not those of the scripts.
    """
    expected = _expected(migrations, versions.version(connection))
    found = _schema(connection)
    gone = {each: sql for each, sql in expected.items() if each not in found}
    derived = {each: sql for each, sql in gone.items() if each[0] != "table" or _INDEX_OF_TEXT.match(sql)}
    tables = {each for each in expected if each[0] == "table"} - derived.keys()
    if any(each not in found or _normalise(expected[each]) != _normalise(found[each]) for each in tables):
        return {}
    in_order = sorted(derived, key=lambda each: ("view", "table", "index", "trigger").index(each[0]))
    return {f"{kind} {name} is missing": derived[kind, name] for kind, name in in_order}


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
    return {(kind, name): sql or "" for kind, name, sql in rows if name not in shadows}


def _normalise(sql: str) -> str:
    """Take out what means nothing: white space, and the quotes around names."""
    return " ".join(_TOKEN.findall(sql))
