"""Something to back up, and looks into the copies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from peewee_conv import Project

Maker = Callable[..., Project]


def fill(project: Project) -> Project:
    """A project with one conversation, "c", of one message."""
    project.conversations.create(id="c")
    project.conversations.add_message("c", "user", "before the backup")
    return project


@pytest.fixture
def filled(project: Project) -> Project:
    return fill(project)


def contents_of(project: Project) -> list[str]:
    return [message.content for message in project.conversations.iterate("c")]


def query(path: Path, sql: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


def damage(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    with open(path, "r+b") as file:
        file.seek((page - 1) * 8192)
        file.write(b"\xff" * 200)
