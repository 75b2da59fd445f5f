"""What HAIA's repository asks the conversations of a project for: plain functions, each run once in a thread.

The objects of a long conversation are made there too: the event loop would be held up.
"""

from __future__ import annotations

from itertools import islice
from typing import TypeAlias

from .. import arguments
from ..errors import ConversationNotFound
from ..records import Conversation
from ..services.conversations import Conversations
from . import walks
from .repository_errors import ConversationNotFoundError
from .repository_objects import Message

Whole: TypeAlias = tuple[Conversation, list[Message]]

_BATCH = 10_000


def _find(talks: Conversations, number: int) -> Conversation | None:
    return talks.find_by_number(arguments.whole("conversation_id", number, -(2**63), 2**63 - 1))


def whole(talks: Conversations, number: int) -> Whole | None:
    """Return a conversation and its messages, or ``None``."""
    talk = _find(talks, number)
    if talk is None:
        return None
    try:
        return talk, [Message(number, message) for message in talks.iterate(talk.id, batch=_BATCH)]
    except ConversationNotFound:  # deleted meanwhile
        return None


def newest(talks: Conversations, number: int, limit: int) -> list[Message]:
    """Return the newest messages that a model should see, oldest first; nothing where there is no conversation."""
    talk = _find(talks, number)
    if talk is None:
        return []
    try:
        return [Message(number, message) for message in talks.context(talk.id, max_messages=limit)]
    except ConversationNotFound:  # deleted meanwhile
        return []


def listing(talks: Conversations, limit: int, offset: int) -> list[Whole]:
    """Return conversations with their messages, the newest activity first."""
    found = islice(walks.every(talks.list, most=offset + limit), offset, offset + limit)
    wholes = (whole(talks, talk.number) for talk in found)
    return [each for each in wholes if each is not None]


def append(talks: Conversations, number: int, role: str, content: str) -> tuple[Conversation, Message, Conversation]:
    """Append a message; return the conversation before, the message, and the conversation with it.

    It runs in a transaction, so that the conversation is there until the end.

    :raises ConversationNotFoundError: there is none.
    """
    before = _find(talks, number)
    if before is None:
        raise ConversationNotFoundError(number)
    message = Message(number, talks.add_message(before.id, role, content))
    return before, message, talks.get(before.id)


def delete(talks: Conversations, number: int) -> bool:
    """Delete a conversation with all its messages; return whether there was one."""
    talk = _find(talks, number)
    return talk is not None and talks.delete(talk.id)


def count(talks: Conversations, number: int) -> int:
    """Return how many messages a conversation has; the number is kept with it, nothing is counted."""
    talk = _find(talks, number)
    return 0 if talk is None else talk.message_count
