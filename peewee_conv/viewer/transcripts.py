"""One conversation: its messages page by page with what the model sees of them, one message whole, the export."""

from __future__ import annotations

import io
import tempfile
from typing import IO, NamedTuple, cast

from ..errors import MessageNotFound
from ..records import Conversation, Message
from ..transfer import export_conversations, export_markdown
from ..window import PINS, tokens_of
from . import people
from .page import Download, Look, Values

_PER_PAGE = 50
_BEFORE_TARGET = 5  # messages shown before the one that was asked for
_LAST = 2**32 - 1
_IN_MEMORY = 1024 * 1024  # bytes of an export; more goes to a temporary file
_FORMATS = {"jsonl": ("application/jsonl", "jsonl"), "markdown": ("text/markdown", "md")}


class Window(NamedTuple):
    """What a model sees of a conversation now.

    :ivar sequences: of the messages in it; 0 stands for the assistant's instructions.
    :ivar begins_at: the first message of the unbroken run up to the newest one; ``None`` if there is none.
    """

    sequences: frozenset[int]
    begins_at: int | None
    messages: int
    tokens: int
    instructions: str | None


def conversation(look: Look) -> Values:
    """Gather a page of messages."""
    found = look.project.conversations.get(look.query.exact("id"))
    messages, target = _messages(look, found)
    pins = [pin for pin in PINS if look.query.text(pin)]
    max_messages = look.query.whole("max_messages", 20, 1, 100_000)
    max_tokens = look.query.optional_whole("max_tokens", 0, 10**9)
    window = _window(
        look.project.conversations.context(found.id, max_messages=max_messages, max_tokens=max_tokens, pin=pins)
    )
    return {
        "conversation": found,
        "messages": messages,
        "target": target,
        "first": messages[0].sequence if messages else 0,
        "last": messages[-1].sequence if messages else 0,
        "oldest": found.last_sequence - found.message_count + 1,
        "window": window,
        "max_messages": max_messages,
        "max_tokens": max_tokens,
        "pins": pins,
        "all_pins": PINS,
        "kept": {"id": found.id, **_asked(look), **dict.fromkeys(pins, 1)},
        "owner": people.users(look.project, [found.user_id]).get(found.user_id or ""),
        "bot": people.assistants(look.project, [found.assistant_id]).get(found.assistant_id or ""),
    }


def _asked(look: Look) -> Values:
    """Return the limits of the window that were asked for, for the links to other pages."""
    return {name: value for name in ("max_messages", "max_tokens") if (value := look.query.text(name)) is not None}


def _messages(look: Look, found: Conversation) -> tuple[list[Message], int | None]:
    """Return a page of messages, the newest if nothing is said, and the sequence of the one that was asked for."""
    read = look.project.conversations.messages
    target = look.query.optional_whole("at", 0, _LAST)
    if target is not None:
        return read(found.id, after=max(0, target - 1 - _BEFORE_TARGET), limit=_PER_PAGE), target
    after = look.query.optional_whole("after", 0, _LAST)
    if after is not None:
        return read(found.id, after=after, limit=_PER_PAGE), None
    before = look.query.whole("before", _LAST, 0, _LAST)
    return read(found.id, before=before, limit=_PER_PAGE), None


def _window(messages: list[Message]) -> Window:
    sequences = [message.sequence for message in messages if message.sequence]
    begins_at = sequences[-1] if sequences else None
    for sequence in reversed(sequences):
        if begins_at is None or sequence < begins_at - 1:
            break
        begins_at = sequence
    instructions = next((message.content for message in messages if not message.sequence), None)
    return Window(frozenset(sequences), begins_at, len(sequences), sum(map(tokens_of, messages)), instructions)


def message(look: Look) -> Download:
    """Return the content of one message as plain text, however long it is."""
    sequence = look.query.whole("sequence", 0, 0, _LAST)
    found = look.project.conversations.messages(look.query.exact("id"), after=max(0, sequence - 1), limit=1)
    if not found or found[0].sequence != sequence:
        raise MessageNotFound(sequence)
    return Download(io.BytesIO(found[0].content.encode()), "text/plain")


def export(look: Look) -> Download:
    """Return a conversation as a file to save."""
    form = look.query.choice("format", tuple(_FORMATS), "jsonl")
    found = look.project.conversations.get(look.query.exact("id"))
    mimetype, suffix = _FORMATS[form]
    stream = cast(IO[bytes], tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - closed with the response
    if form == "jsonl":
        export_conversations(look.project, stream, conversation_ids=[found.id])
    else:
        export_markdown(look.project, stream, found.id)
    stream.seek(0)
    return Download(stream, mimetype, f"conversation-{found.number}.{suffix}")
