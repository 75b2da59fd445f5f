"""Opening and making SQLite files: the order of the steps, and the pragmas of every connection.

A new file is built under another name with all its tables and then linked into place: it appears whole or not at all,
and of several processes that make it at once one wins without the others noticing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable

from .. import counters, filesystem, paths
from ..errors import DatabaseBusy, DatabaseGone, DatabaseIOError
from ..settings import Settings
from . import fork
from .faults import translate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

logger = logging.getLogger("peewee_conv")

PAGE_SIZE = 8192  # bytes: reads messages of a few kB a quarter faster than 4 kB pages, in a third less space
# Pages in the write-ahead log before a writer empties it, 32 MB: that waits for the disk twice, and whoever writes then
# waits with it. SQLite's own 1000 make it a quarter of the time of an append; 4062 still have one block of its index.
LOG_PAGES = 4000
JOURNAL_SIZE_LIMIT = 64 * 1024 * 1024  # bytes that a write-ahead log keeps after it was emptied
CACHED_STATEMENTS = 256
_DRAFT_SECONDS = 3600  # the maker of a new file needs milliseconds


class Connection(sqlite3.Connection):
    """A connection that knows which file it was opened on, (device, inode), and counts what is done with it."""

    path: str
    identity: tuple[int, int]
    counts: counters.Counts

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts = counters.Counts()

    def close(self) -> None:
        """Close the file; a child process does not inherit it any more."""
        super().close()
        fork.opened.discard(self)
        counters.closed(self.counts)


def connect(path: str, settings: Settings) -> Connection:
    """Open the existing file at *path*; it is never created here, so a deleted project does not come back."""
    before = paths.identity(path)
    if before is None:
        if os.path.islink(path):
            raise DatabaseGone(path, "is a link that leads nowhere", "mend or delete the link")
        raise DatabaseGone(path, "does not exist any more")
    if before in fork.inherited:
        detail = "was in use in the parent at the moment of a fork, which bars it from this child process"
        raise DatabaseGone(path, detail, fork.ADVICE)
    factory = _logging_connection() if logger.isEnabledFor(logging.DEBUG) else Connection
    connection = sqlite3.connect(
        uri(path),
        uri=True,
        timeout=settings.busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
        factory=factory,
    )
    connection.path, connection.identity = path, before
    fork.opened.add(connection)
    if paths.identity(path) != before:
        connection.close()
        raise DatabaseGone(path, "was replaced while it was being opened")
    return connection


def _logging_connection() -> type[Connection]:
    from .statement_log import LoggingConnection  # here: hardly anybody asks for it

    return LoggingConnection


def uri(path: str) -> str:
    """Return *path* as a URI, so that ``?``, ``#`` and ``:memory:`` in it are plain text."""
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    if os.sep == "\\":
        quoted = "/" + quoted.replace("\\", "/")
    return f"file:{quoted}?mode=rw"


def journal_mode(path: str, settings: Settings) -> str:
    """Return the journal mode that the file at *path* should have: ``"wal"`` or ``"delete"`` (D05)."""
    if settings.journal_mode != "auto":
        return settings.journal_mode
    return filesystem.journal_mode_for(path)[0]


def configure(connection: Connection, path: str, settings: Settings, mode: str) -> None:
    """Set the pragmas of a connection, and the journal mode of its file where it differs."""
    execute = connection.execute
    execute("PRAGMA foreign_keys = ON")
    execute("PRAGMA trusted_schema = OFF")
    execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    execute(f"PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT}")
    if execute("PRAGMA journal_mode").fetchone()[0] != mode:
        _switch_journal(connection, path, settings, mode)
    execute(f"PRAGMA synchronous = {_synchronous(settings.durability, mode)}")


def _synchronous(durability: str, mode: str) -> str:
    # DELETE needs EXTRA: with FULL a power cut may undo the unlink that is the commit.
    if mode == "wal":
        return "FULL" if durability == "full" else "NORMAL"
    return "EXTRA" if durability == "full" else "FULL"


def _switch_journal(connection: Connection, path: str, settings: Settings, mode: str) -> None:
    """Change the journal mode; SQLite does not wait for other connections here, so we do."""
    deadline = time.monotonic() + settings.busy_timeout_ms / 1000
    while True:
        try:
            answer = connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0]
        except sqlite3.OperationalError as error:
            failure = translate(error, path)
            if not isinstance(failure, DatabaseBusy) or time.monotonic() > deadline:
                raise failure from error
        else:
            if answer == mode:
                return
            if time.monotonic() > deadline:
                raise DatabaseIOError(path, f"journal mode {mode!r} was refused, the file stays in {answer!r}")
        time.sleep(0.01)


def create(path: str, settings: Settings, mode: str, build: Callable[[Connection], None]) -> None:
    """Make the file at *path*, with the tables that *build* makes, unless somebody else makes it first."""
    _make_folder(os.path.dirname(path))
    paths.remove_old_drafts(path, _DRAFT_SECONDS)
    draft = paths.draft_name(path)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        _build(draft, settings, mode, build)
        _publish(draft, path)
    except sqlite3.Error as error:
        raise translate(error, draft) from error  # by the name of what is there: the file itself has not gone
    finally:
        paths.remove_database(draft)
    paths.sync(os.path.dirname(path))
    logger.info("%s created", path)


def _make_folder(folder: str) -> None:
    if os.path.isdir(folder):
        return
    from .removal import finish  # here: only the first file of a project comes by

    with contextlib.suppress(OSError):  # what nobody may delete keeps no project from being made
        finish(folder)
    paths.make_data_folder(folder)


def _build(draft: str, settings: Settings, mode: str, build: Callable[[Connection], None]) -> None:
    connection = connect(draft, settings)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        # A draft that is cut short is thrown away: it needs a journal to take a failure back, but none on the disk.
        configure(connection, draft, settings, "memory")
        build(connection)
        # Not before: a log that the closing could not bring into the file would be left behind with the draft.
        configure(connection, draft, settings, mode)
    finally:
        connection.close()


def _publish(draft: str, path: str) -> None:
    try:
        if _has_log(path):
            _make_empty(path)
        else:
            _link(draft, path)
    except FileExistsError:
        logger.debug("%s was made by another process first", path)


def _has_log(path: str) -> bool:
    """Say whether a database that has gone left its log behind: SQLite would take it for that of the new file."""
    return any(os.path.lexists(path + suffix) for suffix in ("-wal", "-journal"))


def _link(draft: str, path: str) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links on this file system
        _make_empty(path)


def _make_empty(path: str) -> None:
    """Make a file that is upgraded in place, under its own lock; beside it SQLite deletes what log there is."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
