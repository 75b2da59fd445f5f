"""The shape of a conversation outside: the dictionaries of chat completions, checked on their way in.

``{"id": ..., "title": ..., "project_name": ..., "created_at": ..., "metadata": {...}, "messages": [...]}`` and in it
``{"role": ..., "content": ..., "token_count": ..., "metadata": {...}, "external_id": ..., "created_at": ...}``; only
``messages`` and in it ``role`` and ``content`` are needed. What chat completions say besides (``tool_calls``, ``name``
and the like) is kept in the metadata and comes out where it came in. Any other key is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from . import arguments
from .clock import to_text
from .errors import InvalidArgument, InvalidContent
from .ids import check_id
from .message_queries import NewMessage, Row
from .records import Conversation, Message
from .services.conversations import Conversations

#: What chat completions know of a message besides role and content.
MESSAGE_EXTRAS: Final = (
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
    "reasoning_content",
    "annotations",
    "audio",
    "weight",
)
#: What they know of a conversation besides its messages.
CONVERSATION_EXTRAS: Final = ("tools", "functions", "parallel_tool_calls")
FIELDS: Final = ("role", "content", "token_count", "metadata", "external_id", "created_at")

_STATUSES = ("complete", "interrupted")
_METADATA = FIELDS.index("metadata")
_HEAD = ("id", "title", "project_name", "created_at", "metadata", "messages")
_SPEAKS_WITHOUT_CONTENT = {"tool_calls", "function_call", "refusal", "audio"}


class Item(NamedTuple):
    """A conversation that was checked, as it is to be stored.

    :ivar line: where it begins in the source.
    :ivar row: the parameters of ``message_queries.create``.
    :ivar is_untitled: it says that it has no title, and gets none from its messages.
    :ivar given: for each message a bit for each of its fields that the source has.
    :ivar interrupted: the places of the messages that are incomplete.
    """

    line: int
    row: Row
    is_untitled: bool
    messages: list[NewMessage]
    given: list[int]
    interrupted: list[int]

    @property
    def id(self) -> str:
        """The id of the conversation."""
        found: str = self.row[1]
        return found

    def dump(self) -> bytes:
        """Return it as one line for a temporary file."""
        return json.dumps(self).encode() + b"\n"

    @classmethod
    def load(cls, line: bytes) -> Item:
        """Read what :meth:`dump` wrote."""
        number, row, is_untitled, messages, given, interrupted = json.loads(line)
        return cls(number, tuple(row), is_untitled, [tuple(message) for message in messages], given, interrupted)


class Checker:
    """Turns dictionaries into items, by the rules of the conversations service.

    :param service: the project's.
    :param now: the time of what has none, as stored text.
    """

    def __init__(
        self, service: Conversations, now: str, assistant_id: str | None = None, user_id: str | None = None
    ) -> None:
        self._service, self._now = service, now
        self._owners = (
            None if assistant_id is None else check_id("assistant_id", assistant_id),
            None if user_id is None else check_id("user_id", user_id),
        )
        self._lines: dict[str, int] = {}

    def item(self, line: int, value: object) -> Item:
        """Return the conversation that *value* describes.

        :raises InvalidArgument: it describes none; the text says where.
        """
        if not isinstance(value, dict):
            raise InvalidArgument("conversation", type(value).__name__, "a JSON object")
        head, extras = _split(value, CONVERSATION_EXTRAS)
        _refuse_unknown("conversation", head, (*_HEAD, *CONVERSATION_EXTRAS))
        messages, given, interrupted = self._messages(head.get("messages"))
        first = messages[0][5] if messages and given[0] >> 5 & 1 else self._now
        created_at = arguments.moment("created_at", _moment("created_at", head.get("created_at")), first)
        row = (
            None,
            self._id(line, value),
            *self._owners,
            arguments.optional_text("project_name", head.get("project_name"), 255),
            arguments.optional_text("title", head.get("title"), 200) or None,
            created_at,
            created_at,
            arguments.json_object("metadata", _merge("conversation", head.get("metadata"), extras)),
        )
        return Item(line, row, "title" in head and not head["title"], messages, given, interrupted)

    def _id(self, line: int, value: dict[str, Any]) -> str:
        """Return the id, or one made of the content: so that what has none is not stored twice either."""
        id = value.get("id")
        if id is None:
            id = self._made_id(value)
        other = self._lines.setdefault(check_id("id", id), line)
        if other != line:
            raise InvalidArgument("id", id, f"an id that occurs once, but line {other} has it too")
        return str(id)

    def _made_id(self, value: dict[str, Any]) -> str:
        digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
        id, count = f"import-{digest}", 1
        while id in self._lines:
            count += 1
            id = f"import-{digest}-{count}"
        return id

    def _messages(self, values: object) -> tuple[list[NewMessage], list[int], list[int]]:
        if not isinstance(values, list):
            raise InvalidArgument("messages", type(values).__name__, "a list of messages")
        messages, given, interrupted, external_ids = [], [], [], set()
        for place, value in enumerate(values):
            fields = _message_fields(place, value)
            if _is_interrupted(place, fields.pop("status", None)):
                interrupted.append(place)
            message = self._service._checked_mapping(self._now, place, fields)  # the rules of add_messages
            if message[4] is not None and message[4] in external_ids:
                raise InvalidArgument(f"messages[{place}].external_id", message[4], "an id that occurs once")
            external_ids.add(message[4])
            messages.append(message)
            given.append(sum(1 << at for at, name in enumerate(FIELDS) if fields.get(name) is not None))
        return messages, given, interrupted


def _message_fields(place: int, value: object) -> dict[str, Any]:
    where = f"messages[{place}]"
    if not isinstance(value, dict):
        raise InvalidArgument(where, type(value).__name__, "a JSON object with 'role' and 'content'")
    fields, extras = _split(value, MESSAGE_EXTRAS)
    _refuse_unknown(where, fields, (*FIELDS, "status", *MESSAGE_EXTRAS))
    if fields.get("content") is None and extras.keys() & _SPEAKS_WITHOUT_CONTENT:
        fields["content"] = ""
    if isinstance(fields.get("content"), list):
        raise InvalidContent("it is a list of parts", f"one text in {where}")
    if extras:
        fields["metadata"] = _merge(where, fields.get("metadata"), extras)
    fields["created_at"] = _moment(f"{where}.created_at", fields.get("created_at"))
    return fields


def _is_interrupted(place: int, status: object) -> bool:
    return status is not None and arguments.one_of(f"messages[{place}].status", status, _STATUSES) != "complete"


def _split(value: dict[str, Any], names: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take what belongs into the metadata out of a dictionary; ``null`` is as good as nothing."""
    extras = {name: value[name] for name in names if value.get(name) is not None}
    return {name: found for name, found in value.items() if name not in names}, extras


def _merge(where: str, metadata: object, extras: dict[str, Any]) -> Any:
    if not extras or not isinstance(metadata, dict | None):
        return metadata
    twice = sorted(extras.keys() & (metadata or {}).keys())
    if twice:
        raise InvalidArgument(where, twice, "each key in one place: beside the others, or in 'metadata'")
    return {**(metadata or {}), **extras}


def _refuse_unknown(where: str, value: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(value.keys() - set(known))
    if unknown:
        raise InvalidArgument(f"key of {where}", unknown[0], "one of " + ", ".join(known))


def _moment(argument: str, value: object) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and "T" in value:
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise InvalidArgument(argument, value, "an ISO 8601 time with a time zone, such as 2026-01-31T09:30:00Z")


# --- the way out ---


def conversation_dict(conversation: Conversation) -> dict[str, Any]:
    """Return all but the messages. Owners stay here: they are rows that the file would not have."""
    metadata = conversation.metadata
    told: dict[str, Any] = {"id": conversation.id, "title": conversation.title or None}
    if conversation.project_name is not None:
        told["project_name"] = conversation.project_name
    told["created_at"] = to_text(conversation.created_at)
    extras = _lift(metadata, CONVERSATION_EXTRAS)
    return told | ({"metadata": metadata} if metadata else {}) | extras


def message_dict(message: Message) -> dict[str, Any]:
    """Return a message as chat completions have it, and what we know besides."""
    metadata = message.metadata
    told: dict[str, Any] = {"role": message.role, "content": message.content}
    told |= _lift(metadata, MESSAGE_EXTRAS)
    if message.token_count is not None:
        told["token_count"] = message.token_count
    if metadata:
        told["metadata"] = metadata
    if message.external_id is not None:
        told["external_id"] = message.external_id
    told["created_at"] = to_text(message.created_at)
    if message.status != "complete":
        told["status"] = "interrupted"  # wherever this is read, nobody writes the rest
    return told


def _lift(metadata: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: metadata.pop(name) for name in names if metadata.get(name) is not None}


def first_difference(stored: Row, message: NewMessage, given: int) -> str | None:
    """Return the first field in which a stored message is not the one of a source, among those that the source has.

    :param stored: id, then the fields.
    """
    for at, name in enumerate(FIELDS):
        if (at < 2 or given >> at & 1) and stored[at + 1] != message[at]:
            if at == _METADATA and _canonical(stored[at + 1]) == _canonical(message[at]):
                continue
            return name
    return None


def _canonical(metadata: Any) -> str:
    # As text again: True is 1 in Python and not in JSON.
    return json.dumps(json.loads(metadata or "{}"), sort_keys=True)
