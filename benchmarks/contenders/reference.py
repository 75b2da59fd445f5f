"""The reference: sqlite3 by hand, on the same schema, as somebody who knows SQLite well writes it for one purpose.

One connection per thread, kept for good; prepared statements through the connection's cache; one lock for the writers
of the process; plain tuples out. It checks no argument, translates no error, and trusts that the file stays in place.
"""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from typing import Any

from peewee_conv.database.files import LOG_PAGES

from .. import data
from .base import Contender

_COLUMNS = "sequence, role, content, token_count, metadata, external_id, created_at"
_NUMBER = "(SELECT number FROM conversations WHERE id = ?)"

ALLOT = (
    "UPDATE conversations SET last_sequence = last_sequence + ?, message_count = message_count + ?, updated_at = ?"
    " WHERE id = ? RETURNING number, last_sequence"
)
INSERT = "INSERT INTO messages (id, conversation, sequence, role, content, created_at) VALUES (?, ?, ?, ?, ?, ?)"
NEWEST = (
    f"SELECT {_COLUMNS} FROM messages WHERE id > {_NUMBER} << 32 AND id < {_NUMBER} + 1 << 32 ORDER BY id DESC LIMIT ?"
)
WHOLE = f"SELECT {_COLUMNS} FROM messages WHERE id > {_NUMBER} << 32 AND id < {_NUMBER} + 1 << 32 ORDER BY id"
LISTING = (
    "SELECT number, id, assistant_id, user_id, project_name, title, message_count, token_count, last_sequence,"
    " created_at, updated_at, metadata FROM conversations ORDER BY updated_at DESC, number DESC LIMIT ?"
)
SEARCH = (
    "SELECT messages.id, conversations.id, role, messages.content, messages.created_at, title,"
    " snippet(message_search, 0, '[', ']', '...', 12), rank FROM message_search"
    " JOIN messages ON messages.id = message_search.rowid JOIN conversations ON number = messages.conversation"
    " WHERE message_search MATCH ? ORDER BY rank LIMIT ?"
)
KEY = "SELECT number, last_sequence FROM conversations WHERE id = ?"
PRUNE = "DELETE FROM messages WHERE id > ? AND id <= ?"
DISCOUNT = "UPDATE conversations SET message_count = message_count - ? WHERE number = ?"


def now() -> str:
    """Return the time as the tables keep it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")[:26] + "Z"


class Reference(Contender):
    """Hand-tuned sqlite3."""

    def __init__(self, folder: str, durability: str = "normal") -> None:
        super().__init__(folder, durability)
        self.path = ""
        self.lock = threading.Lock()
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def load(self, template: str) -> None:
        """Copy the file."""
        data.copy_to(template, self.folder)
        self.attach()

    def attach(self) -> None:
        """Remember the file in the folder."""
        self.path = data.path_in(self.folder)

    def open(self) -> sqlite3.Connection:
        """Open the connection of this thread."""
        connection = sqlite3.connect(
            self.path, isolation_level=None, timeout=30, cached_statements=256, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute("PRAGMA synchronous = " + ("FULL" if self.durability == "full" else "NORMAL"))
        self._local.connection = connection
        self._opened.append(connection)
        return connection

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of this thread."""
        try:
            found: sqlite3.Connection = self._local.connection
        except AttributeError:
            return self.open()
        return found

    def append(self, conversation: str, role: str, content: str) -> tuple[int, int]:
        """Append a message; return number and sequence."""
        execute = self.connection.execute
        time = now()
        with self.lock:
            execute("BEGIN IMMEDIATE")
            try:
                number, sequence = execute(ALLOT, (1, 1, time, conversation)).fetchone()
                execute(INSERT, (number << 32 | sequence, number, sequence, role, content, time))
                execute("COMMIT")
            except BaseException:
                execute("ROLLBACK")
                raise
        return number, sequence

    def append_many(self, conversation: str, messages: list[tuple[str, str]]) -> int:
        """Append messages by ``executemany``; return the last sequence."""
        connection = self.connection
        execute = connection.execute
        time = now()
        with self.lock:
            execute("BEGIN IMMEDIATE")
            try:
                number, last = execute(ALLOT, (len(messages), len(messages), time, conversation)).fetchone()
                first, base = last - len(messages) + 1, number << 32
                connection.executemany(
                    INSERT,
                    [(base | at, number, at, role, text, time) for at, (role, text) in enumerate(messages, first)],
                )
                execute("COMMIT")
            except BaseException:
                execute("ROLLBACK")
                raise
        return int(last)

    def newest(self, conversation: str, count: int) -> list[tuple[Any, ...]]:
        """Return the newest messages, oldest first."""
        rows = self.connection.execute(NEWEST, (conversation, conversation, count)).fetchall()
        rows.reverse()
        return rows

    def whole(self, conversation: str, count: int) -> list[tuple[Any, ...]]:
        """Return a conversation."""
        return self.connection.execute(WHOLE, (conversation, conversation)).fetchall()

    def listing(self, count: int) -> list[tuple[Any, ...]]:
        """Return the newest conversations."""
        return self.connection.execute(LISTING, (count,)).fetchall()

    def search(self, word: str, count: int) -> list[tuple[Any, ...]]:
        """Return the messages with a word, the best match first."""
        return self.connection.execute(SEARCH, (word, count)).fetchall()

    def prune(self, conversation: str, keep: int) -> int:
        """Delete all but the newest messages; return how many went."""
        execute = self.connection.execute
        with self.lock:
            execute("BEGIN IMMEDIATE")
            try:
                number, last = execute(KEY, (conversation,)).fetchone()
                pruned = execute(PRUNE, (number << 32, number << 32 | last - keep)).rowcount
                execute(DISCOUNT, (pruned, number))
                execute("COMMIT")
            except BaseException:
                execute("ROLLBACK")
                raise
        return pruned

    def contents(self, answer: Any) -> list[str]:
        """Return the third column."""
        return [row[2] for row in answer]

    def counts(self, answer: Any) -> list[tuple[str, int]]:
        """Return id and count."""
        return [(row[1], row[6]) for row in answer]

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._opened:
            self._opened.pop().close()
        self._local = threading.local()


class IndexByTriggers(Reference):
    """Hand-tuned sqlite3 with the index as SQLite's manual says: triggers on each insert and delete."""

    def load(self, template: str) -> None:
        """Copy the file and change the manner of its index."""
        data.copy_to(template, self.folder)
        data.index_by_triggers(data.path_in(self.folder))
        self.attach()


class Shared(Reference):
    """Hand-tuned sqlite3 with one connection for all threads, which take turns: what is left without more of them."""

    def load(self, template: str) -> None:
        """Copy the file."""
        super().load(template)
        self._turn = threading.Lock()
        self._one: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The only connection; whoever uses it has the turn."""
        if self._one is None:
            self._one = self.open()
        return self._one

    def append(self, conversation: str, role: str, content: str) -> tuple[int, int]:
        """Append a message; return number and sequence."""
        with self._turn:
            return super().append(conversation, role, content)

    def newest(self, conversation: str, count: int) -> list[tuple[Any, ...]]:
        """Return the newest messages, oldest first."""
        with self._turn:
            return super().newest(conversation, count)

    def close(self) -> None:
        """Close the connection."""
        super().close()
        self._one = None


class Batches(Reference):
    """Hand-tuned sqlite3 in one thread that gets the messages of several callers at once, and waits for nobody."""

    def append_together(self, messages: list[tuple[str, str, str]]) -> None:
        """Append messages to as many conversations in one transaction."""
        execute = self.connection.execute
        time = now()
        execute("BEGIN IMMEDIATE")
        for conversation, role, content in messages:
            number, sequence = execute(ALLOT, (1, 1, time, conversation)).fetchone()
            execute(INSERT, (number << 32 | sequence, number, sequence, role, content, time))
        execute("COMMIT")
