"""What the tests of sessions share: objects to store, and the file as somebody else sees it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from peewee_conv.compat.feature_database import Feature, Schedule, get_database_path


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
