"""Which projects a viewer shows, by name; and that looking at one neither makes nor upgrades a file."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from .. import paths
from ..database.schema import Schema
from ..errors import (
    DatabaseBusy,
    InvalidArgument,
    InvalidProjectName,
    PeeweeConvError,
    ProjectInUse,
    ProjectNotFound,
)
from ..health import health
from ..maintenance import migration_status
from ..project import Project, Projects
from ..schemas import assistant, features

#: What a viewer shows: a root of projects, one project, or several.
Shown: TypeAlias = Projects | Project | Iterable[Project]

_PER_PAGE = 100


class NothingStored(PeeweeConvError):
    """The project has no file yet of what was asked for; the viewer makes none."""

    def __init__(self, project: str) -> None:
        self.project = project
        super().__init__(f"nothing of this kind is stored in project {project!r} yet")


class NeedsUpgrade(PeeweeConvError):
    """The file is older than this release; looking at it must not change it."""

    def __init__(self, path: str, found: int, known: int) -> None:
        self.path, self.found, self.known = path, found, known
        super().__init__(
            f"{path} has schema version {found} and this release reads {known}: the viewer upgrades nothing, so run"
            " 'peewee-conv migrate up', or let the application open it"
        )


class Volume(NamedTuple):
    """What can be said of a project without opening it.

    :ivar size: bytes of its files; 0 if it has none yet.
    :ivar changed_at: when one of them was last written to.
    """

    name: str
    path: str
    size: int
    changed_at: datetime | None


class Shelf:
    """The projects of one viewer.

    >>> Shelf([Project("projects/aurora"), Project("tests/aurora")]).names()
    ['aurora', 'aurora-2']
    """

    def __init__(self, shown: Shown) -> None:
        self._root = shown if isinstance(shown, Projects) else None
        self._projects: dict[str, Project] = {}
        # Files that were found to be of today's schema, and when they had changed last: looking costs some queries.
        self._current: dict[str, tuple[int, int, int]] = {}
        if not isinstance(shown, Projects):
            for project in _checked(shown):
                self._projects[self._free_name(project.name or "root")] = project

    def _free_name(self, name: str) -> str:
        number, free = 1, name
        while free in self._projects:
            number += 1
            free = f"{name}-{number}"
        return free

    def names(self) -> list[str]:
        """Return the names of all projects; those of a root sorted, others in the order given."""
        return self._root.list() if self._root is not None else list(self._projects)

    def get(self, name: str) -> Project:
        """Return the project of that name.

        :raises ProjectNotFound: none has it, or could have it.
        """
        if self._root is not None:
            try:
                return self._root.get(name)
            except (InvalidProjectName, InvalidArgument):  # the latter: a link that leads elsewhere
                raise ProjectNotFound(name) from None
        if name not in self._projects:
            raise ProjectNotFound(name)
        if self._projects[name]._binding.is_disposed:  # by the application, which goes on with another object
            self._projects[name] = _again(self._projects[name])
        return self._projects[name]

    def volumes(self, after: str | None = None) -> tuple[list[Volume], str | None]:
        """Return a page of projects, with what their files tell from outside, and the name after which to go on."""
        names = self.names()
        start = 0 if after is None else self._place_behind(after, names)
        shown = names[start : start + _PER_PAGE]
        following = shown[-1] if start + _PER_PAGE < len(names) else None
        found = []
        for name in shown:
            with suppress(ProjectNotFound):  # deleted meanwhile
                found.append(_volume(name, self.get(name)))
        return found, following

    def _place_behind(self, name: str, names: list[str]) -> int:
        if self._root is not None:
            return bisect_right(names, name)  # it may have been deleted since the page before
        return names.index(name) + 1 if name in names else len(names)

    def check(self, project: Project, schema: Schema) -> None:
        """Make sure that reading the file of *schema* changes nothing about it.

        :raises NothingStored: there is no file.
        :raises NeedsUpgrade: opening it would upgrade it.
        """
        path = str(project.database_path(schema))
        stamp = _stamp(path)
        if stamp is None:
            raise NothingStored(project.name)
        if self._current.get(path) == stamp:
            return
        if not _is_current(project, schema):
            found = health(project, schema)  # which says what is wrong, but counts all rows
            if found.pending:
                raise NeedsUpgrade(path, found.schema_version, found.schema_head)
        self._current[path] = stamp


def _checked(shown: Project | Iterable[Project]) -> list[Project]:
    projects = [shown] if isinstance(shown, Project) else list(shown) if isinstance(shown, Iterable) else []
    if not projects or not all(isinstance(project, Project) for project in projects):
        raise InvalidArgument("projects", shown, "a Projects root, a Project, or several of them")
    return projects


def _again(project: Project) -> Project:
    """Return a new object for a project that was disposed, with its settings unless it has others by now."""
    try:
        return Project(project.path, **project._binding.settings._asdict())
    except ProjectInUse:
        return Project(project.path)


def _stamp(path: str) -> tuple[int, int, int] | None:
    """Return what changes when the file does, if only once its log is written back; ``None`` if there is none.

    The inode alone does not: a backup that is put in the place of a file may get the number that this had.
    """
    identity = paths.identity(path)
    try:
        return None if identity is None else (*identity, os.stat(path).st_ctime_ns)
    except FileNotFoundError:
        return None


def _is_current(project: Project, schema: Schema) -> bool:
    try:
        status = migration_status(project, schema)
    except DatabaseBusy:
        raise
    except PeeweeConvError:
        return False
    return status.version == status.head


def _volume(name: str, project: Project) -> Volume:
    found = list(_files(project))
    changed = max((each.st_mtime for each in found), default=None)
    changed_at = None if changed is None else datetime.fromtimestamp(changed, UTC)
    return Volume(name, str(project.path), sum(each.st_size for each in found), changed_at)


def _files(project: Project) -> Iterator[os.stat_result]:
    for path in (str(project.database_path(schema)) for schema in (assistant, features)):
        for name in (path, path + "-wal"):
            with suppress(OSError):  # it need not be there, and may go at any time
                yield os.stat(name)
