"""Copies of a database while it is in use, and the way back.

Everything goes through SQLite itself: to open and close a live database by other means would drop the locks of this
process. A backup is one file, complete and in rollback mode, without a log beside it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from . import inspection, migrate, paths, versions
from .database import files
from .database.faults import translate
from .database.schema import Schema
from .drafts import draft_of, empty_file, path_of, publish, target_path
from .errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    FileAlreadyExists,
    ForeignDatabase,
    InvalidArgument,
    MigrationFailed,
)
from .schemas import assistant

if TYPE_CHECKING:
    from .project import Project

logger = logging.getLogger("peewee_conv")

#: ``on_progress(done, total)``, in pages.
Progress = Callable[[int, int], object]

_PAGES = 256  # copied at once, before progress is reported


class Backup(NamedTuple):
    """A backup that was made."""

    path: str
    bytes: int
    version: int


class Restored(NamedTuple):
    """What a restore did.

    :ivar kept: where the database from before is now; ``None`` if there was none, or it was not to be kept.
    """

    path: str
    version: int
    kept: str | None


def backup(
    project: Project,
    path: str | os.PathLike[str],
    *,
    schema: Schema = assistant,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Backup:
    """Copy the database of *schema* as it is at one moment, check the copy, and give it its name when it is whole.

    Others read meanwhile, and in WAL mode they write. An open transaction of the caller is not in the copy.

    :param path: the new file, readable for its owner alone.
    :param overwrite: replace a file that is there.
    :param on_progress: called with the pages done and their number.
    :raises FileAlreadyExists: there is a file, or a log of one, and *overwrite* is false.
    :raises DatabaseCorrupt: the database is damaged.
    """
    target = target_path(project._binding, "path", path, overwrite=overwrite)
    logs = [target + suffix for suffix in paths.SIDE_FILES if os.path.lexists(target + suffix)]
    if logs and not overwrite:
        raise FileAlreadyExists(logs[0])  # SQLite would take it for a log of the new file
    with draft_of(target, overwrite=overwrite) as draft:
        version = _copy_live(project, schema, draft, on_progress)
        _check_copy(draft, str(project.database_path(schema)), version)
        size = os.stat(draft).st_size
        for log in logs:
            os.unlink(log)
    logger.info("%s backed up to %s, %d bytes", project.database_path(schema), target, size)
    return Backup(target, size, version)


def _copy_live(project: Project, schema: Schema, draft: str, on_progress: Progress | None) -> int:
    """Copy the database into *draft* and return the version of its schema."""
    # A connection of its own, not that of the scope: SQLite copies nothing out of an open transaction that has written.
    database, source = project._binding.checkout(schema)
    try:
        # What is read in a transaction stays as it is: without one, each write of another process starts all over.
        source.execute("BEGIN")
        version = versions.version(source)
        _copy(source, draft, on_progress)
        return version
    except sqlite3.Error as error:
        raise translate(error, database.path) from error
    finally:
        if source.in_transaction:
            source.execute("ROLLBACK")
        database.checkin(source)


def _copy(source: sqlite3.Connection, draft: str, on_progress: Progress | None = None) -> None:
    def report(status: int, remaining: int, total: int) -> None:
        if on_progress is not None:
            on_progress(total - remaining, total)

    with closing(_open(draft)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # the whole file is synced before it gets its name
        source.backup(copy, pages=_PAGES, progress=report)
        copy.execute("PRAGMA journal_mode = DELETE")


def _open(path: str, mode: str = "rw") -> sqlite3.Connection:
    from pathlib import Path

    uri = f"{Path(path).as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _check_copy(draft: str, path: str, version: int) -> None:
    try:
        with closing(_open(draft)) as copy:
            found, _ = inspection.damage(copy, quick=True)
            if found or versions.version(copy) != version:
                raise DatabaseCorrupt(path, f"its copy is damaged: {(found or ['another version'])[0]}")
    except sqlite3.Error as error:
        raise translate(error, draft) from error


# --- the way back ---


def restore(
    project: Project,
    path: str | os.PathLike[str],
    *,
    schema: Schema = assistant,
    keep_old: bool = True,
    timeout: float = 5.0,
) -> Restored:
    """Put a backup in the place of the database of *schema*. The project is disposed: construct it again to go on.

    The backup is checked to the last page before anything changes, and stays where it is. The database is replaced in
    one step. What an older release has backed up is upgraded by the next ordinary open.

    :param path: the backup.
    :param keep_old: keep the database from before beside the new one, as ``<name>.before-restore``.
    :param timeout: seconds to wait for those who use the project.
    :raises DatabaseBusy: another process, or a thread of this one, has the database open.
    :raises DatabaseCorrupt: the backup is damaged.
    :raises ForeignDatabase: it is no backup of this schema.
    :raises SchemaTooNew: a newer release has made it.
    """
    source, target = path_of("path", path), str(project.database_path(schema))
    identity = paths.identity(source)
    if identity is None or identity == paths.identity(target):
        raise InvalidArgument("path", path, "the path of a backup")
    paths.make_data_folder(os.path.dirname(target))
    with empty_file(target) as draft:
        version = _copy_checked(source, draft, schema)
        paths.sync(draft)
        project.dispose(timeout)
        kept = _replace(project, target, draft, timeout, keep_old=keep_old)
    logger.info("%s restored from %s", target, source)
    return Restored(target, version, kept)


def _copy_checked(source: str, draft: str, schema: Schema) -> int:
    """Copy a backup into *draft*, check the copy, which nobody else can change, and return its version."""
    try:
        with closing(_open(source, "ro")) as connection:
            _copy(connection, draft)
        with closing(_open(draft)) as copy:
            _check_backup(copy, source, schema)
            return versions.version(copy)
    except sqlite3.Error as error:
        raise translate(error, source) from error


def _check_backup(copy: sqlite3.Connection, source: str, schema: Schema) -> None:
    versions.is_current(copy, source, schema.migrations)
    found, _ = inspection.damage(copy)
    if found:
        raise DatabaseCorrupt(source, f"the backup is damaged: {found[0]}")
    if not versions.version(copy):
        raise ForeignDatabase(source, "this is no backup of peewee_conv")
    try:
        migrate.status(copy, source, schema.migrations)
    except MigrationFailed as error:
        raise ForeignDatabase(source, f"this is no backup of the schema {schema.name}: {error.detail}") from error
    # A trigger or view of somebody else would run with every write of ours. An index only costs time.
    strange = [line for line in inspection.differences(copy, schema.migrations) if not line.startswith("index ")]
    if strange:
        raise ForeignDatabase(source, f"this is no backup of the schema {schema.name}: {strange[0]}")


def _replace(project: Project, target: str, draft: str, timeout: float, *, keep_old: bool) -> str | None:
    """Give *draft* the name of the database and return the name that the old one has now."""
    kept = paths.free_name(f"{target}.before-restore") if keep_old else None
    if paths.identity(target) is None:
        _move_logs(target, kept)
        publish(draft, target, overwrite=False)
        return None
    try:
        with closing(files.connect(target, project._binding.settings)) as old:
            _take_alone(old, target, timeout)
            _swap(target, draft, kept)
            return kept
    except sqlite3.Error as error:
        failure = translate(error, target)
        if not isinstance(failure, DatabaseCorrupt):
            raise failure from error
    # A file that SQLite cannot even lock: its log goes first, for a log is taken for that of any file of the name.
    _move_logs(target, kept)
    _swap(target, draft, kept)
    return kept


def _take_alone(connection: sqlite3.Connection, path: str, timeout: float) -> None:
    """Bring everything from the log into the file, remove the log, and lock everybody else out."""
    connection.execute("PRAGMA busy_timeout = 100")
    deadline = time.monotonic() + timeout
    while True:
        try:
            # Refused while any other connection of a file in WAL mode is open, used or not.
            if connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0] == "delete":
                connection.execute("BEGIN EXCLUSIVE")
                if connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
                    return
                connection.execute("ROLLBACK")  # somebody was faster, and has a log again
        except sqlite3.OperationalError as error:
            if not isinstance(translate(error, path), DatabaseBusy):
                raise
        if time.monotonic() > deadline:
            raise DatabaseBusy(path, "the file is open elsewhere: end who uses it before a restore")
        time.sleep(0.02)


def _swap(target: str, draft: str, kept: str | None) -> None:
    if kept is not None:
        try:
            os.link(target, kept)
        except OSError:
            os.rename(target, kept)  # no hard links here: for a moment there is no file
    # After a power cut neither a log that has been removed may be back, nor the old file be gone without its new name.
    paths.sync(os.path.dirname(target))
    publish(draft, target, overwrite=True)


def _move_logs(target: str, kept: str | None) -> None:
    for suffix in paths.SIDE_FILES:
        if os.path.lexists(target + suffix):
            if kept is None or suffix == "-shm":
                os.unlink(target + suffix)
            else:
                os.rename(target + suffix, kept + suffix)
    paths.sync(os.path.dirname(target))
