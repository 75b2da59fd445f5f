"""The cache of open project databases: a dict, a lock, loans, and a bound on open connections.

It is keyed by the resolved path of the project and the name of the schema. The lock guards the dict alone: opening a
file (which may be slow, on a dead mount for instance) happens under a lock of that one database. When the bound is
reached the connection that was used longest ago makes room; one that is on loan never does.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable

from .. import counters, paths
from ..errors import InvalidArgument, LimitReached, ProjectDisposed, ProjectInUse
from ..settings import Settings
from . import fork
from .files import Connection
from .lease import Lease, this_thread, threads
from .pool import Ended, ProjectDatabase
from .scope import Scope, current_scope
from .turnstile import readers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .schema import Schema

logger = logging.getLogger("peewee_conv")

_FORK_PATIENCE = 0.25  # seconds that a fork waits for other threads to return what they use


class Binding:
    """What all ``Project`` objects of one path share: settings, and short cuts to the open databases.

    :ivar seen: names of the schemas whose file this process has seen: one that is missing later was deleted.
    """

    __slots__ = ("__weakref__", "databases", "is_disposed", "root", "seen", "settings")

    def __init__(self, root: str, settings: Settings) -> None:
        self.root, self.settings = root, settings
        self.is_disposed = False
        self.seen: set[str] = set()
        self.databases: dict[Schema, ProjectDatabase] = {}

    def database(self, schema: Schema) -> ProjectDatabase:
        """Return the open database of *schema*.

        :raises ProjectDisposed: the project was disposed after this object was made.
        """
        database = self.databases.get(schema)
        if database is None or database.ended is not None:
            if self.is_disposed:
                raise ProjectDisposed(self.root)
            database = self.databases[schema] = cache.find(self, schema, self.path(schema))
        return database

    def path(self, schema: Schema) -> str:
        """Return where the file of *schema* is, or where it will be."""
        has_legacy = schema.migrations.legacy is not None
        return paths.locate(self.root, schema.name, self.settings.data_dir, has_legacy=has_legacy)

    def checkout(self, schema: Schema) -> tuple[ProjectDatabase, Connection]:
        """Lend a connection; the caller gives it back to the database with ``checkin``."""
        while True:
            database = self.database(schema)
            try:
                return database, database.checkout()
            except Ended:
                continue

    def is_bound(self) -> bool:
        """Whether a scope of this project is open in this thread."""
        scope = current_scope()
        return scope is not None and scope.find(self) is not None

    def lease(self, schema: Schema) -> Lease:
        """Return the lease of the current scope."""
        scope = current_scope()
        return Scope.required(scope and scope.find(self)).lease(schema)


class Cache:
    """All project databases that are open in this process."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Condition()
        self._databases: dict[tuple[str, str], ProjectDatabase] = {}
        self._bindings: weakref.WeakValueDictionary[str, Binding] = weakref.WeakValueDictionary()
        self._connections = 0
        self._waiting = 0
        self._forking = threading.Lock()

    # --- projects ---

    def bind(self, root: str, given: dict[str, object]) -> Binding:
        """Return the one binding of *root*; *given* are the settings that the caller cares about.

        :raises InvalidArgument: a setting is not allowed.
        :raises ProjectInUse: the project is open with other settings.
        """
        with self._lock:
            binding = self._bindings.get(root)
            if binding is None:
                binding = self._bindings[root] = Binding(root, Settings.of(**given))
                return binding
        if given:
            wanted = Settings.of(**{**binding.settings._asdict(), **given})
            if wanted != binding.settings:
                changed = [name for name in given if getattr(wanted, name) != getattr(binding.settings, name)]
                raise ProjectInUse(root, f"the project is in use with another {', '.join(changed)}")
        return binding

    def find(self, binding: Binding, schema: Schema, path: str) -> ProjectDatabase:
        """Return the database of *schema* in the project, unopened if it was not open."""
        key = (binding.root, schema.name)
        with self._forking, self._lock:
            if binding.is_disposed:  # since the caller looked
                raise ProjectDisposed(binding.root)
            database = self._databases.get(key)
            if database is not None and database.schema is not schema and not self.discard(database, "evicted"):
                raise InvalidArgument("schema", schema.name, "one Schema object per name: another one is in use")
            if database is None or database.ended is not None:
                database = self._databases[key] = ProjectDatabase(binding, schema, path, self)
            return database

    def open_databases(self, root: str | None = None) -> list[ProjectDatabase]:
        """Return the databases that are open, of one project or of all."""
        with self._lock:
            return [database for (path, _), database in self._databases.items() if root in (None, path)]

    def look(self) -> tuple[int, list[counters.Open]]:
        """Return the bound on connections, and what is open."""
        return self.limit, [each.look() for each in self.open_databases() if each.connection_count]

    @property
    def connection_count(self) -> int:
        """How many connections are open in this process."""
        return self._connections

    def dispose(self, binding: Binding, timeout: float) -> bool:
        """Close every handle of a project; wait up to *timeout* seconds for the loans of other threads.

        Return whether anything was open. Whoever still holds the project gets ``ProjectDisposed``.
        """
        scope = current_scope()
        if scope is not None:
            scope.abandon(binding)
        with self._forking, self._lock:
            latest = self._bindings.pop(binding.root, binding)
            binding.is_disposed = latest.is_disposed = True
        databases = self.open_databases(binding.root)
        ended = [database for database in databases if self.discard(database, "disposed")]
        deadline = time.monotonic() + timeout
        for database in ended:
            database.wait_until_drained(max(0.0, deadline - time.monotonic()))
            database.is_killed = True
        if ended:
            logger.info("%s disposed", binding.root)
        return bool(ended)

    def discard(self, database: ProjectDatabase, reason: str) -> bool:
        """Take a database out of the cache and close what nobody uses."""
        if not database.end(reason, only_if_idle=reason == "evicted"):
            return False
        key = (database.binding.root, database.schema.name)
        with self._lock:
            if self._databases.get(key) is database:
                del self._databases[key]
        if database.binding.databases.get(database.schema) is database:
            del database.binding.databases[database.schema]
        for connection in database.take_idle(all_=True):
            database.close_connection(connection)
        logger.debug("%s left the cache: %s", database.path, reason)
        return True

    # --- the bound on open connections ---

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for a connection to be closed."""
        return self._waiting > 0

    @property
    def is_full(self) -> bool:
        """Whether one more connection would need another one's place."""
        return self._connections >= self.limit

    def open_connection(self, open_: Callable[[], Connection], timeout: float) -> Connection:
        """Open a connection when there is room for one more.

        :param timeout: seconds to wait for room.
        :raises LimitReached: every connection stayed on loan for that long.
        """
        self._make_room(time.monotonic() + timeout)
        try:
            return open_()
        except BaseException:
            self._leave_room()
            raise

    def close(self, connection: sqlite3.Connection) -> None:
        """Close a connection that nobody uses."""
        try:
            connection.close()
        finally:
            self._leave_room()

    def _make_room(self, deadline: float) -> None:
        while True:
            with self._lock:
                if self._connections < self.limit:
                    self._connections += 1
                    return
            if self._evict_one():
                counters.evicted()
                continue
            with self._lock:
                self._waiting += 1
                try:
                    if self._connections >= self.limit:
                        self._lock.wait(0.05)
                    if time.monotonic() >= deadline:
                        raise LimitReached("open connections", self.limit, "close scopes, or raise the limit")
                finally:
                    self._waiting -= 1

    def _leave_room(self) -> None:
        with self._lock:
            self._connections -= 1
            if self._waiting:
                self._lock.notify()

    def _evict_one(self) -> bool:
        databases = sorted(self.open_databases(), key=lambda database: database.last_used)
        for database in databases:
            if database.idle_count > 1 and self._close_one(database):
                return True
        for database in databases:
            if database.is_idle and database.idle_count and self.discard(database, "evicted"):
                return True
        return any(self._close_one(database) for database in databases)

    def _close_one(self, database: ProjectDatabase) -> bool:
        for connection in database.take_idle(all_=False):
            database.close_connection(connection)
            return True
        return False

    # --- forks ---

    def prepare_fork(self) -> None:
        """Close what nobody uses, and wait a moment for what others use: a child is barred from what stays open."""
        self._forking.acquire()
        scope = current_scope()
        if scope is not None:
            scope.let_go()
        paused = [database for database in self.open_databases() if database.end("forking")]
        for database in paused:
            for connection in database.take_idle(all_=True):
                database.close_connection(connection)
        deadline = time.monotonic() + _FORK_PATIENCE
        for database in paused:
            database.wait_until_drained(max(0.0, deadline - time.monotonic()))

    def go_on_after_fork(self) -> None:
        """In the parent: lend again."""
        for database in self.open_databases():
            database.resume()
            # What was disposed meanwhile could not be ended; the rest goes unless it is in use.
            self.discard(database, "disposed" if database.binding.is_disposed else "evicted")
        self._forking.release()

    def forget_inherited(self) -> None:
        """In a child process: leak every inherited handle, for SQLite forbids using and even closing it."""
        for database in self._databases.values():
            database.ended = "forked"
            fork.leak(database)
        fork.leak_opened()
        self._databases = {}
        self._lock = threading.Condition()  # another thread may have held the old one when it vanished
        self._forking = threading.Lock()
        self._connections = self._waiting = 0
        readers.reset()
        threads.intersection_update({this_thread.token})
        counters.begin_anew()


def _default_limit() -> int:
    """Return how many connections may be open: 64, or a third of half the descriptors where those are scarce.

    A connection in WAL mode has two descriptors and its file a third.
    """
    try:
        soft = os.sysconf("SC_OPEN_MAX")
    except (AttributeError, OSError, ValueError):  # Windows has no such question
        return 64
    return 64 if soft < 0 else max(4, min(64, soft // 2 // 3))


cache = Cache(_default_limit())
counters.watch(cache.look)


def set_connection_limit(limit: int) -> None:
    """Bound the open connections of this process; one in WAL mode costs two or three file descriptors."""
    if type(limit) is not int or limit < 1:
        raise InvalidArgument("limit", limit, "a whole number of connections from 1")
    cache.limit = limit


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=cache.prepare_fork, after_in_parent=cache.go_on_after_fork, after_in_child=cache.forget_inherited
    )
