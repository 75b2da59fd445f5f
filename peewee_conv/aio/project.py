"""The front door for asyncio: a project, and a root folder of many."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Unpack

from ..database.schema import Schema
from ..project import Project, Projects
from ..schemas import assistant
from . import lanes, services
from .threads import read_in_thread, settled, write_in_thread

if TYPE_CHECKING:
    from pathlib import Path

    from ..backup import Backup, Restored
    from ..health import Health, Repair
    from ..health_checks import Problem
    from ..retention import Retention, Rules
    from ..settings import Settings
    from ..upgrades import UpgradeReport

P = ParamSpec("P")
R = TypeVar("R")


class AsyncProject:
    """A project for asyncio: the services of :class:`~peewee_conv.Project` with the same arguments, to be awaited.

    :param path: the directory, or a :class:`~peewee_conv.Project`.
    :param settings: as for :class:`~peewee_conv.Project`.

    Every call runs in one of a bounded number of threads (:func:`set_thread_limit`). A call whose task is cancelled
    either happened or did not: a cancelled task goes on when the call has ended.

    >>> import asyncio, tempfile
    >>> async def main(folder):
    ...     aurora = AsyncProject(folder)
    ...     talk = await aurora.conversations.create()
    ...     async with aurora.atomic():
    ...         await aurora.conversations.add_message(talk.id, "user", "What's the market outlook?")
    ...         await aurora.conversations.add_message(talk.id, "assistant", "Calm.")
    ...     print([message.role for message in await aurora.conversations.context(talk.id)])
    ...     await aurora.dispose()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(main(folder))
    ['user', 'assistant']
    """

    def __init__(self, path: str | os.PathLike[str] | Project, **settings: Any) -> None:
        self._project = path if isinstance(path, Project) and not settings else Project(_path(path), **settings)

    @property
    def sync(self) -> Project:
        """The same project for code that runs in threads."""
        return self._project

    # --- services ---

    @cached_property
    def assistants(self) -> services.AsyncAssistants:
        """Assistants."""
        return services.AsyncAssistants(self._project, self._project.assistants)

    @cached_property
    def conversations(self) -> services.AsyncConversations:
        """Conversations and their messages."""
        return services.AsyncConversations(self._project, self._project.conversations)

    @cached_property
    def accounts(self) -> services.AsyncAccounts:
        """Users, sessions, referral keys."""
        return services.AsyncAccounts(self._project, self._project.accounts)

    @cached_property
    def datasets(self) -> services.AsyncDatasets:
        """Data files that conversations work with."""
        return services.AsyncDatasets(self._project, self._project.datasets)

    @cached_property
    def usage(self) -> services.AsyncUsage:
        """Tokens used, and the limit on them."""
        return services.AsyncUsage(self._project, self._project.usage)

    @cached_property
    def features(self) -> services.AsyncFeatures:
        """The work queue of the project's agents."""
        return services.AsyncFeatures(self._project, self._project.features)

    @cached_property
    def schedules(self) -> services.AsyncSchedules:
        """When the project's agents run."""
        return services.AsyncSchedules(self._project, self._project.schedules)

    # --- identity ---

    @property
    def path(self) -> Path:
        """The resolved directory."""
        return self._project.path

    @property
    def name(self) -> str:
        """The name of the directory."""
        return self._project.name

    @property
    def settings(self) -> Settings:
        """How the project's files are kept."""
        return self._project.settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncProject) and other._project == self._project

    def __hash__(self) -> int:
        return hash(self._project)

    def __repr__(self) -> str:
        return f"Async{self._project!r}"

    # --- transactions, and whatever else ---

    def atomic(self, schema: Schema = assistant) -> AbstractAsyncContextManager[lanes.AsyncTransaction]:
        """Make one transaction of several calls, and a savepoint inside one: ``async with project.atomic():``.

        Other writers of the file wait until the block is left: do not await a model or a network inside.

        :raises DatabaseBusy: another writer kept the lock for longer than ``busy_timeout_ms``.
        """
        return lanes.transaction(self._project, schema)

    async def run(self, work: Callable[Concatenate[Project, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``work(project, *args, **kwargs)``, run in a thread: for models, transfer and your own tables.

        >>> import asyncio, tempfile
        >>> from peewee_conv.models import Message
        >>> def count(project):
        ...     with project:
        ...         return Message.select().count()
        >>> async def main(folder):
        ...     aurora = AsyncProject(folder)
        ...     print(await aurora.run(count))
        ...     await aurora.dispose()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        0
        """
        return await lanes.write(self._project, work, self._project, *args, **kwargs)

    async def exists(self) -> bool:
        """Say whether there is a data folder, as ``Project.exists`` does."""
        return await lanes.read(self._project, self._project.exists)

    async def database_path(self, schema: Schema = assistant) -> Path:
        """Return the path of a schema's file, which need not exist yet."""
        return await lanes.read(self._project, self._project.database_path, schema)

    async def check(self, schema: Schema = assistant) -> list[Problem]:
        """Return what is wrong with the file of *schema*, as ``Project.check`` does."""
        return await lanes.write(self._project, self._project.check, schema)

    async def repair(self, schema: Schema = assistant) -> Repair:
        """Mend what can be mended without loss, as ``Project.repair`` does."""
        return await lanes.write(self._project, self._project.repair, schema)

    async def health(self, schema: Schema = assistant) -> Health:
        """Return how the file of *schema* is kept, as ``Project.health`` does."""
        return await lanes.read(self._project, self._project.health, schema)

    async def backup(
        self, path: str | os.PathLike[str], schema: Schema = assistant, *, overwrite: bool = False
    ) -> Backup:
        """Copy the file of *schema* while it is in use, as ``Project.backup`` does."""
        return await lanes.read(self._project, self._project.backup, path, schema, overwrite=overwrite)

    async def restore(
        self, path: str | os.PathLike[str], schema: Schema = assistant, *, keep_old: bool = True
    ) -> Restored:
        """Put a backup in the place of the file of *schema*, as ``Project.restore`` does."""
        return await lanes.write(self._project, self._project.restore, path, schema, keep_old=keep_old)

    async def retain(
        self, *, dry_run: bool = False, on_progress: Callable[[int, int], object] | None = None, **rules: Unpack[Rules]
    ) -> Retention:
        """Prune and delete conversations by rules, and vacuum, as ``Project.retain`` does."""
        return await lanes.write(self._project, self._project.retain, dry_run=dry_run, on_progress=on_progress, **rules)

    async def dispose(self, timeout: float = 5.0) -> bool:
        """Close every handle of the project in this process, as ``Project.dispose`` does."""
        return await lanes.write(self._project, self._project.dispose, timeout)

    async def delete(self, timeout: float = 5.0) -> bool:
        """Dispose the project and delete its data, as ``Project.delete`` does."""
        return await lanes.write(self._project, self._project.delete, timeout)


def _path(path: str | os.PathLike[str] | Project) -> str | os.PathLike[str]:
    return path.path if isinstance(path, Project) else path


class AsyncProjects:
    """A root folder of many projects for asyncio, as :class:`~peewee_conv.Projects` is for threads.

    :param root: the folder; it is made with the first project.
    :param settings: for each project.
    """

    def __init__(self, root: str | os.PathLike[str], **settings: Any) -> None:
        self._projects = Projects(root, **settings)

    @property
    def path(self) -> Path:
        """The resolved root folder."""
        return self._projects.path

    async def get(self, name: str) -> AsyncProject:
        """Return the project of that name, as ``Projects.get`` does."""
        return AsyncProject(await self._read(self._projects.get, name))

    async def find(self, name: str) -> AsyncProject | None:
        """Return the project of that name, or ``None``."""
        found = await self._read(self._projects.find, name)
        return None if found is None else AsyncProject(found)

    async def list(self) -> list[str]:
        """Return the names of all projects, sorted."""
        return await self._read(self._projects.list)

    async def create(self, name: str) -> AsyncProject:
        """Make the directory of a new project and return the project, as ``Projects.create`` does."""
        return AsyncProject(await settled(write_in_thread(self._projects.create, name)))

    async def delete(self, name: str, timeout: float = 5.0) -> bool:
        """Delete a project's data, as ``Projects.delete`` does."""
        return await settled(write_in_thread(self._projects.delete, name, timeout))

    async def upgrade(
        self, *, dry_run: bool = False, on_progress: Callable[[int, int], object] | None = None
    ) -> UpgradeReport:
        """Bring every file of every project to the newest version, as ``Projects.upgrade`` does.

        :param on_progress: called in another thread.
        """
        return await settled(write_in_thread(self._projects.upgrade, dry_run=dry_run, on_progress=on_progress))

    async def _read(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await settled(read_in_thread(work, *args, **kwargs))

    def __repr__(self) -> str:
        return f"Async{self._projects!r}"
