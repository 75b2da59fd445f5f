"""Sessions over the project that stands for HAIA's ``DATABASE_URL``, and what opens and closes it.

A session reads without a lock until it writes for the first time. That opens a transaction of its own, which ends with
``commit()``, ``rollback()`` or ``close()``, in whatever task that happens; the sessions that want to write meanwhile
wait in the event loop.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from ..aio import lanes
from ..aio.threads import settled, write_in_thread
from ..project import Project
from ..services.conversations import Conversations
from . import urls
from .repository_errors import translated
from .repository_objects import Known

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_URL: Final = "sqlite+aiosqlite:///./haia.db"


class _TakenBack(Exception):
    """What a transaction is left with that is rolled back."""


class AsyncSession:
    """One transaction after the other, none of which is committed by itself.

    Calls of several tasks are made one after another.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._turn = asyncio.Lock()
        self._lane: lanes.Lane | None = None
        self.known = Known()

    async def read(self, work: Callable[Concatenate[Conversations, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``work(conversations, *args)``, which sees what this session has written."""
        async with self._turn:
            with translated():
                if self._lane is not None:
                    return await self._lane.run(work, self._project.conversations, *args, **kwargs)
                return await lanes.read(self._project, work, self._project.conversations, *args, **kwargs)

    async def write(self, work: Callable[Concatenate[Conversations, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``work(conversations, *args)``, done in the transaction of this session; the first one opens it.

        :raises DatabaseConnectionError: another writer kept the lock for longer than the busy timeout.
        """
        async with self._turn:
            with translated():
                if self._lane is not None:
                    return await self._lane.run(work, self._project.conversations, *args, **kwargs)
                self._lane = await lanes.begin(self._project)
                try:
                    return await self._lane.run(work, self._project.conversations, *args, **kwargs)
                except BaseException as error:  # nothing was written: nobody needs to wait for the end of the session
                    await self._end(error)
                    raise

    async def flush(self) -> None:
        """Do nothing: what is written is written at once."""

    async def commit(self) -> None:
        """Commit what was written; when this returns it is on disk."""
        async with self._turn:
            with translated():
                await self._end(None)

    async def rollback(self) -> None:
        """Take back what was not committed."""
        async with self._turn:
            with translated():
                await self._end(_TakenBack())

    async def close(self) -> None:
        """Roll back; the session may be used again, as a new one."""
        await self.rollback()

    async def _end(self, error: BaseException | None) -> None:
        lane, self._lane = self._lane, None
        if lane is None:
            return
        try:
            await lane.end(error)
        except BaseException:
            self.known.take_back()
            raise
        if error is None:
            self.known.forget_changes()
        else:
            self.known.take_back()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        lane = getattr(self, "_lane", None)
        if lane is not None:
            lane.abandon()
            warnings.warn("a session was never closed: what it did not commit is lost", ResourceWarning, stacklevel=2)


class Engine:
    """The project that stands for a database URL, opened when it is first used.

    :param url: ``None`` for what ``DATABASE_URL`` says at that time, or else ``sqlite+aiosqlite:///./haia.db``.
    :param settings: as for :class:`~peewee_conv.Project`.

    >>> async def main():
    ...     engine = Engine("sqlite://", durability="normal")
    ...     async with engine.session() as session:
    ...         talk = await session.write(lambda talks: talks.create(title="Outlook"))
    ...         await session.commit()
    ...         print(await session.read(lambda talks: talks.get(talk.id).title))
    ...     await engine.dispose()
    >>> asyncio.run(main())
    Outlook
    """

    def __init__(self, url: str | None = None, **settings: Any) -> None:
        self._url, self._settings = url, settings
        self._lock = threading.Lock()
        self._project: Project | None = None
        self._is_private = False

    @property
    def project(self) -> Project:
        """The project, to be used now: somebody else may have disposed the one that this has had before.

        :raises InvalidArgument: the URL is none of SQLite.
        :raises DatabaseConnectionError: HAIA's own database is there, and was not adopted yet.
        """
        with self._lock:
            if self._project is None:
                self._project = self._find()
            elif not self._is_private:
                self._project = Project(self._project.path, **self._settings)
            return self._project

    def _find(self) -> Project:
        url = urls.chosen(self._url, DEFAULT_URL)
        folder = urls.folder_of(url)
        project = urls.project_of(url, **self._settings)
        self._is_private = folder is None
        if folder is not None and not project.exists():
            with translated():
                urls.refuse_leftover(folder)
        return project

    def session(self) -> AsyncSession:
        """Return a new session."""
        return AsyncSession(self.project)

    async def dispose(self, timeout: float = 5.0) -> None:
        """Close the project's files; the next use opens what ``DATABASE_URL`` says then.

        :param timeout: seconds to wait for transactions that are open; what they do not commit by then is lost.
        """
        with self._lock:
            project, self._project = self._project, None
        if project is not None:
            with translated():
                await settled(write_in_thread(urls.close, project, timeout), must_happen=True)


engine = Engine()
async_session = engine.session


async def get_db() -> AsyncGenerator[AsyncSession, None]:
    """Yield a session; commit it afterwards, or roll back if there was an error. FastAPI's ``Depends(get_db)``."""
    async with async_session() as session:
        yield session
        await session.commit()


async def init_db() -> None:
    """Make the database, with its folder, where it is missing, and upgrade it where it is old; else do nothing.

    :raises DatabaseConnectionError: that failed.
    """
    project = engine.project
    with translated():
        await lanes.read(project, project.conversations.list, limit=1)


async def apply_migrations() -> None:
    """Upgrade the database if it is old. Opening does so too.

    :raises DatabaseConnectionError: that failed; the database is as it was.
    """
    await init_db()


async def close_db() -> None:
    """Close the database. What is used afterwards opens it again."""
    await engine.dispose()
