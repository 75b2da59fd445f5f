"""An ``assistant.db`` of the AutoForge releases: ``conversations`` and ``conversation_messages``.

The integer id of a conversation becomes its ``number`` and, as text, its ``id``; messages are numbered in the order of
their ids, and the old id becomes the ``external_id``. Defaults for NULL: a conversation's times are those of its first
and last message, or the time of the upgrade; a message's time is that of the message before it. A title is cut at 200
characters; the row as it was is in the rejects.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from ..arguments import ROLES
from ..clock import now_text
from . import rows
from .rows import Refused, Rejects, Row

TABLES = ("conversation_messages", "conversations")
_CONVERSATIONS = {"id", "project_name", "title", "created_at", "updated_at"}
_MESSAGES = {"id", "conversation_id", "role", "content", "timestamp"}
_KNOWN_TABLES = {*TABLES, "sqlite_sequence", "sqlite_stat1"}

Refusal = tuple[Row, str]


def recognises(connection: sqlite3.Connection) -> bool:
    """Say whether the file has that application's tables and columns."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return (
        tables <= _KNOWN_TABLES
        and rows.columns(connection, "conversations") == _CONVERSATIONS
        and rows.columns(connection, "conversation_messages") == _MESSAGES
    )


def set_aside(connection: sqlite3.Connection) -> None:
    """Move its tables into temporary ones, so that the scripts find an empty file."""
    rows.set_aside(connection, TABLES)


def fill(connection: sqlite3.Connection, path: str) -> None:
    """Put its rows into the new tables, and those that the rules forbid into a file beside it."""
    rejects = Rejects(path)
    connection.execute("CREATE INDEX temp.old_messages_of ON old_conversation_messages (conversation_id, id)")
    now = now_text()
    for row in rows.old_rows(connection, "conversations"):
        try:
            _copy_conversation(connection, rejects, row, now)
        except Refused as refusal:
            rejects.add("conversations", row, str(refusal))
    _reject_orphans(connection, rejects)
    rejects.write()
    rows.drop_old(connection, TABLES)


def _copy_conversation(connection: sqlite3.Connection, rejects: Rejects, row: Row, now: str) -> None:
    created_at = rows.time(row["created_at"], "created_at")
    updated_at = rows.time(row["updated_at"], "updated_at")
    messages, refused = _messages(connection, row["id"], created_at or now)
    times = [message["created_at"] for message in messages]
    title = rows.text(row["title"], "title", "") or None
    rows.insert(
        connection,
        "conversations",
        {
            "number": row["id"],
            "id": str(row["id"]),
            "project_name": rows.text(row["project_name"], "project_name", None),
            "title": title and title[:200],
            "message_count": len(messages),
            "last_sequence": len(messages),
            "created_at": created_at or min(times, default=now),
            "updated_at": updated_at or max(times, default=created_at or now),
        },
    )
    if title is not None and len(title) > 200:
        rejects.add("conversations", row, "the title is longer than 200 characters", kept=True)
    for old, reason in refused:
        rejects.add("conversation_messages", old, reason)
    for message in messages:
        rows.insert(connection, "messages", message)
    if messages:
        rows.insert(connection, "message_search_pending", {"conversation": row["id"]})


def _messages(connection: sqlite3.Connection, number: int, default_time: str) -> tuple[list[Row], list[Refusal]]:
    """Return the new rows of a conversation's messages, numbered without a gap, and the old ones that do not fit."""
    kept: list[Row] = []
    refused: list[Refusal] = []
    for old in rows.old_rows(connection, "conversation_messages", "conversation_id = ?", number):
        try:
            kept.append(_message(number, len(kept) + 1, old, kept[-1]["created_at"] if kept else default_time))
        except Refused as refusal:
            refused.append((old, str(refusal)))
    return kept, refused


def _message(number: int, sequence: int, old: Row, default_time: str) -> Row:
    if old["role"] not in ROLES:
        raise Refused(f"role {old['role']!r:.40} is none of {', '.join(ROLES)}")
    return {
        "id": number << 32 | sequence,
        "conversation": number,
        "sequence": sequence,
        "role": old["role"],
        "content": _content(old["content"]),
        "external_id": str(old["id"]),
        "created_at": rows.time(old["timestamp"], "timestamp") or default_time,
    }


def _content(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("content is no text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Refused("content is no UTF-8") from error
    return value


def _reject_orphans(connection: sqlite3.Connection, rejects: Rejects) -> None:
    for row in rows.old_rows(connection, "conversation_messages"):
        if not _is_stored(connection, row["conversation_id"]):
            rejects.add("conversation_messages", row, "its conversation does not exist, or was left out")


def _is_stored(connection: sqlite3.Connection, number: Any) -> bool:
    try:
        found = connection.execute("SELECT 1 FROM conversations WHERE number = ?", (number,))
    except UnicodeEncodeError:  # a text that is no UTF-8, in the place of a number
        return False
    return found.fetchone() is not None
