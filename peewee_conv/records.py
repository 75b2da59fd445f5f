"""What services return: immutable, typed rows that outlive scope, thread and even the row itself.

A record is made from the row as SQLite gives it; times and JSON are read when they are asked for, so that a long
conversation costs little more than its fetch. Use the attributes: the order of the tuple inside is nobody's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter

from .clock import from_text, to_text
from .errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Literal, Self, TypeVar

    T = TypeVar("T")

_STORED = "an object or an array; the file is damaged, see 'peewee-conv check'"


def column(index: int) -> Any:
    """Describe an attribute that gives a value as it is stored."""
    return property(itemgetter(index))


def moment(index: int) -> Any:
    """Describe an attribute that gives a stored time as an aware ``datetime``."""
    return property(lambda row: None if row[index] is None else from_text(row[index]))


def json_object(index: int) -> Any:
    """Describe an attribute that gives stored JSON as a dictionary, a new one each time; NULL is the empty one."""
    return property(lambda row: stored_json(row[index], dict) if row[index] else {})


def stored_json(text: Any, kind: type[T]) -> T:
    """Return the value of stored JSON, an object or an array.

    :raises InvalidArgument: the file is damaged, or was changed past its rules.
    """
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument("stored JSON", "...", _STORED) from error
    if not isinstance(found, kind):
        raise InvalidArgument("stored JSON", "...", _STORED)
    return found


class Record(tuple["Any", ...]):
    """The base of all records: equal by value, hashable, picklable, readable."""

    __slots__ = ()
    fields: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, row: Iterable[Any]) -> Self:
        """Make a record of one row."""
        return tuple.__new__(cls, row)

    @classmethod
    def all_of(cls, rows: Iterable[Iterable[Any]]) -> list[Self]:
        """Make a record of each row."""
        return list(map(cls, rows))

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON: times as ISO 8601 text in UTC."""
        return {name: _plain(getattr(self, name)) for name in self.fields}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_short(getattr(self, name))}" for name in self.fields)
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_text(value)
    return value.to_dict() if isinstance(value, Record) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Assistant(Record):
    """A configured assistant."""

    __slots__ = ()
    fields = ("id", "name", "instructions", "model", "metadata", "created_at", "updated_at")

    id: str = column(0)
    name: str = column(1)
    instructions: str = column(2)
    model: str = column(3)
    metadata: dict[str, Any] = json_object(4)
    created_at: datetime = moment(5)
    updated_at: datetime = moment(6)


class Conversation(Record):
    """A conversation, with its counts as they were when it was read.

    :ivar number: its key, 1 to 2^31-1, never reused.
    :ivar title: ``None`` until somebody titles it or a user writes the first message.
    :ivar token_count: the sum over the messages that have a count.
    :ivar last_sequence: the sequence of the newest message ever appended; 0 for none.
    """

    __slots__ = ()
    fields = (
        "number",
        "id",
        "assistant_id",
        "user_id",
        "project_name",
        "title",
        "message_count",
        "token_count",
        "last_sequence",
        "created_at",
        "updated_at",
        "metadata",
    )

    number: int = column(0)
    id: str = column(1)
    assistant_id: str | None = column(2)
    user_id: str | None = column(3)
    project_name: str | None = column(4)
    title: str | None = column(5)
    message_count: int = column(6)
    token_count: int = column(7)
    last_sequence: int = column(8)
    created_at: datetime = moment(9)
    updated_at: datetime = moment(10)
    metadata: dict[str, Any] = json_object(11)


class Message(Record):
    """A message.

    :ivar id: its key, ``conversation number << 32 | sequence``.
    :ivar sequence: its place in the conversation, from 1, never handed out twice.
    :ivar token_count: ``None`` where nobody counted.
    :ivar external_id: the caller's own id, unique in the conversation.
    :ivar status: ``"complete"``; ``"streaming"`` while it is written piece by piece; ``"interrupted"`` where that ended
        before its end.
    """

    __slots__ = ()
    fields = (
        "id",
        "conversation_id",
        "role",
        "content",
        "token_count",
        "metadata",
        "external_id",
        "created_at",
        "sequence",
        "status",
    )

    conversation_id: str = column(0)
    id: int = column(1)
    role: str = column(2)
    content: str = column(3)
    token_count: int | None = column(4)
    metadata: dict[str, Any] = json_object(5)
    external_id: str | None = column(6)
    created_at: datetime = moment(7)

    @property
    def sequence(self) -> int:
        """The place in the conversation, from 1."""
        key: int = self[1]
        return key & 0xFFFFFFFF

    @property
    def status(self) -> Literal["complete", "streaming", "interrupted"]:
        """How far it has been written."""
        return self[8] or "complete"

    @classmethod
    def all_in(cls, conversation_id: str, rows: Iterable[tuple[Any, ...]]) -> list[Self]:
        """Make a record of each row, given without the id of the conversation that they have in common."""
        head = (conversation_id,)  # so that SQLite need not repeat it for each row
        return [cls(head + row) for row in rows]


class SearchHit(Record):
    """A message that a search found.

    :ivar title: the title of its conversation.
    :ivar snippet: the part of the content around the words, marked; not escaped for HTML.
    :ivar score: higher is better; only comparable within one answer.
    """

    __slots__ = ()
    fields = ("message", "title", "snippet", "score")

    title: str | None = column(9)
    snippet: str = column(10)
    score: float = column(11)

    @property
    def message(self) -> Message:
        """The message itself."""
        return Message.of(self[:9])


class Page(list["T"]):
    """One page of a list; iterate over it.

    :ivar next: pass it as ``after=`` for the following page; ``None`` on the last one.
    """

    def __init__(self, items: Iterable[T], next: str | None) -> None:
        super().__init__(items)
        self.next = next
