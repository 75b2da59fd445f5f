"""SQLite may answer a change of the journal mode with another one, and no error: that is noticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from peewee_conv.database.files import Connection, configure
from peewee_conv.errors import DatabaseIOError
from peewee_conv.settings import Settings


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "assistant.db")


@pytest.fixture
def without_shared_memory(path: str) -> Iterator[Connection]:
    """A connection through a system layer of SQLite that cannot do WAL, as some file systems cannot."""
    uri = f"file:{path}?vfs=unix-none"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, factory=Connection)) as connection:
        connection.execute("CREATE TABLE talk (id INTEGER PRIMARY KEY)")
        yield connection


def test_sqlite_refuses_wal_without_an_error(without_shared_memory: Connection) -> None:
    assert without_shared_memory.execute("PRAGMA journal_mode = wal").fetchone() == ("delete",)


def test_a_refused_journal_mode_is_an_error_that_names_both(without_shared_memory: Connection, path: str) -> None:
    settings = Settings.of(journal_mode="wal", busy_timeout_ms=50)

    with pytest.raises(DatabaseIOError, match="journal mode 'wal' was refused, the file stays in 'delete'"):
        configure(without_shared_memory, path, settings, "wal")


def test_a_mode_that_is_accepted_is_what_the_file_has(path: str) -> None:
    settings = Settings.of(journal_mode="wal")
    for mode in ("wal", "delete", "wal"):
        with closing(sqlite3.connect(path, isolation_level=None, factory=Connection)) as connection:
            configure(connection, path, settings, mode)

        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == (mode,)
