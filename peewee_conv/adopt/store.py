"""Writing rows with the ids and times that they have: plain functions, each for one row in an open transaction.

A row that is there already is left as it is. One whose id belongs to something else is refused.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from ..legacy import rows
from ..legacy.rows import Refused, Row
from .ledger import Outcome

Store = Callable[[sqlite3.Connection, Row], Outcome]

_NEW, _THERE = Outcome(is_new=True), Outcome()
_REASONS = {
    "FOREIGN KEY constraint failed": "what it belongs to does not exist",
    "UNIQUE constraint failed: datasets.conversation_id, datasets.url": "the conversation has this address already",
}


def store_all(connection: sqlite3.Connection, store: Store, values: list[Row]) -> list[Outcome]:
    """Store rows one by one; return what has become of each."""
    return [_attempt(connection, store, row) for row in values]


def _attempt(connection: sqlite3.Connection, store: Store, row: Row) -> Outcome:
    try:
        return store(connection, row)
    except Refused as refusal:
        return Outcome(reason=str(refusal))


def _one(connection: sqlite3.Connection, sql: str, *params: Any) -> Any:
    return connection.execute(sql, params).fetchone()


def _insert(connection: sqlite3.Connection, table: str, values: Row) -> Outcome:
    try:
        rows.insert(connection, table, values)
    except Refused as refusal:
        raise Refused(_REASONS.get(str(refusal), str(refusal))) from refusal
    return _NEW


def _insert_unless(connection: sqlite3.Connection, table: str, values: Row, *same: str) -> Outcome:
    """Insert a row, unless there is one of its id, which then must have the same values in the columns *same*."""
    found = _one(connection, f"SELECT {', '.join(same)} FROM {table} WHERE id = ?", values["id"])
    if found is None:
        return _insert(connection, table, values)
    if found != tuple(values[column] for column in same):
        raise Refused("the project has another row of that id")
    return _THERE


# --- assistant.db ---


def assistant(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store an assistant. One that was changed here since stays as it is."""
    return _insert_unless(connection, "assistants", values, "created_at")


def user(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store a user; somebody whom the project knows by that account of Google is taken for the same person."""
    known = _one(connection, "SELECT id FROM users WHERE google_id = ?", values["google_id"])
    if known is not None and known[0] != values["id"]:
        return Outcome(here=known[0])
    return _insert_unless(connection, "users", values, "google_id")


def session(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store a session; of one that is there the later end counts."""
    found = _one(connection, "SELECT id, user_id, expires_at FROM sessions WHERE token_hash = ?", values["token_hash"])
    if found is None:
        return _insert(connection, "sessions", values)
    if found[1] != values["user_id"]:
        raise Refused("the project has this session for another user")
    if found[2] < values["expires_at"]:
        connection.execute("UPDATE sessions SET expires_at = ? WHERE id = ?", (values["expires_at"], found[0]))
    return _THERE


def referral_key(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store a referral key; one that is there and was used in the source since is used here, too."""
    known = _one(connection, "SELECT id FROM referral_keys WHERE key_hash = ?", values["key_hash"])
    if known is None:
        return _insert(connection, "referral_keys", values)
    if values["used_at"] is not None:
        connection.execute(
            "UPDATE referral_keys SET used_by = ?, used_at = ? WHERE id = ? AND used_at IS NULL",
            (values["used_by"], values["used_at"], known[0]),
        )
    return _THERE


def dataset(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store a dataset, under a free name where its own is taken; what has no column goes to the conversation."""
    given = {column: value for column, value in values.items() if column != "extras"}
    stored = _one(connection, "SELECT name FROM datasets WHERE id = ?", given["id"])
    if stored is None:
        stored = (_free_name(connection, given["conversation_id"], given["name"]),)
    outcome = _insert_unless(connection, "datasets", {**given, "name": stored[0]}, "conversation_id", "url")
    if outcome.is_new and values["extras"]:
        _keep_extras(connection, given["conversation_id"], given["id"], values["extras"])
    if stored[0] != given["name"]:
        return outcome._replace(note=f"the conversation has a dataset {given['name']!r}: this one is {stored[0]!r} now")
    return outcome


def _free_name(connection: sqlite3.Connection, conversation_id: str, name: str) -> str:
    number, found = 1, name
    taken = "SELECT 1 FROM datasets WHERE conversation_id = ? AND name = ?"
    while _one(connection, taken, conversation_id, found) is not None:
        number += 1
        found = f"{name}_{number}"
    return found


def _keep_extras(connection: sqlite3.Connection, conversation_id: str, dataset_id: str, extras: Row) -> None:
    stored = _one(connection, "SELECT metadata FROM conversations WHERE id = ?", conversation_id)[0]
    metadata = json.loads(stored)
    known = metadata.get("dataset_columns")
    metadata["dataset_columns"] = {**(known if isinstance(known, dict) else {}), dataset_id: extras}
    connection.execute("UPDATE conversations SET metadata = ? WHERE id = ?", (rows.dumped(metadata), conversation_id))


def usage(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store what an answer used."""
    return _insert_unless(connection, "token_usage", values, "user_id", "timestamp")


# --- features.db ---


def feature(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store a feature. One that was worked on here since stays as it is."""
    return _insert_unless(connection, "features", values, "category", "name", "description")


def schedule(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store a schedule. One that was changed here since stays as it is."""
    return _insert_unless(connection, "schedules", values, "project_name", "created_at")


def override(connection: sqlite3.Connection, values: Row) -> Outcome:
    """Store an override of a schedule."""
    return _insert_unless(connection, "schedule_overrides", values, "schedule_id", "override_type", "created_at")
