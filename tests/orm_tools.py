"""What the tests of sessions share: sessions, objects to store, and the file as somebody else sees it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from peewee_conv.compat.feature_database import Feature, Schedule, SessionMaker, create_database, get_database_path
from peewee_conv.compat.orm_session import Session

#: Of a feature as a dictionary, in their order.
FEATURE_KEYS = [
    *("id", "priority", "category", "name", "description", "steps", "passes", "in_progress", "dependencies"),
    *("needs_human_input", "human_input_request", "human_input_response"),
]


@pytest.fixture
def maker(tmp_path: Path) -> SessionMaker:
    return create_database(tmp_path)[1]


@pytest.fixture
def session(maker: SessionMaker) -> Iterator[Session]:
    with maker() as session:
        yield session


@pytest.fixture
def stored(session: Session) -> Feature:
    """One feature that is committed."""
    found = feature(steps=["open"], dependencies=[2, 3])
    session.add(found)
    session.commit()
    return found


def feature(name: str = "Log in", **values: Any) -> Feature:
    """Return a feature that has what it needs."""
    return Feature(**{"category": "base", "name": name, "description": "", "steps": [], **values})


def schedule(**values: Any) -> Schedule:
    """Return a schedule that has what it needs."""
    return Schedule(**{"project_name": "aurora", "start_time": "22:00", "duration_minutes": 60, **values})


def column(tmp_path: Path, name: str = "name") -> list[Any]:
    """Return what is committed, as another process sees it."""
    with closing(sqlite3.connect(get_database_path(tmp_path))) as connection:
        return [value for (value,) in connection.execute(f"SELECT {name} FROM features ORDER BY id")]


def is_locked(tmp_path: Path) -> bool:
    with closing(sqlite3.connect(get_database_path(tmp_path), timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def in_thread(work: Callable[[], Any]) -> Any:
    """Return what *work* returns in another thread, or the error that it raises."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return found[0]
