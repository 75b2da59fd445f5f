"""The mapped classes of AutoForge's ``assistant.db``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from .. import models, records
from ..errors import ConversationNotFound, InvalidArgument, MessageNotFound, NotFound
from .naive_times import naive_utc
from .orm_columns import MOMENT, TEXT, WHOLE, Column
from .orm_session import Session
from .sessions import Base as Base
from .sessions import aware


class Conversation(Base):
    """A conversation; its id is the ``number`` of ours."""

    table = models.Conversation
    missing: ClassVar[type[NotFound]] = ConversationNotFound
    changeable = ("project_name", "title")

    id = Column[int](models.Conversation.number, WHOLE)
    project_name = Column[str](models.Conversation.project_name, TEXT)
    title = Column[str | None](models.Conversation.title, TEXT)
    created_at = Column[datetime](models.Conversation.created_at, MOMENT)
    updated_at = Column[datetime](models.Conversation.updated_at, MOMENT)

    @property
    def messages(self) -> list[ConversationMessage]:
        """Its messages, in their order."""
        return self._related(ConversationMessage, ConversationMessage.conversation_id == self.id, models.Message.id)

    @classmethod
    def values_of(cls, record: records.Conversation) -> dict[str, Any]:
        """Return the values of the columns for a record of a service."""
        return {
            "id": record.number,
            "project_name": record.project_name,
            "title": record.title,
            "created_at": naive_utc(record.created_at),
            "updated_at": naive_utc(record.updated_at),
        }

    @classmethod
    def insert_row(cls, session: Session, values: dict[str, Any]) -> int:
        """Store a new conversation and return its number."""
        made = session.project.conversations.create(
            number=values.get("id"),
            project_name=values.get("project_name"),
            title=values.get("title"),
            created_at=aware("created_at", values.get("created_at")),
        )
        return made.number

    @classmethod
    def update_row(cls, session: Session, key: int, changes: dict[str, Any]) -> None:
        """Change the project name or the title."""
        cls.check_changeable(changes)
        session.project.conversations.update(_text_id(session, key), **changes)

    @classmethod
    def delete_row(cls, session: Session, key: int) -> None:
        """Delete a conversation with its messages."""
        session.project.conversations.delete(_text_id(session, key))


class ConversationMessage(Base):
    """A message; its id is the integer key of ours."""

    table = models.Message
    missing: ClassVar[type[NotFound]] = MessageNotFound

    id = Column[int](models.Message.id, WHOLE)
    conversation_id = Column[int](models.Message.conversation, WHOLE)
    role = Column[str](models.Message.role, TEXT)
    content = Column[str](models.Message.content, TEXT)
    timestamp = Column[datetime](models.Message.created_at, MOMENT)

    @property
    def conversation(self) -> Conversation | None:
        """Its conversation; ``None`` if that is gone."""
        return next(iter(self._related(Conversation, Conversation.id == self.conversation_id)), None)

    @classmethod
    def insert_row(cls, session: Session, values: dict[str, Any]) -> int:
        """Append a message to its conversation and return its key."""
        made = session.project.conversations.add_message(
            _text_id(session, values.get("conversation_id")),
            values.get("role"),  # type: ignore[arg-type]  # refused there
            values.get("content"),  # type: ignore[arg-type]
            created_at=aware("timestamp", values.get("timestamp")),
        )
        return made.id

    @classmethod
    def update_row(cls, session: Session, key: int, changes: dict[str, Any]) -> None:
        """Refuse: what was said stays as it is."""
        cls.check_changeable(changes)

    @classmethod
    def delete_row(cls, session: Session, key: int) -> None:
        """Refuse: a conversation has no holes."""
        raise InvalidArgument("instance", key, "a conversation, which goes with all its messages")


def _text_id(session: Session, number: Any) -> str:
    found = None if number is None else session.project.conversations.find_by_number(number)
    if found is None:
        raise ConversationNotFound(number)
    return found.id
