"""The front door: a project, its services, its files; and a root folder of many projects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property

from . import paths
from .database.cache import cache
from .database.faults import translate
from .database.handle import Handle
from .database.schema import Schema
from .database.scope import Scope, leave
from .database.transactions import Transaction
from .errors import AlreadyExists, InvalidArgument, ProjectNotFound
from .schemas import assistant, features
from .services.conversations import Conversations
from .settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Unpack

    from .backup import Backup, Restored
    from .health import Health, Repair
    from .health_checks import Problem
    from .retention import Retention, Rules
    from .services.accounts import Accounts
    from .services.assistants import Assistants
    from .services.datasets import Datasets
    from .services.features import Features
    from .services.schedules import Schedules
    from .services.usage import Usage
    from .upgrades import UpgradeReport

_OLD_PLACES = (assistant, features)  # the schemas whose files may lie where an older application kept them


class Project:
    """One project: a directory with one SQLite file for each schema, made and upgraded on first use.

    :param path: the directory; it need not exist yet. Projects are equal by resolved path.
    :param settings: the fields of :class:`~peewee_conv.settings.Settings`, such as ``durability="normal"``. What is
        left out is as this process already uses the project, or else the default.
    :raises InvalidArgument: the path or a setting is not allowed.
    :raises ProjectInUse: this process uses the project with other settings; call :meth:`dispose` first.

    Constructing one is cheap and opens nothing. Any number of threads may share it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     aurora = Project(folder)
    ...     talk = aurora.conversations.create(title="Outlook")
    ...     aurora.conversations.list()[0].title
    ...     aurora.dispose()
    'Outlook'
    True
    """

    def __init__(self, path: str | os.PathLike[str], **settings: Any) -> None:
        self._root = paths.project_root(path)
        self._binding = cache.bind(self._root, settings)
        self.conversations = Conversations(Handle(self._binding, assistant))

    # The other services are imported when they are first asked for: a chat server starts faster without them.

    @cached_property
    def assistants(self) -> Assistants:
        """Assistants, whose conversations go with them."""
        from .services.assistants import Assistants

        return Assistants(Handle(self._binding, assistant))

    @cached_property
    def accounts(self) -> Accounts:
        """Users, sessions, referral keys."""
        from .services.accounts import Accounts

        return Accounts(Handle(self._binding, assistant))

    @cached_property
    def datasets(self) -> Datasets:
        """Data files that conversations work with."""
        from .services.datasets import Datasets

        return Datasets(Handle(self._binding, assistant))

    @cached_property
    def usage(self) -> Usage:
        """Tokens used, and the limit on them."""
        from .services.usage import Usage

        return Usage(Handle(self._binding, assistant))

    @cached_property
    def features(self) -> Features:
        """The work queue of the project's agents."""
        from .services.features import Features

        return Features(Handle(self._binding, features))

    @cached_property
    def schedules(self) -> Schedules:
        """When the project's agents run."""
        from .services.schedules import Schedules

        return Schedules(Handle(self._binding, features), self.name)

    # --- identity ---

    @property
    def path(self) -> Path:
        """The resolved directory."""
        from pathlib import Path

        return Path(self._root)

    @property
    def name(self) -> str:
        """The name of the directory."""
        return os.path.basename(self._root)

    @property
    def settings(self) -> Settings:
        """How the project's files are kept."""
        return self._binding.settings

    def database_path(self, schema: Schema = assistant) -> Path:
        """Return the path of a schema's file, which need not exist yet."""
        from pathlib import Path

        return Path(self._binding.path(schema))

    def exists(self) -> bool:
        """Say whether there is a data folder, which the first call of a service makes, or a file in an old place."""
        folder = os.path.join(self._root, self._binding.settings.data_dir)
        return os.path.isdir(folder) or any(os.path.isfile(self._binding.path(schema)) for schema in _OLD_PLACES)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Project) and other._root == self._root

    def __hash__(self) -> int:
        return hash(self._root)

    def __repr__(self) -> str:
        return f"Project({self._root!r})"

    # --- scopes and transactions ---

    def __enter__(self) -> Project:
        """Bind the models to this project, in this thread or task only, until the block is left."""
        Scope(self._binding).__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        leave(self._binding)

    def scope(self) -> Scope:
        """Return a scope as an object, for frameworks that leave it elsewhere than they entered it.

        Its ``close()`` returns the connections from any thread.
        """
        return Scope(self._binding)

    @contextmanager
    def atomic(self, schema: Schema = assistant) -> Iterator[Transaction]:
        """Make one ``BEGIN IMMEDIATE`` transaction of several calls, and a savepoint inside one.

        A transaction covers one file: that of *schema*. Do not ``await`` inside.

        :raises DatabaseBusy: another writer kept the lock for longer than ``busy_timeout_ms``.
        """
        with (
            Scope(self._binding),
            Transaction(lambda: self._binding.lease(schema)) as transaction,
        ):
            yield transaction

    # --- health and copies: see the modules of these names ---

    def check(self, schema: Schema = assistant) -> list[Problem]:
        """Return what is wrong with the file of *schema*; an empty list if nothing is. Reads all of it.

        :raises DatabaseBusy: somebody else has locked the file for too long.
        """
        from . import health

        return health.check(self, schema)

    def repair(self, schema: Schema = assistant) -> Repair:
        """Mend what can be mended without loss, after a backup; return what was, and what is left."""
        from . import health

        return health.repair(self, schema)

    def health(self, schema: Schema = assistant) -> Health:
        """Return how the file of *schema* is kept: its sizes, journal mode, schema version and counts. Changes nothing.

        :raises DatabaseCorrupt: the file cannot be read.
        """
        from . import health

        return health.health(self, schema)

    def backup(self, path: str | os.PathLike[str], schema: Schema = assistant, *, overwrite: bool = False) -> Backup:
        """Copy the file of *schema* to *path* while it is in use, as it is at one moment, and check the copy.

        :raises AlreadyExists: there is a file, and *overwrite* is false.
        """
        from .backup import backup

        return backup(self, path, schema=schema, overwrite=overwrite)

    def restore(self, path: str | os.PathLike[str], schema: Schema = assistant, *, keep_old: bool = True) -> Restored:
        """Dispose the project and put the backup at *path* in the place of its file of *schema*, after checking it.

        :raises DatabaseBusy: another process, or a thread of this one, has the file open.
        :raises ForeignDatabase: it is no backup of that schema.
        """
        from .backup import restore

        return restore(self, path, schema=schema, keep_old=keep_old)

    def retain(
        self, *, dry_run: bool = False, on_progress: Callable[[int, int], object] | None = None, **rules: Unpack[Rules]
    ) -> Retention:
        """Prune and delete conversations by rules such as ``prune=1000`` or ``inactive_days=90``, and vacuum.

        :param dry_run: only tell what a run would do.
        :raises InvalidArgument: there is no rule, or a value is not allowed.
        """
        from .retention import retain

        return retain(self, dry_run=dry_run, on_progress=on_progress, **rules)

    # --- the end ---

    def dispose(self, timeout: float = 5.0) -> bool:
        """Close every handle of the project in this process; return whether any was open.

        Waits up to *timeout* seconds for calls and scopes of other threads. Whoever still uses an object made before
        gets ``ProjectDisposed``; a project constructed afterwards starts clean.

        :raises ProjectInUse: called inside a transaction of the project.
        """
        return cache.dispose(self._binding, timeout)

    def delete(self, timeout: float = 5.0) -> bool:
        """Dispose the project and delete its data folder with all our files; return whether there was one.

        Files in the places of older applications go too. Other files stay, and so does a data folder that has any.
        Other processes that have it open get ``DatabaseGone``.
        """
        from .database import removal
        from .legacy import places

        self.dispose(timeout)
        found = removal.remove_folder(os.path.join(self._root, self._binding.settings.data_dir))
        return any([found, *(places.remove(self._root, schema) for schema in _OLD_PLACES)])


class Projects:
    """A root folder of many projects. Names are checked here; nothing leaves the root.

    :param root: the folder; it is made with the first project.
    :param settings: for each project, as for :class:`Project`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     projects = Projects(folder)
    ...     aurora = projects.create("aurora")
    ...     projects.list()
    ...     projects.delete("aurora"), projects.delete("aurora")
    ['aurora']
    (True, False)
    """

    def __init__(self, root: str | os.PathLike[str], **settings: Any) -> None:
        self._root = paths.project_root(root)
        Settings.of(**settings)
        self._settings = settings

    @property
    def path(self) -> Path:
        """The resolved root folder."""
        from pathlib import Path

        return Path(self._root)

    def get(self, name: str) -> Project:
        """Return the project of that name.

        :raises InvalidProjectName: the name is not allowed.
        :raises ProjectNotFound: there is none.
        """
        found = self.find(name)
        if found is None:
            raise ProjectNotFound(name)
        return found

    def find(self, name: str) -> Project | None:
        """Return the project of that name, or ``None``.

        :raises InvalidProjectName: the name is not allowed.
        """
        path = self._path(name)
        return Project(path, **self._settings) if os.path.isdir(path) else None

    def list(self) -> list[str]:
        """Return the names of all projects, sorted: every directory below the root whose name is allowed."""
        try:
            names = os.listdir(self._root)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise translate(error, self._root) from error
        return sorted(name for name in names if self._is_project(name))

    def create(self, name: str) -> Project:
        """Make the directory of a new project and return the project.

        :raises InvalidProjectName: the name is not allowed.
        :raises AlreadyExists: there is one of that name, perhaps in another case.
        """
        path = self._path(name)
        try:
            paths.make_folder(self._root)
            if name.lower() in (other.lower() for other in os.listdir(self._root)):
                raise AlreadyExists("project", name)
            os.mkdir(path)
            paths.sync(self._root)
        except OSError as error:
            if isinstance(error, FileExistsError) and os.path.isdir(path):  # made by another process meanwhile
                raise AlreadyExists("project", name) from None
            raise translate(error, self._root) from error
        return Project(path, **self._settings)

    def delete(self, name: str, timeout: float = 5.0) -> bool:
        """Delete a project's data, and its directory if nothing else is in it; return whether there was one."""
        project = self.find(name)
        if project is None:
            return False
        project.delete(timeout)
        with suppress(OSError):  # the application's own files live here too
            os.rmdir(self._path(name))
            paths.sync(self._root)
        return True

    def upgrade(
        self, *, dry_run: bool = False, on_progress: Callable[[int, int], object] | None = None
    ) -> UpgradeReport:
        """Bring every file of every project to the newest version and go on after a failure: see the report.

        :param dry_run: only tell what is due; nothing is written.
        :param on_progress: called with the projects done and their number.
        """
        from .upgrades import upgrade

        return upgrade(self, dry_run=dry_run, on_progress=on_progress)

    def _path(self, name: str) -> str:
        path = os.path.join(self._root, paths.check_project_name(name))
        if os.path.realpath(path) != path:
            raise InvalidArgument("name", name, "a project below the root, but a link leads elsewhere")
        return path

    def _is_project(self, name: str) -> bool:
        try:
            return os.path.isdir(self._path(name))
        except (ValueError, OSError):
            return False

    def __repr__(self) -> str:
        return f"Projects({self._root!r})"
