"""The database of ChatDF, of its first code and of the later one, which has more columns and tables."""

from __future__ import annotations

import math
from typing import Any, Final

from .. import arguments, sessions
from ..ids import new_id
from ..legacy import rows
from ..legacy.rows import Refused, Row
from ..message_queries import NewMessage
from ..services.usage import MAX_TOKENS
from ..sessions import PREFIX_LENGTH
from . import store, values
from .ledger import Ledger
from .plan import Context, Homeless, Step, Table
from .source import Source, by_time
from .talk_store import Head
from .talks import Talks
from .values import Note

NAME: Final = "ChatDF"
_HOMELESS: Final = ("saved_queries", "query_history", "user_settings")
_COLUMNS: Final = {
    "users": {"id", "google_id", "email", "name", "avatar_url", "created_at", "last_login_at"},
    "sessions": {"id", "user_id", "created_at", "expires_at"},
    "referral_keys": {"key", "created_by", "used_by", "created_at", "used_at"},
    "conversations": {"id", "user_id", "title", "created_at", "updated_at"},
    "messages": {"id", "conversation_id", "role", "content", "token_count", "created_at"},
    "datasets": {
        "id",
        "conversation_id",
        "url",
        "name",
        "row_count",
        "column_count",
        "schema_json",
        "status",
        "error_message",
        "loaded_at",
    },
    "token_usage": {
        "id",
        "user_id",
        "conversation_id",
        "model_name",
        "input_tokens",
        "output_tokens",
        "cost",
        "timestamp",
    },
}
_TITLE: Final = 200  # characters


def recognises(source: Source) -> bool:
    """Say whether the file has that system's tables and columns."""
    return all(source.columns(table) >= columns for table, columns in _COLUMNS.items())


def steps(context: Context) -> list[Step]:
    """Return what is to be done: people first, to whom the rest belongs."""
    ledger = context.ledger
    homeless = [Homeless(table) for table in _HOMELESS if context.source.columns(table)]
    return [
        Table("users", _user, store.user),
        Table("referral_keys", lambda row, note: _referral_key(ledger, row, note), store.referral_key),
        Table("sessions", lambda row, note: _session(ledger, row, note), store.session),
        Talks(
            "conversations",
            "messages",
            "conversation_id",
            "created_at",
            by_time("created_at"),
            lambda row, note: _head(ledger, row, note),
            lambda row, head, note: _message(context, row, note),
        ),
        Table("datasets", lambda row, note: _dataset(ledger, row, note), store.dataset),
        Table("token_usage", lambda row, note: _usage(ledger, row, note), store.usage),
        *homeless,
    ]


# --- people ---


def _user(row: Row, note: Note) -> Row:
    values.note_extras(row, _COLUMNS["users"], note)
    return {
        "id": values.id_of(row),
        "google_id": values.id_of(row, "google_id"),
        "email": values.text(row, "email"),
        "name": values.text(row, "name"),
        "avatar_url": values.optional_text(row, "avatar_url"),
        "created_at": values.time(row, "created_at"),
        "last_login_at": values.time(row, "last_login_at"),
    }


def _session(ledger: Ledger, row: Row, note: Note) -> Row:
    values.note_extras(row, _COLUMNS["sessions"], note)
    return {
        "id": new_id(),
        "user_id": ledger.here("users", values.id_of(row, "user_id"), "user"),
        "token_hash": _digest(row, "id"),
        "created_at": values.time(row, "created_at"),
        "expires_at": values.time(row, "expires_at"),
    }


def _referral_key(ledger: Ledger, row: Row, note: Note) -> Row:
    values.note_extras(row, _COLUMNS["referral_keys"], note)
    created_at = values.time(row, "created_at")
    used_at = rows.time(row["used_at"], "used_at")
    if used_at is None and row["used_by"] is not None:
        note("used_at is NULL, but used_by is not: it was used when it was made")
        used_at = created_at
    return {
        "id": new_id(),
        "key_hash": _digest(row, "key"),
        "prefix": values.text(row, "key")[:PREFIX_LENGTH],
        "created_by": _optional_user(ledger, row, "created_by", note),
        "used_by": _optional_user(ledger, row, "used_by", note),
        "created_at": created_at,
        "used_at": used_at,
    }


def _digest(row: Row, column: str) -> str:
    found = sessions.digest(values.text(row, column))
    if found is None:
        raise Refused(f"{column} is empty or too long")
    return found


def _optional_user(ledger: Ledger, row: Row, column: str, note: Note) -> Any:
    """Return a user, or ``None`` for one who is not here: so it is when a user is deleted."""
    id = values.optional_id(row, column)
    if id is None:
        return None
    if not ledger.holds("users", id):
        note(f"the user of {column} is not here")
        return None
    return ledger.here("users", id, "user")


# --- conversations ---


def _head(ledger: Ledger, row: Row, note: Note) -> Head:
    id, title = values.id_of(row), values.text(row, "title")
    if len(title) > _TITLE:
        note(f"the title is longer than {_TITLE} characters")
    user_id = ledger.here("users", values.id_of(row, "user_id"), "user")
    created_at, updated_at = values.time(row, "created_at"), values.time(row, "updated_at")
    metadata = values.extras(row, _COLUMNS["conversations"])
    if not metadata.get("is_pinned"):
        metadata.pop("is_pinned", None)
    return Head(None, id, None, user_id, None, title[:_TITLE] or None, created_at, updated_at, metadata, id)


def _message(context: Context, row: Row, note: Note) -> NewMessage:
    metadata = values.extras(row, _COLUMNS["messages"])
    created_at = values.time(row, "created_at")
    return values.message(context.service, row, row["role"], created_at, values.tokens(row, note), metadata)


# --- what belongs to them ---


def _dataset(ledger: Ledger, row: Row, note: Note) -> Row:
    loaded_at = values.time(row, "loaded_at")
    return {
        "id": values.id_of(row),
        "conversation_id": ledger.here("conversations", values.id_of(row, "conversation_id"), "conversation"),
        "url": values.text(row, "url"),
        "name": values.text(row, "name"),
        "row_count": rows.whole(row["row_count"], "row_count", 0),
        "column_count": rows.whole(row["column_count"], "column_count", 0),
        "schema": _schema(row["schema_json"], note),
        "status": values.text(row, "status"),
        "error_message": values.optional_text(row, "error_message"),
        "created_at": loaded_at,
        "loaded_at": loaded_at if row["status"] == "ready" else None,
        "extras": values.extras(row, _COLUMNS["datasets"]),
    }


def _schema(value: Any, note: Note) -> str:
    try:
        found = rows.parsed(value)
    except Refused as refusal:
        note(f"schema_json: {refusal}")
        return "[]"
    if isinstance(found, list):
        return rows.dumped(found)
    if found is not None:
        note("schema_json is no list")
    return "[]"


def _usage(ledger: Ledger, row: Row, note: Note) -> Row:
    values.note_extras(row, _COLUMNS["token_usage"], note)
    if not isinstance(row["cost"], (int, float)) or not math.isfinite(row["cost"]):
        raise Refused("cost is no number")
    return {
        "id": values.id_of(row),
        "user_id": ledger.here("users", values.id_of(row, "user_id"), "user"),
        "conversation_id": _optional_conversation(ledger, row, note),
        "model_name": values.text(row, "model_name"),
        "input_tokens": _tokens(row, "input_tokens"),
        "output_tokens": _tokens(row, "output_tokens"),
        "cost": row["cost"],
        "timestamp": values.time(row, "timestamp"),
    }


def _tokens(row: Row, column: str) -> Any:
    return values.checked(arguments.whole, column, row[column], 0, MAX_TOKENS)


def _optional_conversation(ledger: Ledger, row: Row, note: Note) -> Any:
    """Return a conversation, or ``None`` for one that is not here: so it is when a conversation is deleted."""
    id = values.optional_id(row, "conversation_id")
    if id is None or ledger.holds("conversations", id):
        return id
    note("its conversation is not here")
    return None
