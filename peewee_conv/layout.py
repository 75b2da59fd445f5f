"""Moves the databases of an old project layout into the data folder of this package (D04).

Readers and writers may be active. Writers wait while the file is copied, by SQLite's own API, and verified; when the
old file goes, whoever still has it open gets ``DatabaseGone`` for a write, which is then not acknowledged, and finds
the new file with the next call.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing

from . import drafts, paths
from .database import files
from .database.faults import translate
from .database.handle import Handle
from .errors import DatabaseCorrupt
from .project import Project
from .schemas import assistant, features
from .settings import Settings

logger = logging.getLogger("peewee_conv")


def move_layout(project: Project) -> list[str]:
    """Move what is in ``.autoforge/``, ``.autocoder/`` or the project directory; return a line for each moved file.

    A file of an older application is upgraded first. Call it again after an error: what was moved stays moved.

    :raises DatabaseBusy: another writer kept the lock for longer than ``busy_timeout_ms``.
    """
    moved: list[str] = []
    for schema in (assistant, features):
        source = str(project.database_path(schema))
        target = paths.database_path(str(project.path), schema.name, project._binding.settings.data_dir)
        if source == target or paths.identity(source) is None:
            continue
        Handle(project._binding, schema).read(_touch)
        writer = project._binding.database(schema).writer
        try:
            writer.acquire(moved)  # in the queue of this process's writers, whom SQLite would let pass for ever
            _move(project, source, target)
        except (sqlite3.Error, OSError) as error:
            raise translate(error, source) from error
        finally:
            writer.release(moved)
        moved.append(f"{os.path.relpath(source, project.path)} -> {os.path.relpath(target, project.path)}")
        logger.info("%s moved to %s", source, target)
    return moved


def _touch(connection: sqlite3.Connection) -> None:
    """Open the file the ordinary way, which upgrades it."""


def _move(project: Project, source: str, target: str) -> None:
    settings = project._binding.settings
    paths.make_data_folder(os.path.dirname(target))
    with closing(files.connect(source, settings)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # from here on nobody else writes to the old file
        with drafts.draft_of(target, overwrite=False) as draft:
            _copy(source, draft, settings)
        # Still under the lock: whoever waits for it writes into a file without a name, notices, and reports that.
        paths.remove_database(source)
        connection.execute("ROLLBACK")


def _copy(source: str, draft: str, settings: Settings) -> None:
    with closing(files.connect(source, settings)) as reader, closing(sqlite3.connect(draft)) as copy:
        reader.backup(copy)
        if copy.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise DatabaseCorrupt(source, "the copy of the file is not sound")
