"""AutoForge's ``api.database`` and ``api.migration``: the same names over this package.

>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     engine, SessionLocal = create_database(Path(folder))
...     with atomic_transaction(SessionLocal) as session:
...         session.add(Feature(category="base", name="Log in", description="", steps=["open"], dependencies=[]))
...     with SessionLocal() as session:
...         session.query(Feature).filter(Feature.passes == False).first().to_dict()["name"]
...     dispose_engine(Path(folder))
'Log in'
True

Sessions are those of :mod:`peewee_conv.compat.orm_session`; ``func``, ``text``, ``case``, ``and_`` and ``or_`` stand in
for those of SQLAlchemy.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..database.handle import Handle
from ..errors import DatabaseFailure, InvalidArgument, PeeweeConvError
from ..feature_transfer import EXPORT_NAME, FILE_NAME, export_features, import_features
from ..project import Project
from ..schemas import features as schema
from .feature_database_models import Base as Base
from .feature_database_models import Feature as Feature
from .feature_database_models import Schedule as Schedule
from .feature_database_models import ScheduleOverride as ScheduleOverride
from .orm_columns import and_ as and_
from .orm_columns import case as case
from .orm_columns import func as func
from .orm_columns import or_ as or_
from .orm_columns import text as text
from .orm_session import Session
from .sessions import Engine as Engine

logger = logging.getLogger("peewee_conv")


class SessionMaker:
    """What :func:`create_database` returns as ``SessionLocal``: call it for a session."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self) -> Session:
        """Return a new session; it opens nothing before it is used."""
        return Session(self._engine.project, schema)


_created: dict[str, tuple[Engine, SessionMaker]] = {}
_lock = threading.Lock()
_session_maker: Callable[[], Session] | None = None


def get_database_path(project_dir: str | os.PathLike[str]) -> Path:
    """Return where ``features.db`` of a project is, or will be; makes nothing (D04)."""
    return Project(project_dir).database_path(schema)


def get_database_url(project_dir: str | os.PathLike[str]) -> str:
    """Return ``sqlite:///`` and the path, with forward slashes on every system (D04)."""
    return f"sqlite:///{get_database_path(project_dir).as_posix()}"


def create_database(project_dir: str | os.PathLike[str]) -> tuple[Engine, SessionMaker]:
    """Make or upgrade the database of a project where needed, and return engine and session maker (D08).

    For one resolved path it is the same pair until :func:`dispose_engine`, from any number of threads.

    :raises DatabaseFailure: the file cannot be opened, made or upgraded.
    """
    project = Project(project_dir)
    root = str(project.path)
    found = _created.get(root)
    if found is not None:
        return found
    Handle(project._binding, schema).read(_touch)
    engine = Engine(project, get_database_url(root))
    with _lock:
        return _created.setdefault(root, (engine, SessionMaker(engine)))


def _touch(connection: object) -> None:
    """Open the file the ordinary way, which makes and upgrades it."""


def dispose_engine(project_dir: str | os.PathLike[str]) -> bool:
    """Close every handle on the project's files; return whether :func:`create_database` had been called for it."""
    project = Project(project_dir)
    with _lock:
        found = _created.pop(str(project.path), None)
    project.dispose()  # also what a session has opened again since
    return found is not None


# --- sessions ---


def set_session_maker(session_maker: Callable[[], Session]) -> None:
    """Choose what :func:`get_db` makes its sessions with."""
    global _session_maker
    _session_maker = session_maker


def get_db() -> Iterator[Session]:
    """Yield a session; roll back if the caller fails, and close it in the end. Commits nothing (D09).

    :raises RuntimeError: :func:`set_session_maker` was not called.
    """
    if _session_maker is None:
        raise RuntimeError("Database not initialized. Call set_session_maker first.")
    with _session_maker() as session:
        yield session  # closing rolls back


@contextmanager
def atomic_transaction(session_maker: Callable[[], Session]) -> Iterator[Session]:
    """Yield a session that has the lock for writing: what is read in it stays true until the commit at the end (D06).

    An error rolls back and goes on to the caller (D09).
    """
    with session_maker() as session:
        session.begin_write()
        yield session
        session.commit()


# --- feature_list.json ---


def migrate_json_to_sqlite(project_dir: str | os.PathLike[str], session_maker: Callable[[], Session]) -> bool:
    """Import ``feature_list.json`` of a directory into an empty database and move the file away (D10).

    Keys that no feature has are left out. Return whether that was done; why not is in the log.
    """
    source = Path(project_dir) / FILE_NAME
    try:
        done = import_features(session_maker().project, source, ignore_unknown=True)
    except PeeweeConvError as error:
        logger.warning("%s was not imported: %s", source, error)
        return False
    if done.outcome == "not empty":
        logger.info("%s was not imported: the database has features", source)
    return done.outcome == "imported"


def export_to_json(
    project_dir: str | os.PathLike[str],
    session_maker: Callable[[], Session],
    output_file: str | os.PathLike[str] | None = None,
) -> Path:
    """Write all features by priority and id to a file and return its path (D11).

    :param output_file: ``feature_list_export.json`` of the directory if left out.
    :raises OSError: the folder is missing, a folder is in the place of the file, or it cannot be written.
    """
    target = Path(project_dir) / EXPORT_NAME if output_file is None else Path(output_file)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    try:
        export_features(session_maker().project, target)
    except (DatabaseFailure, InvalidArgument) as failure:  # of a name that is too long it is the argument
        if isinstance(failure.__cause__, OSError):
            raise failure.__cause__ from None
        raise
    return target
