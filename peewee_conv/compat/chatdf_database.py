"""Where a ChatDF application gets its connections: one that is shared, or a pool."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

from ..aio import AsyncProject
from ..aio.threads import settled, write_in_thread
from ..errors import InvalidArgument
from ..project import Project
from . import urls
from .chatdf_connection import Connection, Model
from .chatdf_cursor import Pending

_NOT_INITIALIZED = "Pool not initialized"
_SCHEME = re.compile(r"sqlite(\+\w+)?:", re.IGNORECASE)


def connect(
    database: str | os.PathLike[str], *, settings: object = None, model: Model | None = None, **project_settings: Any
) -> Pending[Connection]:
    """Return the connection to await, or to enter with ``async with``, which closes it.

    :param database: the path or the URL that the application had; its project is in ``<path>.project`` beside that
        file, which is neither opened nor touched. ``:memory:`` is a temporary project of this connection alone.
    :param settings: an object with ``token_limit``, ``session_duration_days`` or ``max_datasets``; the defaults are
        5,000,000 tokens within 24 hours, 7 days and 5 datasets for each conversation.
    :param model: what answers messages: see :func:`process_message`; may be set later, as ``connection.model``.
    :param project_settings: as for :class:`~peewee_conv.Project`.
    :raises InvalidArgument: the path or a setting is not allowed.
    :raises ForeignDatabase: there is such a file with data, and no project yet: the text says how to adopt it.
    """
    return Pending(_connect(database, settings, model, project_settings))


async def _connect(
    database: str | os.PathLike[str], settings: object, model: Model | None, project_settings: dict[str, Any]
) -> Connection:
    project = await settled(write_in_thread(_project_of, _url_of(database), project_settings))
    return Connection(AsyncProject(project), settings, model)


def _project_of(url: str, project_settings: dict[str, Any]) -> Project:
    folder = urls.folder_of(url)
    project = urls.project_of(url, **project_settings)
    if folder is not None and not project.exists():
        urls.refuse_leftover(folder)
    return project


def _url_of(database: str | os.PathLike[str]) -> str:
    path = os.fspath(database) if isinstance(database, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path.strip():
        raise InvalidArgument("database", database, "the path or the URL of a SQLite file")
    if _SCHEME.match(path):
        return path
    if "?" in path:  # in a URL, what follows is no part of the path
        raise InvalidArgument("database", database, "a path without a question mark")
    return f"sqlite:///{path}"


async def init_db_schema(conn: Connection) -> None:
    """Make the project's tables or bring them up to date, and delete the sessions that are over; safe to repeat."""
    if not isinstance(conn, Connection):
        raise InvalidArgument("conn", conn, "a connection of peewee_conv.compat.chatdf.connect()")
    await conn.accounts.purge_expired()


init_db = init_db_schema


class DatabasePool:
    """Connections of one database, for those who want to read with one and write with another.

    Each of them can do both: reading waits for no writer here.

    :param db_path: the path or the URL that the application had.
    :param pool_size: how many readers may have one at a time.
    :param options: as for :func:`connect`.
    """

    def __init__(self, db_path: str | os.PathLike[str], pool_size: int = 5, **options: Any) -> None:
        if type(pool_size) is not int or pool_size < 1:
            raise InvalidArgument("pool_size", pool_size, "a whole number from 1")
        self.db_path, self.pool_size = db_path, pool_size
        self._options = options
        self._writer: Connection | None = None
        self._readers: list[Connection] = []
        self._free: asyncio.Queue[Connection] = asyncio.Queue()

    async def initialize(self) -> None:
        """Open the connections and make the tables; does nothing where that is done already."""
        if self._writer is not None:
            return
        writer = await connect(self.db_path, **self._options)
        try:
            await init_db_schema(writer)
        except BaseException:
            await writer.close()
            raise
        self._writer = writer
        self._readers = [Connection(writer.project, writer.settings, writer.model) for _ in range(self.pool_size)]
        self._free = asyncio.Queue()
        for reader in self._readers:
            self._free.put_nowait(reader)

    async def close(self) -> None:
        """Close all connections, also those that somebody has not given back."""
        writer, self._writer = self._writer, None
        for connection in (*self._readers, *([writer] if writer else [])):
            await connection.close()
        for reader in self._readers:  # who waits for one is told
            self._free.put_nowait(reader)
        self._readers = []

    async def acquire_read(self) -> Connection:
        """Return a connection for reading when one is free; give it back with :meth:`release_read`.

        :raises RuntimeError: the pool is not initialized, or was closed meanwhile.
        """
        self.get_write_connection()
        free = self._free
        reader = await free.get()
        if reader not in self._readers:
            free.put_nowait(reader)  # for who waits behind
            raise RuntimeError(_NOT_INITIALIZED)
        return reader

    async def release_read(self, conn: Connection) -> None:
        """Give a connection back; what its task has not committed is taken back."""
        try:
            await conn.rollback()
        finally:
            if conn in self._readers:
                self._free.put_nowait(conn)

    def get_write_connection(self) -> Connection:
        """Return the connection for writing, which all writers share.

        :raises RuntimeError: the pool is not initialized.
        """
        if self._writer is None:
            raise RuntimeError(_NOT_INITIALIZED)
        return self._writer
