"""What the contenders store: generated conversations, and a database of ours that holds them.

A message's content begins with its conversation and its sequence, so that every answer can be checked.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from peewee_conv import Project

ROLES = ("user", "assistant")
DATABASE = os.path.join(".peewee_conv", "assistant.db")
_BODIES = 997  # a prime: no pattern of appends meets the same few bodies


def _bodies() -> list[str]:
    """Make texts of 280 to 680 characters of words with a plausible frequency."""
    source = random.Random(7)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(source.choices(letters, k=source.randint(2, 9))) for _ in range(3000)]
    weights = [1 / (place + 1) for place in range(len(words))]
    made = []
    for _ in range(_BODIES):
        length = source.randint(280, 680)
        text = " ".join(source.choices(words, weights, k=length // 3))
        made.append(text[:length])
    return made


BODIES = _bodies()


def content(conversation: str, sequence: int) -> str:
    """Return the text of a message, 300 to 700 bytes; each fiftieth has the rare word of its conversation."""
    rare = f"{needle(conversation)} " if sequence % 50 == 7 else ""
    return f"{conversation} {sequence} {rare}{BODIES[sequence % _BODIES]}"


def needle(conversation: str) -> str:
    """Return the word that occurs in no other conversation."""
    return conversation.replace("-", "") + "needle"


def role(sequence: int) -> str:
    """Return who says it."""
    return ROLES[(sequence + 1) % 2]


def messages(conversation: str, first: int, count: int) -> list[tuple[str, str]]:
    """Return role and content of *count* messages from sequence *first* on."""
    return [(role(at), content(conversation, at)) for at in range(first, first + count)]


def named(count: int) -> list[str]:
    """Return the ids of *count* conversations."""
    return [f"talk-{number:05}" for number in range(1, count + 1)]


def fill(path: str, counts: dict[str, int]) -> None:
    """Store conversations of so many messages each in an empty database of ours, the last one being the newest.

    :param path: the file, which nobody has open.
    :param counts: the messages of each conversation, by its id.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for number, (conversation, count) in enumerate(counts.items(), 1):
            _fill_one(connection, number, conversation, count)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _fill_one(connection: sqlite3.Connection, number: int, conversation: str, count: int) -> None:
    now = f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.{number:06}Z"
    connection.execute(
        "INSERT INTO conversations"
        " (number, id, title, message_count, token_count, last_sequence, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (number, conversation, f"About {conversation}", count, 120 * count, count, now, now),
    )
    if count:
        connection.execute("INSERT INTO message_search_pending (conversation) VALUES (?)", (number,))
    connection.executemany(
        "INSERT INTO messages (id, conversation, sequence, role, content, token_count, created_at)"
        " VALUES (?, ?, ?, ?, ?, 120, ?)",
        ((number << 32 | at, number, at, role(at), content(conversation, at), now) for at in range(1, count + 1)),
    )


def template(folder: str, counts: dict[str, int]) -> str:
    """Make a project in *folder* that our own migrations built, fill it, and return the path of its file."""
    project = Project(folder)
    project.conversations.list(limit=1)
    project.dispose()
    path = path_in(folder)
    fill(path, counts)
    return path


def path_in(folder: str) -> str:
    """Return where a project in *folder* keeps its file."""
    return os.path.join(folder, DATABASE)


def copy_to(path: str, folder: str) -> None:
    """Copy a database that nobody has open to the place where a project in *folder* keeps it."""
    copy = path_in(folder)
    os.makedirs(os.path.dirname(copy), mode=0o700, exist_ok=True)
    shutil.copyfile(path, copy)
    os.chmod(copy, 0o600)


def stored(path: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each conversation of a database with role and content of its messages, for those with another schema."""
    with closing(sqlite3.connect(path)) as connection:
        talks = connection.execute("SELECT number, id FROM conversations ORDER BY number").fetchall()
        for number, conversation in talks:
            yield conversation, _messages_of(connection, number)


def _messages_of(connection: sqlite3.Connection, number: int) -> list[tuple[str, str]]:
    span = (number << 32, number + 1 << 32)
    query = "SELECT role, content FROM messages WHERE id > ? AND id < ? ORDER BY id"
    return connection.execute(query, span).fetchall()


def index(path: str) -> None:
    """Bring the search index of a database up to date by searching once."""
    project = Project(os.path.dirname(os.path.dirname(path)))
    project.conversations.search("nowhere")
    project.dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def drop_index(path: str) -> None:
    """Take everything out of a database that keeps the search index."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("DROP TRIGGER tr_conversations_pending; DROP TABLE message_search;")


def index_by_triggers(path: str) -> None:
    """Let triggers keep the search index of a database, as SQLite's manual has it, and index what is there."""
    drop_index(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_TRIGGERS)


_TRIGGERS = """
BEGIN;
CREATE VIRTUAL TABLE message_search USING fts5 (
    content, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO message_search (message_search) VALUES ('rebuild');
CREATE TRIGGER tr_messages_index_added AFTER INSERT ON messages BEGIN
    INSERT INTO message_search (rowid, content) VALUES (NEW.id, NEW.content);
END;
CREATE TRIGGER tr_messages_index_removed AFTER DELETE ON messages BEGIN
    INSERT INTO message_search (message_search, rowid, content) VALUES ('delete', OLD.id, OLD.content);
END;
COMMIT;
PRAGMA wal_checkpoint(TRUNCATE);
"""
