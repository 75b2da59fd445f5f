"""Is a project's database sound, how is it kept, and mending what can be mended.

:func:`check` reads everything and changes nothing; :func:`repair` mends what loses nothing by it, after a backup;
:func:`health` is quick, for dashboards and logs. They look at the file past the cache, which would upgrade it: a file
that an ordinary open refuses can be asked, too.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import health_checks, inspection, migrate, paths, search_index, versions
from .database import files, sizes
from .database.faults import translate
from .database.handle import Handle
from .database.schema import Schema
from .errors import (
    DatabaseCorrupt,
    DatabaseFailure,
    DatabaseReadOnly,
    ForeignDatabase,
    MigrationFailed,
    SchemaTooNew,
)
from .filesystem import journal_mode_for
from .health_checks import Problem
from .schemas import assistant

if TYPE_CHECKING:
    from .project import Project

logger = logging.getLogger("peewee_conv")

_WAL_RESET_FIXED: Final = (3, 51, 3)  # https://sqlite.org/wal.html: two connections could damage a file


class Repair(NamedTuple):
    """What a repair did.

    :ivar backup: where the copy from before is; ``None`` if nothing in the file was changed.
    """

    mended: list[Problem]
    left: list[Problem]
    backup: str | None


class Health(NamedTuple):
    """How a database is kept.

    :ivar size: bytes of the file, and ``wal_size`` of its write-ahead log.
    :ivar journal_mode: the one that the file has; ``journal_reason`` says why it should have ``wanted_journal_mode``.
    :ivar schema_version: the last applied script; ``schema_head`` is the newest one that this release knows.
    :ivar pending: the scripts that the next ordinary open applies.
    :ivar counts: rows by table.
    :ivar warnings: what an operator should know.
    :ivar size_warning: the one of them that says that the file is larger than ``warn_size_bytes``, or ``None``.
    """

    path: str
    exists: bool
    size: int
    wal_size: int
    journal_mode: str | None
    wanted_journal_mode: str
    journal_reason: str
    schema_version: int
    schema_head: int
    pending: list[str]
    sqlite_version: str
    counts: dict[str, int]
    warnings: list[str]
    size_warning: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return self._asdict()


# --- check ---


def check(project: Project, schema: Schema = assistant) -> list[Problem]:
    """Return what is wrong with the database of *schema*; an empty list if nothing is.

    It reads the whole file and changes nothing. In WAL mode others go on writing; only while the search index is
    compared they wait. A problem may be that the file cannot be read at all.

    :raises DatabaseBusy: somebody else has locked the file for too long.
    """
    path = str(project.database_path(schema))
    try:
        if paths.identity(path) is None:
            return [Problem("missing", "there is no file", False)]
        with _looking_at(project, path) as connection:
            found, is_readable = _check_file(connection, path, schema)
            found = [*_permissions(project, path), *found]
    except (SchemaTooNew, ForeignDatabase, DatabaseCorrupt) as error:
        return [Problem(_KINDS[type(error)], error.detail, False)]
    if schema is assistant and is_readable:
        found += _search_problems(project)
    return found


_KINDS: Final = {SchemaTooNew: "too_new", ForeignDatabase: "foreign", DatabaseCorrupt: "corrupt"}


@contextmanager
def _looking_at(project: Project, path: str) -> Iterator[sqlite3.Connection]:
    """Open the existing file for reading, past the cache."""
    with _opened(project, path) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection


@contextmanager
def _opened(project: Project, path: str) -> Iterator[sqlite3.Connection]:
    try:
        with closing(files.connect(path, project._binding.settings)) as connection:
            yield connection
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise translate(error, path) from error
    except MemoryError as error:  # what SQLite says of some tables that cannot be
        raise DatabaseCorrupt(path, "SQLite has no memory for its tables") from error


def _check_file(connection: sqlite3.Connection, path: str, schema: Schema) -> tuple[list[Problem], bool]:
    """Return what is wrong in the file, and whether its tables are those that this release knows."""
    migrations = schema.migrations
    is_current = versions.is_current(connection, path, migrations)
    damage, in_search = inspection.damage(connection)
    if damage:
        kind = "index" if inspection.wrong_indexes(damage) else "corrupt"
        return [Problem(kind, line, kind == "index") for line in damage], False
    found = [Problem("search", line, True) for line in in_search] + health_checks.orphans(connection)
    try:
        migrate.status(connection, path, migrations)
    except MigrationFailed as error:
        return [*found, Problem("history", error.detail, False)], False
    version = versions.version(connection)
    strange = inspection.differences(connection, migrations) if version else []  # 0: of an older application
    makeable = inspection.makeable(connection, migrations) if strange else {}
    found += [Problem("schema", line, line in makeable) for line in strange]
    if not is_current:
        detail = f"the schema version is {version} of {migrations.head}: the next ordinary open upgrades it"
        return [*found, Problem("outdated", detail, True)], False
    if any(_is_of_tables(line) for line in strange):
        return found, False
    found += health_checks.invalid_json(connection, schema)
    found += health_checks.unreadable_times(connection, schema)
    found += health_checks.wrong_values(connection, schema)
    if schema is assistant:
        found += health_checks.conversations(connection)
    return found, True


def _is_of_tables(difference: str) -> bool:
    """Say whether a table or view of ours is missing or another one: what it should hold cannot be compared then."""
    return difference.startswith(("table", "view")) and not difference.endswith("is not of this schema")


def _permissions(project: Project, path: str) -> Iterator[Problem]:
    if os.name != "posix":
        return
    for name, allowed in _private_paths(project, path):
        mode = stat.S_IMODE(os.stat(name).st_mode)
        if mode & ~allowed:
            yield Problem("permissions", f"{name} has mode {mode:04o}, wider than {allowed:04o}", True)


def _private_paths(project: Project, path: str) -> Iterator[tuple[str, int]]:
    folder = os.path.join(project._root, project._binding.settings.data_dir)
    if os.path.dirname(path) == folder:  # a file of an older application lies in a folder of that
        yield folder, 0o700
    for name in (path, *(path + suffix for suffix in paths.SIDE_FILES)):
        if os.path.exists(name):
            yield name, 0o600


def _search_problems(project: Project) -> list[Problem]:
    try:
        if Handle(project._binding, assistant).write(search_index.is_in_step):  # a command to the index: it locks
            return []
    except DatabaseReadOnly:
        return [Problem("search", "the search index was not compared: the file cannot be written", False)]
    return [Problem("search", "the search index is not in step with the messages", True)]


# --- repair ---


def repair(project: Project, schema: Schema = assistant) -> Repair:
    """Mend what can be mended without loss, and return what was, and what is left.

    That is: counts, marks of the search index, the index itself, other indexes that disagree with their tables, what
    is missing and holds nothing of its own (indexes, triggers, views), permissions, and an upgrade that is due. A
    backup is made first, as ``<name>.before-repair``, unless there is nothing to change in the file. A damaged file
    is left as it is.

    :raises DatabaseBusy: somebody else has locked the file for too long.
    """
    from .backup import backup

    found = check(project, schema)
    path = str(project.database_path(schema))
    kinds = _repairable(found)
    if "permissions" in kinds:
        for name, allowed in _private_paths(project, path):
            os.chmod(name, stat.S_IMODE(os.stat(name).st_mode) & allowed)
    copy = None
    if kinds - {"permissions"} and not any(problem.kind == "corrupt" for problem in found):
        copy = backup(project, paths.free_name(f"{path}.before-repair"), schema=schema).path
        found = _mend(project, schema, path, found)
    left = check(project, schema)
    mended = [problem for problem in found if problem not in left]
    if mended:
        logger.info("%s repaired: %s", path, ", ".join(sorted({problem.kind for problem in mended})))
    return Repair(mended, left, copy)


def _repairable(problems: list[Problem]) -> set[str]:
    return {problem.kind for problem in problems if problem.repairable}


def _mend(project: Project, schema: Schema, path: str, found: list[Problem]) -> list[Problem]:
    """Mend what is repairable in the file and return what was found, with what could be seen only on the way."""
    handle = Handle(project._binding, schema)
    now = found
    if _repairable(found) & {"index", "schema"}:
        wrong = inspection.wrong_indexes([problem.detail for problem in found if problem.kind == "index"])
        handle.write(health_checks.make_indexes, wrong, schema.migrations)
        now = check(project, schema)
    if schema is assistant and not any(problem.kind == "schema" and _is_of_tables(problem.detail) for problem in now):
        rebuild_index = "search" in _repairable(now)
        try:
            handle.write(health_checks.mend, rebuild_index)
        except DatabaseFailure as error:
            if not rebuild_index or not search_index.is_unusable(error.__cause__):
                raise
            _mend_from_nothing(project, path)
    return found + [problem for problem in now if problem not in found]


def _mend_from_nothing(project: Project, path: str) -> None:
    """Mend a file whose search index SQLite cannot even rebuild, on a connection that has never looked at it."""
    with _opened(project, path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        search_index.empty(connection)
        health_checks.mend(connection, True)
        connection.execute("COMMIT")


# --- health ---


def health(project: Project, schema: Schema = assistant) -> Health:
    """Return how the database of *schema* is kept. Nothing is made, upgraded or changed.

    :raises DatabaseCorrupt: the file cannot be read.
    """
    path = str(project.database_path(schema))
    wanted, reason = _wanted_mode(project, path)
    names = [script.name for script in schema.migrations.scripts]
    if paths.identity(path) is None:
        return Health(path, False, 0, 0, None, wanted, reason, 0, len(names), names, sqlite3.sqlite_version, {}, [])
    with _looking_at(project, path) as connection:
        version = versions.version(connection)
        mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
        counts = {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for name in inspection.tables(connection)
        }
    size = paths.size(path)
    size_warning = sizes.describe(size, project._binding.settings.warn_size_bytes)
    return Health(
        path,
        True,
        size,
        paths.size(path + "-wal"),
        mode,
        wanted,
        reason,
        version,
        len(names),
        names[version:],
        sqlite3.sqlite_version,
        counts,
        [*_warnings(mode, wanted, version, len(names)), *filter(None, [size_warning])],
        size_warning,
    )


def _wanted_mode(project: Project, path: str) -> tuple[str, str]:
    setting = project._binding.settings.journal_mode
    return (setting, "the setting journal_mode says so") if setting != "auto" else journal_mode_for(path)


def _warnings(mode: str, wanted: str, version: int, head: int) -> Iterator[str]:
    if mode == "wal" and sqlite3.sqlite_version_info < _WAL_RESET_FIXED:
        yield (
            f"SQLite {sqlite3.sqlite_version} can damage a file in WAL mode when two connections meet in a rare moment:"
            " 3.51.3 and later cannot"
        )
    if mode != wanted:
        yield f"the file is in journal mode {mode}, and the next ordinary open changes it to {wanted}"
    if version > head:
        yield f"the file has schema version {version}, and this release knows {head} at most"
