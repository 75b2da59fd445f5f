"""The database of HAIA: conversations without a title or an owner, and their messages."""

from __future__ import annotations

from typing import Final

from ..legacy.rows import Refused, Row
from ..message_queries import NewMessage
from . import values
from .plan import Context, Step
from .source import Source
from .talk_store import Head
from .talks import Talks
from .values import Note

NAME: Final = "HAIA"
_CONVERSATIONS: Final = {"id", "created_at", "updated_at"}
_MESSAGES: Final = {"id", "conversation_id", "role", "content", "created_at"}


def recognises(source: Source) -> bool:
    """Say whether the file has that system's tables and columns, and no others in them: they are common names."""
    return source.columns("conversations") == _CONVERSATIONS and source.columns("messages") == _MESSAGES


def steps(context: Context) -> list[Step]:
    """Return what is to be done."""

    def head(row: Row, note: Note) -> Head:
        return Head.numbered(NAME, row["id"], values.time(row, "created_at"), values.time(row, "updated_at"))

    def message(row: Row, head: Head, note: Note) -> NewMessage:
        created_at = values.time(row, "created_at")
        if created_at < head.created_at:
            # HAIA deletes a conversation without its messages, and gives its id to the next one.
            raise Refused("it is older than its conversation: a deleted one had the same id")
        return values.message(context.service, row, row["role"], created_at)

    return [Talks("conversations", "messages", "conversation_id", "created_at", "rowid", head, message)]
