"""The mapped classes of the Sovereign Assistant: Assistant, Thread, Message.

A thread is a conversation of ours; the id of a message is its ``external_id``, or its key where it has none.
"""

from __future__ import annotations

import enum
import json
from datetime import datetime
from typing import Any, ClassVar

import peewee

from .. import arguments, errors, models, records
from ..errors import InvalidArgument, NotFound
from ..ids import new_id
from .naive_times import naive_utc
from .orm_columns import MOMENT, TEXT, WHOLE, Column, Kind
from .orm_session import Session
from .sessions import Base, aware, computed
from .state_errors import translated
from .thread_metadata import unwrap, wrap


class MessageRole(enum.Enum):
    """Who says something."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class OtherRole(enum.Enum):
    """The roles that messages of this package may have beyond those of the Sovereign Assistant."""

    TOOL = "tool"
    DEVELOPER = "developer"


def read_role(stored: str) -> MessageRole | OtherRole:
    """Return the role of a message."""
    return OtherRole(stored) if stored in ("tool", "developer") else MessageRole(stored)


def written_role(value: object) -> str:
    """Return the role that *value* names in any case, or is.

    :raises InvalidRole: it is none of the three.
    """
    name = value.name if isinstance(value, (MessageRole, OtherRole)) else value
    found = MessageRole.__members__.get(name.upper()) if isinstance(name, str) else None
    if found is None:
        raise errors.InvalidRole(value, [role.value for role in MessageRole])
    return str(found.value)


def _write_metadata(name: str, value: Any) -> str:
    return arguments.json_object(name, wrap(value))


def _read_metadata(stored: str) -> Any:
    return unwrap(json.loads(stored))


_ROLE = Kind(lambda name, value: written_role(value), read_role)
_METADATA = Kind(_write_metadata, _read_metadata)


class Assistant(Base):
    """A configured assistant."""

    table = models.Assistant
    missing: ClassVar[type[NotFound]] = errors.AssistantNotFound
    changeable = ("name", "instructions", "model")

    id = Column[str](models.Assistant.id, TEXT)
    name = Column[str](models.Assistant.name, TEXT)
    instructions = Column[str](models.Assistant.instructions, TEXT)
    model = Column[str](models.Assistant.model, TEXT)
    created_at = Column[datetime](models.Assistant.created_at, MOMENT)
    updated_at = Column[datetime](models.Assistant.updated_at, MOMENT)

    @property
    @translated()
    def threads(self) -> list[Thread]:
        """Its threads, the oldest first."""
        return self._related(Thread, Thread.assistant_id == self.id, Thread.created_at, models.Conversation.number)

    @classmethod
    def values_of(cls, record: records.Assistant) -> dict[str, Any]:
        """Return the values of the columns for a record of a service."""
        return {
            "id": record.id,
            "name": record.name,
            "instructions": record.instructions,
            "model": record.model,
            "created_at": naive_utc(record.created_at),
            "updated_at": naive_utc(record.updated_at),
        }

    @classmethod
    def insert_row(cls, session: Session, values: dict[str, Any]) -> str:
        """Store a new assistant and return its id."""
        needed = (values.get("name"), values.get("instructions"))
        optional = {name: values[name] for name in ("model", "id") if name in values}
        made_at = aware("created_at", values.get("created_at"))
        made = session.project.assistants.create(*needed, **optional, created_at=made_at)  # type: ignore[arg-type]
        return made.id

    @classmethod
    def update_row(cls, session: Session, key: str, changes: dict[str, Any]) -> None:
        """Change the name, the instructions or the model."""
        cls.check_changeable(changes)
        session.project.assistants.update(key, **changes)

    @classmethod
    def delete_row(cls, session: Session, key: str) -> None:
        """Delete an assistant with its threads and their messages."""
        session.project.assistants.delete(key)


def owner_of_thread(assistant_id: Any) -> Any:
    """Return the id of an assistant, of which a thread needs one.

    :raises AssistantNotFound: it is ``None``.
    """
    if assistant_id is None:
        raise errors.AssistantNotFound(None)
    return assistant_id


class Thread(Base):
    """A conversation with an assistant."""

    table = models.Conversation
    missing: ClassVar[type[NotFound]] = errors.ConversationNotFound
    changeable = ("assistant_id", "thread_metadata")

    id = Column[str](models.Conversation.id, TEXT)
    assistant_id = Column[str](models.Conversation.assistant, TEXT)
    created_at = Column[datetime](models.Conversation.created_at, MOMENT)
    updated_at = Column[datetime](models.Conversation.updated_at, MOMENT)
    thread_metadata = Column[Any](models.Conversation.metadata, _METADATA, default=lambda session: {})

    @property
    @translated()
    def assistant(self) -> Assistant | None:
        """Its assistant; ``None`` if it has none, or none any more."""
        return next(iter(self._related(Assistant, Assistant.id == self.assistant_id)), None)

    @property
    @translated()
    def messages(self) -> list[Message]:
        """Its messages, in their order."""
        return self._related(Message, Message.thread_id == self.id, models.Message.id)

    @classmethod
    def values_of(cls, record: records.Conversation) -> dict[str, Any]:
        """Return the values of the columns for a record of a service."""
        return {
            "id": record.id,
            "assistant_id": record.assistant_id,
            "created_at": naive_utc(record.created_at),
            "updated_at": naive_utc(record.updated_at),
            "thread_metadata": unwrap(record.metadata),
        }

    @classmethod
    def insert_row(cls, session: Session, values: dict[str, Any]) -> str:
        """Store a new thread and return its id."""
        made = session.project.conversations.create(
            id=values.get("id"),
            assistant_id=owner_of_thread(values.get("assistant_id")),
            metadata=wrap(values.get("thread_metadata", {})),
            created_at=aware("created_at", values.get("created_at")),
        )
        return made.id

    @classmethod
    def update_row(cls, session: Session, key: str, changes: dict[str, Any]) -> None:
        """Change the assistant or the metadata."""
        cls.check_changeable(changes)
        if "thread_metadata" in changes:
            changes["metadata"] = wrap(changes.pop("thread_metadata"))
        session.project.conversations.update(key, **changes)

    @classmethod
    def delete_row(cls, session: Session, key: str) -> None:
        """Delete a thread with its messages."""
        session.project.conversations.delete(key)


class _Key(Column[int]):
    """The key of a message in its table; whoever looks a message up by a text means its id."""

    def _compare(self, operator: str, value: Any) -> peewee.Expression:
        if isinstance(value, str):
            return Message.id._compare(operator, value)
        return super()._compare(operator, value)


class _ThreadId(Column[str]):
    """The thread of a message: looked up by the number of the conversation, which has an index."""

    def _compare(self, operator: str, value: Any) -> peewee.Expression:
        if operator != "=":
            return super()._compare(operator, value)
        number = models.Conversation.select(models.Conversation.number).where(Thread.id == value)
        return peewee.Expression(models.Message.conversation, operator, number)


_shown_id = peewee.fn.COALESCE(models.Message.external_id, models.Message.id.cast("TEXT"))
_thread_id = models.Conversation.select(models.Conversation.id).where(
    models.Conversation.number == models.Message.conversation
)
_token_count = peewee.fn.COALESCE(models.Message.token_count, 0)


class Message(Base):
    """What somebody said in a thread."""

    table = models.Message
    missing: ClassVar[type[NotFound]] = errors.MessageNotFound
    key = "number"

    number = _Key(models.Message.id, WHOLE)
    id = Column[str](computed(models.Message, _shown_id), TEXT)
    thread_id = _ThreadId(computed(models.Message, _thread_id), TEXT)
    role = Column[MessageRole | OtherRole](models.Message.role, _ROLE)
    content = Column[str](models.Message.content, TEXT)
    timestamp = Column[datetime](models.Message.created_at, MOMENT)
    token_count = Column[int](computed(models.Message, _token_count), WHOLE)

    @property
    @translated()
    def thread(self) -> Thread | None:
        """Its thread; ``None`` if that is gone."""
        return next(iter(self._related(Thread, Thread.id == self.thread_id)), None)

    @classmethod
    def values_of(cls, record: records.Message) -> dict[str, Any]:
        """Return the values of the columns for a record of a service."""
        return {
            "number": record.id,
            "id": record.external_id or str(record.id),
            "thread_id": record.conversation_id,
            "role": read_role(record.role),
            "content": record.content,
            "timestamp": naive_utc(record.created_at),
            "token_count": record.token_count or 0,
        }

    @classmethod
    def insert_row(cls, session: Session, values: dict[str, Any]) -> int:
        """Append a message to its thread and return its key."""
        made = session.project.conversations.add_message(
            values.get("thread_id"),  # type: ignore[arg-type]  # what is missing is refused there
            written_role(values.get("role", MessageRole.USER)),
            values.get("content"),  # type: ignore[arg-type]
            token_count=values.get("token_count"),
            external_id=values.get("id") or new_id(),
            created_at=aware("timestamp", values.get("timestamp")),
        )
        return made.id

    @classmethod
    def update_row(cls, session: Session, key: int, changes: dict[str, Any]) -> None:
        """Refuse: what was said stays as it is."""
        cls.check_changeable(changes)

    @classmethod
    def delete_row(cls, session: Session, key: int) -> None:
        """Refuse: a thread has no holes."""
        raise InvalidArgument("instance", key, "a thread, or delete_old_messages() for the oldest of its messages")
