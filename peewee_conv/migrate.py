"""Numbered upgrade scripts, applied once, all or nothing, whoever races.

A schema is upgraded by the scripts ``NNNN_name.py`` of one directory, each with ``up(migrator, db)`` and
``down(migrator, db)``, run by ``playhouse.migrations``. ``PRAGMA user_version`` is the number of the last applied
script; playhouse's history rows are written in the same transaction. The lock is taken *before* the version is looked
at, foreign keys are off meanwhile (a table rebuild would cascade), and ``foreign_key_check`` comes before the commit.

A script that rebuilds tables says ``REWRITES_TABLES = True``: a copy of the file is then kept beside it. ``atomic =
False`` is refused: an upgrade is one transaction.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from . import paths
from .errors import (
    DatabaseBusy,
    DatabaseFailure,
    ForeignDatabase,
    InvalidArgument,
    MigrationFailed,
    PeeweeConvError,
)
from .versions import APPLICATION_ID, Migrations, Script, is_current, version

if TYPE_CHECKING:
    from playhouse.migrations import Runner

    from .versions import Legacy

logger = logging.getLogger("peewee_conv")

Translate = Callable[[Exception, str], PeeweeConvError]


class ScriptStatus(NamedTuple):
    """One script and whether the file has it."""

    number: int
    name: str
    applied: bool


def upgrade(
    connection: sqlite3.Connection,
    path: str,
    migrations: Migrations,
    *,
    keep_copies: bool = True,
    translate: Translate,
) -> list[str]:
    """Bring the file to the newest version and return the names of the scripts that this call applied.

    :param connection: a dedicated connection, in no transaction.
    :raises MigrationFailed: a script failed; the file is as it was.
    """
    if is_current(connection, path, migrations):
        return []
    with _locked(connection, path, translate) as runner_of:
        if is_current(connection, path, migrations):
            return []
        found = version(connection)
        legacy = None if found else _legacy_of(connection, migrations)
        if legacy is None:
            _check_history(connection, path, migrations, found)
        pending = migrations.scripts[found:]
        if keep_copies and (legacy or any(_load(script, path).get("REWRITES_TABLES") for script in pending if found)):
            _keep_copy(path, pending[0])
        if legacy is not None:
            legacy.set_aside(connection)
        runner = runner_of(migrations)
        for script in pending:
            _apply(connection, runner.up, script, path, translate)
        if legacy is not None:
            legacy.fill(connection, path)
            os.chmod(path, 0o600)  # by path: the file is ours now, and its owner's alone
        _finish(connection, path, migrations.head)
    logger.info("%s upgraded from version %d to %d", path, found, migrations.head)
    return [script.name for script in pending]


def downgrade(
    connection: sqlite3.Connection, path: str, migrations: Migrations, target: int, *, translate: Translate
) -> list[str]:
    """Take the file back to version *target* and return the names of the reverted scripts, newest first.

    The next ordinary open upgrades it again: this prepares a file for an older release.

    :raises InvalidArgument: *target* is no version that these scripts know.
    """
    if type(target) is not int or not 0 <= target <= migrations.head:
        raise InvalidArgument("target", target, f"a whole number from 0 to {migrations.head}")
    with _locked(connection, path, translate) as runner_of:
        is_current(connection, path, migrations)
        found = version(connection)
        _check_history(connection, path, migrations, found)
        runner = runner_of(migrations)
        reverted = [script for script in reversed(migrations.scripts[:found]) if script.number > target]
        for script in reverted:
            _apply(connection, runner.down, script, path, translate)
        if reverted:
            _finish(connection, path, target)
    if reverted:
        logger.info("%s taken back from version %d to %d", path, found, target)
    return [script.name for script in reverted]


def status(connection: sqlite3.Connection, path: str, migrations: Migrations) -> list[ScriptStatus]:
    """Return every script with whether the file has it. Reads only.

    :raises MigrationFailed: the version and playhouse's history rows disagree.
    """
    with _one_state(connection):  # or an upgrade by somebody else between two reads would look like a disagreement
        is_current(connection, path, migrations)
        found = version(connection)
        if found or _legacy_of(connection, migrations) is None:
            _check_history(connection, path, migrations, found)
    return [ScriptStatus(script.number, script.name, script.number <= found) for script in migrations.scripts]


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    is_own = not connection.in_transaction
    if is_own:
        connection.execute("BEGIN")
    try:
        yield
    finally:
        if is_own and connection.in_transaction:  # an I/O error has ended it already
            connection.execute("COMMIT")


@contextmanager
def _locked(
    connection: sqlite3.Connection, path: str, translate: Translate
) -> Iterator[Callable[[Migrations], Runner]]:
    """Hold the file's write lock, foreign keys off, and commit at the end or take everything back."""
    try:
        # Before BEGIN: inside a transaction this pragma is ignored, and a rebuild would delete all children.
        connection.execute("PRAGMA foreign_keys = OFF")
        # An upgrade is reported once, and made once: a power cut must not undo it, whatever the ordinary durability.
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("BEGIN IMMEDIATE")
        yield lambda migrations: _runner(connection, path, migrations)
        connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("PRAGMA foreign_keys = ON")


def _runner(connection: sqlite3.Connection, path: str, migrations: Migrations) -> Runner:
    """Return playhouse's runner over an already open, already locked connection."""
    from peewee import SqliteDatabase  # here, with the runner: an up-to-date file never needs them
    from playhouse.migrations import Runner

    class Borrowed(SqliteDatabase):
        def _connect(self) -> sqlite3.Connection:
            return connection

    database = Borrowed(path, autoconnect=False)
    database.connect()
    database.push_transaction(database)  # so that the transaction of each script becomes a savepoint of ours
    return Runner(database, migrations.directory)


def _legacy_of(connection: sqlite3.Connection, migrations: Migrations) -> Legacy | None:
    if migrations.legacy is None or connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
        return None
    legacy = migrations.legacy()
    return legacy if legacy.recognises(connection) else None


def _check_history(connection: sqlite3.Connection, path: str, migrations: Migrations, found: int) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "schema_migration" in tables:
        recorded = {name for (name,) in connection.execute("SELECT name FROM schema_migration")}
    elif tables - {"sqlite_sequence"}:
        raise ForeignDatabase(path, "this database has tables that peewee_conv does not know")
    else:
        recorded = set()
    if recorded != {script.name for script in migrations.scripts[:found]}:
        raise MigrationFailed(
            path, None, f"version {found} disagrees with the history rows {sorted(map(str, recorded))}"
        )


def _apply(
    connection: sqlite3.Connection, run: Callable[[str], Any], script: Script, path: str, translate: Translate
) -> None:
    if not _load(script, path).get("atomic", True):
        raise MigrationFailed(path, script.name, "'atomic = False' is refused: an upgrade is one transaction")
    connection.set_authorizer(_keep_transaction)
    try:
        run(script.name)
    except PeeweeConvError:
        raise
    except Exception as error:
        raise _disk_failure(path, error, translate) or _failed(path, script, error) from error
    finally:
        connection.set_authorizer(None)


def _keep_transaction(action: int, *_: str | None) -> int:
    # Above all executescript() would commit first, and half of an upgrade could not be taken back.
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK


def _disk_failure(path: str, error: BaseException | None, translate: Translate) -> PeeweeConvError | None:
    """Return the error for a file or disk that failed under a script; ``None`` if the script itself is to blame.

    Where SQLite has given up the whole transaction, Peewee's savepoint fails too, and its error hides the cause.
    """
    while error is not None:
        orig = getattr(error, "orig", error)
        if isinstance(orig, sqlite3.Error):
            failure = translate(orig, path)
            # Never busy: the lock is ours, so that is what a script hears on another connection, of its own.
            if isinstance(failure, DatabaseFailure) and type(failure) not in (DatabaseFailure, DatabaseBusy):
                return failure
        error = error.__cause__ or error.__context__
    return None


def _failed(path: str, script: Script, error: Exception) -> MigrationFailed:
    orig = getattr(error, "orig", error)
    detail = f"{type(orig).__name__}: {orig}"
    if getattr(orig, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH:
        detail = "it must neither begin nor end a transaction; executescript() ends one"
    return MigrationFailed(path, script.name, detail)


def _load(script: Script, path: str) -> dict[str, Any]:
    import runpy

    try:
        return runpy.run_path(script.path)
    except Exception as error:
        raise _failed(path, script, error) from error


def _finish(connection: sqlite3.Connection, path: str, number: int) -> None:
    orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    if orphan is not None:
        raise MigrationFailed(path, None, f"table {orphan[0]!r} would keep rows whose parents are missing")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {number}")


def _keep_copy(path: str, script: Script) -> None:
    """Keep a copy of the file as it is now, under the lock."""
    draft = f"{path}.copying"  # only whoever holds the lock of the file has one
    _remove_draft(draft)  # of a process that was killed
    try:
        _copy_into(draft, path)
        target = paths.free_name(f"{path}.before-{script.name}")
        os.rename(draft, target)  # what is called a copy is a whole one, whenever the process is killed
        paths.sync(os.path.dirname(path))
    finally:
        _remove_draft(draft)
    logger.info("%s was copied to %s before its upgrade", path, target)


def _copy_into(draft: str, path: str) -> None:
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    # A second connection, by SQLite's own API: a plain copy would drop this process's locks on the live file.
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(draft)) as copy:
        source.backup(copy)


def _remove_draft(draft: str) -> None:
    for name in (draft, f"{draft}-journal"):
        if os.path.lexists(name):
            os.unlink(name)
