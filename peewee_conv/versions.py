"""The version of a schema in a file, and the numbered scripts that lead from one to the next.

What every open asks; :mod:`peewee_conv.migrate` runs the scripts, and is loaded where there is something to run.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable

from .errors import ForeignDatabase, MigrationFailed, SchemaTooNew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Legacy(Protocol):
        """How the files of the application that had these tables before us become ours."""

        def recognises(self, connection: sqlite3.Connection) -> bool:
            """Say whether the file has that application's tables and columns."""
            ...

        def set_aside(self, connection: sqlite3.Connection) -> None:
            """Move its tables into temporary ones, so that the scripts find an empty file."""

        def fill(self, connection: sqlite3.Connection, path: str) -> None:
            """Put its rows into the new tables, and those that the rules forbid into a file beside it."""


APPLICATION_ID = 0x70776376  # "pwcv": tells our files from others that happen to have the same name and version


class Script:
    """One numbered upgrade script."""

    __slots__ = ("name", "number", "path")

    def __init__(self, number: int, name: str, path: str) -> None:
        self.number, self.name, self.path = number, name, path


class Migrations:
    """The scripts of one schema.

    :param directory: where they are; read when it is first needed, and never written.
    :param legacy: what knows the files of the schema's predecessor, if it has one; asked when one may be there.
    """

    def __init__(self, directory: str | Callable[[], str], legacy: Callable[[], Legacy] | None = None) -> None:
        self._directory = directory
        self.legacy = legacy
        self._scripts: tuple[Script, ...] | None = None

    @property
    def directory(self) -> str:
        """The folder of the scripts."""
        return self._directory() if callable(self._directory) else self._directory

    @property
    def scripts(self) -> tuple[Script, ...]:
        """Every script, by number, without a gap.

        :raises MigrationFailed: there is none, or the numbers are not 1, 2, 3, ...
        """
        if self._scripts is None:
            self._scripts = _read_scripts(self.directory)
        return self._scripts

    @property
    def head(self) -> int:
        """The newest schema version that these scripts know."""
        return len(self.scripts)


def _read_scripts(directory: str) -> tuple[Script, ...]:
    try:
        names = sorted(name for name in os.listdir(directory) if re.fullmatch(r"\d{4}_\w+\.py", name))
    except OSError as error:
        raise MigrationFailed(directory, None, f"the folder cannot be read ({error.strerror})") from error
    scripts = tuple(Script(int(name[:4]), name[:-3], os.path.join(directory, name)) for name in names)
    if not scripts:
        # A forgotten package-data line must not look like "nothing to do".
        raise MigrationFailed(directory, None, "there is no script NNNN_name.py in the folder")
    if [script.number for script in scripts] != list(range(1, len(scripts) + 1)):
        raise MigrationFailed(directory, None, "the scripts are not numbered 0001, 0002, ... without gap or double")
    return scripts


def version(connection: sqlite3.Connection) -> int:
    """Return the schema version of an open file: 0 for a new one."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def is_current(connection: sqlite3.Connection, path: str, migrations: Migrations) -> bool:
    """Say whether the file needs no upgrade. Two header reads: this is what every first open pays.

    :raises SchemaTooNew: a newer release has upgraded it.
    :raises ForeignDatabase: it is a database of somebody else.
    """
    found = version(connection)
    if found > migrations.head:
        raise SchemaTooNew(path, found, migrations.head)
    if found and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ForeignDatabase(path, "this database was not made by peewee_conv")
    return found == migrations.head
