"""Which project stands for a database URL of SQLAlchemy, such as older applications are configured with.

``sqlite:///data/talks.db``, with or without a driver's name, stands for the project in ``data/talks.db.project``: next
to the file that the older application may have left, which is neither opened nor touched, and no other URL stands for
the same one. A database in memory stands for a private project in a temporary folder.

>>> folder_of("sqlite+aiosqlite:///./haia.db")
'./haia.db.project'
>>> folder_of("sqlite:////var/lib/haia.db?timeout=5")
'/var/lib/haia.db.project'
>>> folder_of("sqlite://") is None
True
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from typing import Any

from ..errors import ForeignDatabase, InvalidArgument
from ..project import Project

_URL = re.compile(r"sqlite(?:\+\w+)?://(?:/(?P<path>[^?]*))?(?:\?.*)?", re.DOTALL)
_ALLOWED = "the URL of a SQLite file, such as sqlite:///data/talks.db"

_private: dict[str, int] = {}  # the temporary folders, and the processes that they belong to


def chosen(url: str | None, default: str) -> str:
    """Return *url*, or where there is none what the environment says in ``DATABASE_URL``, or else *default*."""
    return url or os.environ.get("DATABASE_URL") or default


def folder_of(url: str) -> str | None:
    """Return the directory of the project that stands for *url*, or ``None`` for a database in memory.

    :raises InvalidArgument: it is no URL of SQLite. Its text is not repeated: other databases have passwords in it.
    """
    found = _URL.fullmatch(url) if isinstance(url, str) else None
    path = "" if found is None else found["path"] or ":memory:"
    if not path or path.startswith("file:"):
        raise InvalidArgument("database_url", "...", _ALLOWED)
    return None if path == ":memory:" else f"{path}.project"


def project_of(url: str, **settings: Any) -> Project:
    """Return the project that stands for *url*; each call for a database in memory makes another one.

    :param settings: as for :class:`~peewee_conv.Project`.
    :raises InvalidArgument: it is no URL of SQLite.
    """
    folder = folder_of(url)
    if folder is not None:
        return Project(folder, **settings)
    project = Project(tempfile.mkdtemp(prefix="peewee_conv-"), **settings)
    _private[str(project.path)] = os.getpid()
    return project


def refuse_leftover(folder: str) -> None:
    """Refuse to begin anew where an older application has kept its data. The file is only looked at by its path.

    :raises ForeignDatabase: it has; the text says how to adopt it.
    """
    old = folder.removesuffix(".project")
    if os.path.isfile(old) and os.path.getsize(old):
        detail = f"an older application's data is here: run 'peewee-conv adopt {old} --into {folder}'"
        raise ForeignDatabase(old, detail)


def close(project: Project, timeout: float = 5.0) -> bool:
    """Dispose *project*, and delete it if it stands for a database in memory; return whether anything was open."""
    was_open = project.dispose(timeout)
    folder = str(project.path)
    if _private.pop(folder, None) == os.getpid():  # a forked child leaves it to its parent
        shutil.rmtree(folder, ignore_errors=True)
    return was_open


@atexit.register
def _close_all() -> None:
    for folder, owner in list(_private.items()):
        if owner == os.getpid():
            close(Project(folder), 0.0)
