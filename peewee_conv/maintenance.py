"""Schema upgrades by hand: see where a project's file is, bring it to the newest version, take it back.

Ordinary use needs none of this, since opening a file upgrades it. :func:`downgrade` prepares a file for an older
release of this package or of your own migrations; the next ordinary open upgrades it again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from . import arguments, inspection, migrate, paths, versions
from .database import files
from .database.faults import translate
from .database.files import Connection
from .database.handle import Handle
from .database.schema import Schema
from .errors import DatabaseBusy
from .migrate import ScriptStatus
from .project import Project
from .schemas import assistant

_PATIENCE_MS = 2_000  # how long a downgrade waits for other processes to close the file


class MigrationStatus(NamedTuple):
    """Where the file of one schema is.

    :ivar exists: whether there is a file; without one, every script is pending.
    :ivar version: the number of the last applied script; 0 for none.
    :ivar head: the newest version that this release knows.
    """

    schema: str
    path: str
    exists: bool
    version: int
    head: int
    scripts: list[ScriptStatus]


class Downgrade(NamedTuple):
    """What a downgrade did: the scripts that it reverted, newest first, and where the copy from before is, if any."""

    reverted: list[str]
    copy: str | None


def migration_status(project: Project, schema: Schema = assistant) -> MigrationStatus:
    """Return which scripts the file of *schema* has. Reads only: neither upgrades the file nor makes one.

    :raises SchemaTooNew: a newer release has upgraded the file.
    :raises MigrationFailed: the version and the history rows of the file disagree.
    """
    path, migrations = str(project.database_path(schema)), schema.migrations
    if paths.identity(path) is None:
        pending = [ScriptStatus(script.number, script.name, False) for script in migrations.scripts]
        return MigrationStatus(schema.name, path, False, 0, migrations.head, pending)
    with _dedicated(project, path) as connection:
        scripts = migrate.status(connection, path, migrations)
        return MigrationStatus(schema.name, path, True, versions.version(connection), migrations.head, scripts)


def row_counts(project: Project, schema: Schema = assistant) -> dict[str, int]:
    """Return how many rows each table of the file has, empty ones left out: what a downgrade might cost."""
    path = str(project.database_path(schema))
    if paths.identity(path) is None:
        return {}
    with _dedicated(project, path) as connection:
        return _row_counts(connection)


def upgrade(project: Project, schema: Schema = assistant) -> list[str]:
    """Bring the file of *schema* to the newest version; return the names of the scripts that this applied.

    The file is made if there is none.

    :raises MigrationFailed: a script failed; the file is as it was.
    """
    path, migrations = str(project.database_path(schema)), schema.migrations
    if paths.identity(path) is None:
        Handle(project._binding, schema).read(versions.version)
        return [script.name for script in migrations.scripts]
    keep_copies = project._binding.settings.keep_copies
    with _dedicated(project, path) as connection:
        return migrate.upgrade(connection, path, migrations, keep_copies=keep_copies, translate=translate)


def downgrade(project: Project, schema: Schema = assistant, to: int = 0) -> Downgrade:
    """Take the file of *schema* back to version *to*.

    The project is disposed first, and the file is taken for this call alone: a process that still had it open would
    go on with tables that are gone. Where the file holds rows, a copy of it is kept beside it (see ``keep_copies``).

    :param to: the version to return to, from 0, which reverts everything, to that of the file.
    :raises DatabaseBusy: another process, or a thread of this one, has the file open.
    :raises MigrationFailed: a script failed; the file is as it was.
    """
    status = migration_status(project, schema)
    arguments.whole("to", to, 0, status.version)
    project.dispose()
    if to == status.version:
        return Downgrade([], None)
    with _dedicated(project, status.path) as connection:
        _take_alone(connection, status.path)
        copy = None
        if project._binding.settings.keep_copies and _row_counts(connection):
            copy = _keep_copy(connection, f"{status.path}.before-downgrade-from-{status.version}")
        reverted = migrate.downgrade(connection, status.path, schema.migrations, to, translate=translate)
    return Downgrade(reverted, copy)


@contextmanager
def _dedicated(project: Project, path: str) -> Iterator[Connection]:
    """Open the existing file past the cache, which would upgrade it; faults come out as our own errors."""
    try:
        with closing(files.connect(path, project._binding.settings)) as connection:
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error


def _take_alone(connection: Connection, path: str) -> None:
    """Lock everybody else out until the connection is closed."""
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    try:
        # In exclusive mode the lock of a transaction stays after its end. In WAL mode it is refused while any other
        # connection is open, used or not.
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if isinstance(translate(error, path), DatabaseBusy):
            raise DatabaseBusy(path, "the file is open elsewhere: end who uses it before a downgrade") from error
        raise


def _row_counts(connection: sqlite3.Connection) -> dict[str, int]:
    names = inspection.tables(connection)
    counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    return {name: count for name, count in counts.items() if count}


def _keep_copy(connection: sqlite3.Connection, wanted: str) -> str:
    """Copy the file beside itself; what has the name of a copy is a whole one, whenever the process is killed."""
    draft = paths.draft_name(wanted)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(draft)) as copy:
        connection.backup(copy)
    path = paths.free_name(wanted)
    os.rename(draft, path)
    paths.sync(os.path.dirname(path))
    return path
