"""The messages of ChatDF's conversations, whose table differs from its own: ids are ``external_id`` here."""

from __future__ import annotations

from typing import Any

from ..records import Message
from .chatdf_connection import Connection
from .chatdf_errors import translated
from .naive_times import iso


async def get_messages(db: Connection, conversation_id: str) -> list[dict[str, Any]]:
    """Return all messages of a conversation in the order in which they were written.

    Each has ``id``, ``conversation_id``, ``role``, ``content``, ``sql_query``, ``token_count`` and ``created_at``.

    :raises NotFoundError: there is no such conversation.
    """
    with translated():
        return [to_dict(message) async for message in db.project.conversations.iterate(conversation_id)]


def to_dict(message: Message) -> dict[str, Any]:
    """Return a message as ChatDF has it; the id of one that ChatDF did not write is its key, as text."""
    return {
        "id": message.external_id or str(message.id),
        "conversation_id": message.conversation_id,
        "role": message.role,
        "content": message.content,
        "sql_query": message.metadata.get("sql_query"),
        "token_count": message.token_count or 0,
        "created_at": iso(message.created_at),
    }
