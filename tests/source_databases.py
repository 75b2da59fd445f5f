"""Databases as the four source systems write them: their tables, their encodings, and rows made from a seed.

Rows come with all that those systems let in: equal times, times without a fraction, the text ``null`` for no JSON, ids
that were used twice, rows whose parent is gone (three of the four check no foreign keys).
"""

from __future__ import annotations

import json
import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from legacy_files import ASSISTANT, NEWEST, NEWEST_ROWS

START = datetime.fromisoformat("2026-01-02T03:04:05")  # naive, as all of them are
WORDS = [
    "market",
    "outlook",
    "Grüße",
    "日本",
    "🙂",
    "e\u0301",
    "'quote'",
    '"two"',
    "a\\b",
    "\u202eabc",
    "100%",
    "null",
    "{}",
]
WORDS += ["NULL", "line\nbreak\ttab", "{0}", "?"]

SOVEREIGN = """
CREATE TABLE assistants (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    instructions TEXT NOT NULL,
    model VARCHAR(100) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_assistants_id ON assistants (id);
CREATE INDEX ix_assistants_name ON assistants (name);
CREATE INDEX ix_assistants_created_at ON assistants (created_at);
CREATE TABLE threads (
    id VARCHAR(36) NOT NULL,
    assistant_id VARCHAR(36) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    thread_metadata JSON,
    PRIMARY KEY (id),
    FOREIGN KEY(assistant_id) REFERENCES assistants (id) ON DELETE CASCADE
);
CREATE INDEX ix_threads_id ON threads (id);
CREATE INDEX idx_thread_assistant_id ON threads (assistant_id);
CREATE INDEX ix_threads_created_at ON threads (created_at);
CREATE TABLE messages (
    id VARCHAR(36) NOT NULL,
    thread_id VARCHAR(36) NOT NULL,
    role VARCHAR(9) NOT NULL,
    content TEXT NOT NULL,
    timestamp DATETIME NOT NULL,
    token_count INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(thread_id) REFERENCES threads (id) ON DELETE CASCADE
);
CREATE INDEX ix_messages_id ON messages (id);
CREATE INDEX idx_message_thread_id ON messages (thread_id);
CREATE INDEX ix_messages_role ON messages (role);
CREATE INDEX ix_messages_timestamp ON messages (timestamp);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('ec26a335cde9');
"""
HAIA = """
CREATE TABLE conversations (
    id INTEGER NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_conversations_created_at ON conversations (created_at);
CREATE INDEX ix_conversations_updated_at ON conversations (updated_at);
CREATE TABLE messages (
    id INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    role VARCHAR(20) NOT NULL,
    content TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE
);
CREATE INDEX ix_messages_conversation_id ON messages (conversation_id);
CREATE INDEX ix_messages_created_at ON messages (created_at);
CREATE INDEX ix_messages_conversation_created ON messages (conversation_id, created_at);
"""
CHATDF = """
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    google_id TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    avatar_url TEXT,
    created_at TEXT NOT NULL,
    last_login_at TEXT NOT NULL
);
CREATE INDEX idx_users_google_id ON users (google_id);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX idx_sessions_user_id ON sessions (user_id);
CREATE TABLE referral_keys (
    key TEXT PRIMARY KEY,
    created_by TEXT REFERENCES users(id) ON DELETE SET NULL,
    used_by TEXT REFERENCES users(id) ON DELETE SET NULL,
    created_at TEXT NOT NULL,
    used_at TEXT
);
CREATE INDEX idx_referral_keys_used_by ON referral_keys (used_by);
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    title TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX idx_conversations_user_id ON conversations (user_id);
CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    content TEXT NOT NULL,
    sql_query TEXT,
    token_count INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL
);
CREATE INDEX idx_messages_conversation_id ON messages (conversation_id);
CREATE TABLE datasets (
    id TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    name TEXT NOT NULL,
    row_count INTEGER NOT NULL DEFAULT 0,
    column_count INTEGER NOT NULL DEFAULT 0,
    schema_json TEXT NOT NULL DEFAULT '[]',
    status TEXT NOT NULL DEFAULT 'loading' CHECK (status IN ('loading', 'ready', 'error')),
    error_message TEXT,
    loaded_at TEXT NOT NULL
);
CREATE INDEX idx_datasets_conversation_id ON datasets (conversation_id);
CREATE TABLE token_usage (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    conversation_id TEXT REFERENCES conversations(id) ON DELETE SET NULL,
    model_name TEXT NOT NULL DEFAULT 'gemini-2.5-flash',
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL DEFAULT 0.0,
    timestamp TEXT NOT NULL
);
CREATE INDEX idx_token_usage_user_timestamp ON token_usage (user_id, timestamp);
"""
CHATDF_HEAD = """
ALTER TABLE conversations ADD COLUMN is_pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN share_token TEXT;
ALTER TABLE conversations ADD COLUMN shared_at TEXT;
ALTER TABLE messages ADD COLUMN reasoning TEXT;
ALTER TABLE messages ADD COLUMN input_tokens INTEGER;
ALTER TABLE messages ADD COLUMN output_tokens INTEGER;
ALTER TABLE messages ADD COLUMN tool_call_trace TEXT;
ALTER TABLE datasets ADD COLUMN file_size_bytes INTEGER;
ALTER TABLE datasets ADD COLUMN column_descriptions TEXT;
CREATE TABLE saved_queries (id TEXT PRIMARY KEY, user_id TEXT, name TEXT, query TEXT, created_at TEXT);
CREATE TABLE query_history (id TEXT PRIMARY KEY, user_id TEXT, query TEXT, created_at TEXT);
CREATE TABLE user_settings (user_id TEXT PRIMARY KEY, settings_json TEXT);
CREATE TABLE query_results_cache (id TEXT PRIMARY KEY, result BLOB);
INSERT INTO saved_queries VALUES ('q-1', 'u-0', 'sales', 'SELECT 1', '2026-01-02T03:04:05');
INSERT INTO query_history VALUES ('h-1', 'u-0', 'SELECT 1', '2026-01-02T03:04:05'), ('h-2', 'u-0', 'SELECT 2', 'x');
INSERT INTO user_settings VALUES ('u-0', '{"theme": "dark"}');
INSERT INTO query_results_cache VALUES ('c-1', x'00ff'), ('c-2', x'00'), ('c-3', NULL);
"""


class Rows:
    """Random values from a seed: the same in every run."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._now = START

    def id(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def text(self, words: int = 12) -> str:
        return " ".join(self.chance.choices(WORDS, k=self.chance.randint(0, words)))

    def later(self) -> datetime:
        """Return the time of the next row: often that of the last one, sometimes a whole second."""
        self._now += timedelta(microseconds=self.chance.choice([0, 0, 1, 1500, 1_000_000]))
        if self.chance.random() < 0.1:
            self._now = self._now.replace(microsecond=0) + timedelta(seconds=1)
        return self._now


def stored(moment: datetime) -> str:
    """Return a time as SQLAlchemy stores it: always with a fraction."""
    return moment.isoformat(" ", "microseconds")


@contextmanager
def writing(path: Path, sql: str, journal: str) -> Iterator[sqlite3.Connection]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.executescript(sql)
        yield connection
        connection.commit()


def add(connection: sqlite3.Connection, table: str, *rows: tuple[Any, ...]) -> None:
    for row in rows:
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def autoforge_assistant(path: Path, seed: int = 1, talks: int = 8, messages: int = 70, journal: str = "delete") -> None:
    """Write an ``assistant.db``: NULL times, a number that was used twice, messages without a conversation."""
    made = Rows(seed)
    with writing(path, ASSISTANT, journal) as connection:
        for talk in range(1, talks + 1):
            number = talk * 2  # those between were deleted
            title = made.chance.choice([made.text()[:50] or "t", None, ""])
            add(
                connection,
                "conversations",
                (number, "aurora", title, stored(made.later()), made.chance.choice([None, stored(made.later())])),
            )
            for _ in range(made.chance.randint(0, messages)):
                role, time = made.chance.choice(["user", "assistant", "system"]), stored(made.later())
                add(
                    connection,
                    "conversation_messages",
                    (None, number, role, made.text(), time if made.chance.random() > 0.1 else None),
                )
        add(connection, "conversation_messages", (None, 999, "user", "its conversation is gone", stored(made.later())))
        add(connection, "conversation_messages", (None, 2, "robot", "no such role", stored(made.later())))


def autoforge_features(path: Path, seed: int = 1, journal: str = "delete") -> None:
    """Write a ``features.db`` with JSON of both kinds of nothing, and an override without a schedule."""
    made = Rows(seed)
    with writing(path, NEWEST + NEWEST_ROWS, journal) as connection:
        for id in range(20, 40):
            nothing = made.chance.choice([None, "null"])
            steps = json.dumps([made.text() for _ in range(3)])
            add(
                connection, "features", (id, id, "c", made.text() or "n", "", steps, 0, 0, nothing, 0, nothing, nothing)
            )
        add(connection, "schedule_overrides", (1, 2, "stop", stored(made.later()), stored(made.later())))
        add(connection, "schedule_overrides", (2, 99999, "stop", stored(made.later()), stored(made.later())))


def sovereign(path: Path, seed: int = 1, talks: int = 8, messages: int = 70, journal: str = "delete") -> None:
    """Write a database of Sovereign Assistant: roles in capitals, metadata of any kind, a thread of nobody."""
    made = Rows(seed)
    with writing(path, SOVEREIGN, journal) as connection:
        bots = [made.id() for _ in range(3)]
        for bot in bots:
            add(connection, "assistants", (bot, made.text(), "Be brief.", "gpt-4", *[stored(made.later())] * 2))
        for _ in range(talks):
            thread, metadata = made.id(), made.chance.choice(["{}", '{"a": [1, "\\u00e9"]}', "[1]", "null", None])
            times = stored(made.later()), stored(made.later())
            add(connection, "threads", (thread, made.chance.choice(bots), *times, metadata))
            for _ in range(made.chance.randint(0, messages)):
                role, tokens = made.chance.choice(["SYSTEM", "USER", "ASSISTANT"]), made.chance.choice([None, 0, 7])
                add(connection, "messages", (made.id(), thread, role, made.text(), stored(made.later()), tokens))
        lost = made.id()
        add(connection, "threads", (lost, made.id(), *[stored(made.later())] * 2, "{}"))
        add(connection, "messages", (made.id(), lost, "USER", "its assistant is gone", stored(made.later()), 0))
        add(connection, "messages", (made.id(), made.id(), "USER", "its thread is gone", stored(made.later()), 0))


def haia(path: Path, seed: int = 1, talks: int = 8, messages: int = 70, journal: str = "delete") -> None:
    """Write a database of HAIA: an id that was used again has the messages of the conversation before."""
    made = Rows(seed)
    with writing(path, HAIA, journal) as connection:
        for number in range(1, talks + 1):
            begun = last = stored(made.later())
            add(connection, "conversations", (number, begun, last))
            for _ in range(made.chance.randint(0, messages)):
                last = stored(made.later())
                role = made.chance.choice(["user", "assistant", "system"])
                add(connection, "messages", (None, number, role, made.text(), last))
            connection.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (last, number))
        add(connection, "messages", (None, talks + 1, "user", "of a deleted conversation", stored(made.later())))
        made.later()
        again = stored(made.later() + timedelta(seconds=1))
        add(connection, "conversations", (talks + 1, again, again))
        add(connection, "messages", (None, talks + 1, "user", "of the next one", again))
        add(connection, "messages", (None, talks + 5, "user", "its conversation is gone", again))


def chatdf(
    path: Path,
    seed: int = 1,
    talks: int = 8,
    messages: int = 70,
    journal: str = "wal",
    head: bool = False,
    now: datetime = START,
) -> None:
    """Write a database of ChatDF, of the first code or of its head.

    :param now: when the sessions end that are still good, but for a day.
    """
    made = Rows(seed)
    with writing(path, CHATDF + (CHATDF_HEAD if head else ""), journal) as connection:
        _people(connection, made, now)
        for number in range(talks):
            talk, times = made.id(), (made.later().isoformat(), made.later().isoformat())
            extra = (number % 2, f"share-{number}", None) if head else ()
            title = made.chance.choice(["", made.text()])
            add(connection, "conversations", (talk, f"u-{number % 3}", title, *times, *extra))
            for _ in range(made.chance.randint(0, messages)):
                add(connection, "messages", _message(made, talk, head))
            _belongings(connection, made, talk, number, head)


def _people(connection: sqlite3.Connection, made: Rows, now: datetime) -> None:
    for number in range(3):
        times = made.later().isoformat(), made.later().isoformat()
        add(connection, "users", (f"u-{number}", f"g-{number}", f"u{number}@example.com", made.text(), None, *times))
        ends = (now + timedelta(days=1)).isoformat(), (now - timedelta(days=1)).isoformat()
        add(connection, "sessions", (f"token-{number}", f"u-{number}", (now - timedelta(days=6)).isoformat(), ends[0]))
        add(connection, "sessions", (f"over-{number}", f"u-{number}", (now - timedelta(days=8)).isoformat(), ends[1]))
    add(connection, "referral_keys", ("free-key", "u-0", None, made.later().isoformat(), None))
    add(connection, "referral_keys", ("used-key", None, "u-1", made.later().isoformat(), made.later().isoformat()))
    # Whoever used it was deleted: there, it is good again.
    add(connection, "referral_keys", ("gone-key", "u-0", None, made.later().isoformat(), made.later().isoformat()))


def _message(made: Rows, talk: str, head: bool) -> tuple[Any, ...]:
    query = made.chance.choice([None, "SELECT 1"])
    extra = (
        (made.chance.choice([None, "because"]), 5, None, made.chance.choice([None, '[{"tool": "x"}]'])) if head else ()
    )
    role = made.chance.choice(["user", "assistant"])
    return (made.id(), talk, role, made.text(), query, made.chance.randint(0, 9), made.later().isoformat(), *extra)


def _belongings(connection: sqlite3.Connection, made: Rows, talk: str, number: int, head: bool) -> None:
    extra = (1000, made.chance.choice([None, '{"a": "b"}'])) if head else ()
    schema = json.dumps([{"name": "größe", "type": "int"}])
    for place, (url, name, status) in enumerate(
        [("a", "table1", "ready"), ("b", "table1", "loading"), ("a", "table2", "error")]
    ):
        row = (f"d-{number}-{place}", talk, f"https://x.org/{url}", name, 3, 1, schema, status, None)
        add(connection, "datasets", (*row, made.later().isoformat(), *extra))
    usage = (f"u-{number % 3}", talk, "gemini-2.5-flash", 10, 20, 0.5, made.later().isoformat())
    add(connection, "token_usage", (made.id(), *usage))
    add(connection, "token_usage", (made.id(), f"u-{number % 3}", None, *usage[2:]))


SYSTEMS = {
    "autoforge_assistant": autoforge_assistant,
    "autoforge_features": autoforge_features,
    "sovereign": sovereign,
    "haia": haia,
    "chatdf": chatdf,
    "chatdf_head": lambda path, **options: chatdf(path, head=True, **options),
}
