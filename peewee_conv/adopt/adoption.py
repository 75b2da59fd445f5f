"""Copying a foreign database into a project: recognise it, then copy it table by table."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final, NamedTuple

from .. import arguments, paths
from ..database.handle import Handle
from ..database.schema import Schema
from ..drafts import path_of
from ..errors import InvalidArgument, SourceNotRecognised
from ..project import Project
from ..schemas import assistant, features
from ..versions import APPLICATION_ID
from . import autoforge, chatdf, haia, sovereign
from .ledger import Ledger
from .plan import Context, Progress, Step
from .report import Adopted
from .source import Source, opened

logger = logging.getLogger("peewee_conv")

_BOOKKEEPING: Final = ("alembic_version",)  # of tools that nobody needs here


class System(NamedTuple):
    """A system whose databases are known."""

    name: str
    schema: Schema
    recognises: Callable[[Source], bool]
    steps: Callable[[Context], list[Step]]


SYSTEMS: Final = (
    System(autoforge.NAME, features, autoforge.has_features, autoforge.feature_steps),
    System(autoforge.NAME, assistant, autoforge.has_conversations, autoforge.conversation_steps),
    System(sovereign.NAME, assistant, sovereign.recognises, sovereign.steps),
    System(chatdf.NAME, assistant, chatdf.recognises, chatdf.steps),
    System(haia.NAME, assistant, haia.recognises, haia.steps),
)


def adopt(
    source: str | os.PathLike[str], project: Project, *, on_progress: Progress | None = None, batch: int = 500
) -> Adopted:
    """Copy a database of AutoForge, Sovereign Assistant, HAIA or ChatDF into a project, and say what became of it.

    The source is recognised by its tables and columns, and only read: nothing is written to it or beside it, and it
    may be in use. What the project cannot hold is written to ``<name of the source>.rejected.jsonl`` in the data folder
    of the project, with the reasons. Doing it again changes nothing, finishes what was interrupted, and copies what the
    source has got since.

    :param source: the file.
    :param project: the project, which need not exist yet; others may use it meanwhile.
    :param on_progress: called with the rows done and their number.
    :param batch: rows of one transaction, 1 to 100000: other writers wait for no more.
    :raises InvalidArgument: there is no such file, it is the project's own, or *project* is no project.
    :raises SourceNotRecognised: it is the database of something else; nothing was written.
    :raises DatabaseCorrupt: it is no database, or damaged; nothing was written.
    :raises DatabaseBusy: a writer kept the source or the project locked for too long.

    >>> import sqlite3, tempfile
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     old = sqlite3.connect(f"{folder}/haia.db")
    ...     old.executescript('''
    ...         CREATE TABLE conversations (id INTEGER PRIMARY KEY, created_at DATETIME, updated_at DATETIME);
    ...         CREATE TABLE messages (id INTEGER PRIMARY KEY, conversation_id INTEGER, role VARCHAR(20), content TEXT,
    ...             created_at DATETIME);
    ...         INSERT INTO conversations VALUES (7, '2026-01-02 03:04:05.000000', '2026-01-02 03:04:06.000000');
    ...         INSERT INTO messages VALUES (1, 7, 'user', 'Dim the lights.', '2026-01-02 03:04:06.000000');
    ...     ''').close()
    ...     old.close()
    ...     project = Project(f"{folder}/project")
    ...     report = adopt(f"{folder}/haia.db", project)
    ...     report.system, report.tables["messages"].copied
    ...     project.conversations.get("7").title
    ...     adopt(f"{folder}/haia.db", project).is_unchanged
    ...     project.dispose()
    ('HAIA', 1)
    'Dim the lights.'
    True
    True
    """
    arguments.whole("batch", batch, 1, 100_000)
    if not isinstance(project, Project):
        raise InvalidArgument("project", project, "a Project")
    _refuse_own(source, project)
    with opened(source, project._binding.settings.busy_timeout_ms) as found:
        return _copy(found, project, batch, on_progress)


def _refuse_own(source: object, project: Project) -> None:
    path = path_of("source", source)
    own = [str(project.database_path(schema)) for schema in (assistant, features)]
    if os.path.isfile(path) and paths.identity(path) in [paths.identity(each) for each in own]:
        raise InvalidArgument("source", source, "another file: this one is the project's own, which opening upgrades")


def recognise(source: Source) -> System:
    """Return the system that a database is of.

    :raises SourceNotRecognised: it is none of them.
    """
    if source.value("PRAGMA application_id") == APPLICATION_ID:
        raise SourceNotRecognised(source.path, "this is a database of peewee_conv: export it, then import that")
    for system in SYSTEMS:
        if system.recognises(source):
            return system
    raise SourceNotRecognised(source.path, "its tables are those of no system that is known here")


def _copy(source: Source, project: Project, batch: int, on_progress: Progress | None) -> Adopted:
    system = recognise(source)
    folder = os.path.join(project._root, project._binding.settings.data_dir)
    ledger = Ledger(folder, source.path)
    handle = Handle(project._binding, system.schema)
    context = Context(source, ledger, handle, project.conversations, batch, on_progress)
    steps = system.steps(context)
    ledger.open({table: source.count(table) for step in steps for table in step.tables})
    for step in steps:
        step.run(context)
    rejects, noted = ledger.close()
    left = _left(source, ledger)
    report = Adopted(system.name, source.path, ledger.counts(), ledger.moved, noted, left, rejects)
    logger.info("%s was adopted: %s", source.path, report.tables)
    return report


def _left(source: Source, ledger: Ledger) -> dict[str, int]:
    """Return the tables that were not copied, with their rows."""
    others = [table for table in source.tables() if table not in ledger.counts() and table not in _BOOKKEEPING]
    return {table: source.count(table) for table in others}
