"""Bring every project of a root up to date, instead of leaving each to its next open.

Ordinary use needs none of this. It is for who wants to know at a deployment, not at the first request, that all files
can be upgraded, and for roots whose projects are opened rarely. Only files that exist are touched.

>>> import tempfile
>>> from peewee_conv import Projects
>>> with tempfile.TemporaryDirectory() as folder:
...     projects = Projects(folder)
...     talk = projects.create("aurora").conversations.create()
...     [(each.project, each.state) for each in projects.upgrade().files]
...     projects.delete("aurora")
[('aurora', 'current')]
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from . import maintenance, paths
from .errors import PeeweeConvError
from .schemas import assistant, features

if TYPE_CHECKING:
    from .database.schema import Schema
    from .project import Project, Projects

State = Literal["current", "upgraded", "pending", "failed"]
#: ``on_progress(done, total)``, in projects.
Progress = Callable[[int, int], object]

BUNDLED: Final = (assistant, features)


class FileUpgrade(NamedTuple):
    """What came of one file.

    :ivar schema: the name of the schema; the empty text if the project itself failed.
    :ivar state: ``"current"``, ``"upgraded"``, ``"pending"`` (a dry run found that it is due) or ``"failed"``.
    :ivar version: the version from before, and ``head`` the newest one; both 0 where they could not be read.
    :ivar error: why it failed, in one sentence.
    """

    project: str
    schema: str
    state: State
    version: int
    head: int
    error: str | None = None


class UpgradeReport(NamedTuple):
    """What came of all projects.

    :ivar projects: how many the root has.
    :ivar files: each file that exists, in the order of the projects.
    """

    projects: int
    files: list[FileUpgrade]

    @property
    def failed(self) -> list[FileUpgrade]:
        """The files that could not be upgraded."""
        return self.in_state("failed")

    def in_state(self, state: State) -> list[FileUpgrade]:
        """Return the files in that state."""
        return [file for file in self.files if file.state == state]

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return {"projects": self.projects, "files": [file._asdict() for file in self.files]}


def upgrade(
    projects: Projects,
    *,
    schemas: Iterable[Schema] = BUNDLED,
    dry_run: bool = False,
    on_progress: Progress | None = None,
) -> UpgradeReport:
    """Bring the files of every project to the newest version, one after the other, and go on after a failure.

    Several processes may do this at once: each file is upgraded once. Projects stay usable meanwhile.

    :param schemas: whose files; those that this package ships, if left out.
    :param dry_run: only tell what is due. Nothing is written.
    :param on_progress: called with the projects done and their number.
    """
    names, wanted = projects.list(), tuple(schemas)
    found: list[FileUpgrade] = []
    for done, name in enumerate(names, 1):
        found += _project(projects, name, wanted, dry_run=dry_run)
        if on_progress is not None:
            on_progress(done, len(names))
    return UpgradeReport(len(names), found)


def _project(projects: Projects, name: str, schemas: tuple[Schema, ...], *, dry_run: bool) -> Iterator[FileUpgrade]:
    try:
        project = projects.find(name)
    except PeeweeConvError as error:
        yield FileUpgrade(name, "", "failed", 0, 0, str(error))
        return
    if project is None:  # deleted meanwhile
        return
    for schema in schemas:
        try:
            if paths.identity(str(project.database_path(schema))) is not None:
                yield _file(project, name, schema, dry_run=dry_run)
        except PeeweeConvError as error:
            yield FileUpgrade(name, schema.name, "failed", 0, 0, str(error))


def _file(project: Project, name: str, schema: Schema, *, dry_run: bool) -> FileUpgrade:
    status = maintenance.migration_status(project, schema)
    state: State = "current"
    version = status.version
    if version < status.head and dry_run:
        state = "pending"
    elif version < status.head:
        try:
            applied = maintenance.upgrade(project, schema)
        except PeeweeConvError as error:
            return FileUpgrade(name, schema.name, "failed", version, status.head, str(error))
        # Another process may have been faster.
        state, version = ("upgraded" if applied else "current"), status.head - len(applied)
    return FileUpgrade(name, schema.name, state, version, status.head)
