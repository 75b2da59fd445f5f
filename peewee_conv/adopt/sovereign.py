"""The database of Sovereign Assistant: assistants, their threads, and messages with roles in capitals."""

from __future__ import annotations

from typing import Any, Final

from .. import arguments
from ..compat import thread_metadata
from ..legacy import rows
from ..legacy.rows import Refused, Row
from ..message_queries import NewMessage
from . import store, values
from .plan import Context, Step, Table
from .source import Source, by_time
from .talk_store import Head
from .talks import Talks
from .values import Note

NAME: Final = "Sovereign Assistant"
_ASSISTANTS: Final = {"id", "name", "instructions", "model", "created_at", "updated_at"}
_THREADS: Final = {"id", "assistant_id", "created_at", "updated_at", "thread_metadata"}
_MESSAGES: Final = {"id", "thread_id", "role", "content", "timestamp", "token_count"}
_NAME_LENGTH: Final = 255  # characters


def recognises(source: Source) -> bool:
    """Say whether the file has that system's tables and columns."""
    return (
        source.columns("assistants") >= _ASSISTANTS
        and source.columns("threads") >= _THREADS
        and source.columns("messages") >= _MESSAGES
    )


def steps(context: Context) -> list[Step]:
    """Return what is to be done."""

    def head(row: Row, note: Note) -> Head:
        id, created_at = values.id_of(row), values.time(row, "created_at")
        assistant_id = context.ledger.here("assistants", values.id_of(row, "assistant_id"), "assistant")
        metadata = {**_metadata(row["thread_metadata"], note), **values.extras(row, _THREADS)}
        return Head(None, id, assistant_id, None, None, None, created_at, values.time(row, "updated_at"), metadata, id)

    def message(row: Row, head: Head, note: Note) -> NewMessage:
        role = row["role"].lower() if isinstance(row["role"], str) else row["role"]
        extras = values.extras(row, _MESSAGES)
        return values.message(
            context.service, row, role, values.time(row, "timestamp"), values.tokens(row, note), extras
        )

    return [
        Table("assistants", _assistant, store.assistant),
        Talks("threads", "messages", "thread_id", "timestamp", by_time("created_at"), head, message),
    ]


def _assistant(row: Row, note: Note) -> Row:
    name, instructions = values.text(row, "name"), values.text(row, "instructions")
    if not instructions.strip():
        raise Refused("instructions are blank")
    if len(name) > _NAME_LENGTH:
        note(f"the name is longer than {_NAME_LENGTH} characters")
    return {
        "id": values.id_of(row),
        "name": name[:_NAME_LENGTH],
        "instructions": instructions,
        "model": values.text(row, "model"),
        "metadata": values.json_object(values.extras(row, _ASSISTANTS)),
        "created_at": values.time(row, "created_at"),
        "updated_at": values.time(row, "updated_at"),
    }


def _metadata(value: Any, note: Note) -> dict[str, Any]:
    try:
        found = rows.parsed(value)
        wrapped = {} if found is None else thread_metadata.wrap(found)
        values.checked(arguments.json_object, "thread_metadata", wrapped)
    except Refused as refusal:
        note(f"thread_metadata: {refusal}")
        return {}
    return wrapped
