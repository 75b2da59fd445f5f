"""SQLAlchemy's ORM in the shape of the usual state manager: mapped classes, a sessionmaker, a session for each call."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, create_engine, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from .. import data
from .base import Contender


class Base(DeclarativeBase):
    """The base of the mapped classes."""


class Conversation(Base):
    """A conversation."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class Message(Base):
    """A message; its key gives the order."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    role: Mapped[str]
    content: Mapped[str]
    token_count: Mapped[int | None]
    created_at: Mapped[datetime]


class SqlalchemyOrm(Contender):
    """SQLAlchemy's ORM."""

    weight = 0.05

    def load(self, template: str) -> None:
        """Make tables of its own and fill them."""
        self.attach()
        Base.metadata.create_all(self.engine)
        place = 0
        with self.engine.begin() as connection:
            for conversation, messages in data.stored(template):
                place += 1
                now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=place)
                row = {"id": conversation, "title": None, "created_at": now, "updated_at": now}
                connection.execute(Conversation.__table__.insert(), [row])
                rows = [
                    {"conversation_id": conversation, "role": role, "content": content, "created_at": now}
                    for role, content in messages
                ]
                if rows:
                    connection.execute(Message.__table__.insert(), rows)

    def attach(self) -> None:
        """Make the engine of the file in the folder."""
        path = os.path.join(self.folder, "state.db")
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30}, pool_size=16)
        event.listen(self.engine, "connect", self._configure)
        self.session = sessionmaker(self.engine)

    def _configure(self, connection: Any, record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA synchronous = {self.durability.upper()}")

    def append(self, conversation: str, role: str, content: str) -> Any:
        """Append a message by a session of its own."""
        with self.session() as session:
            now = datetime.now(UTC)
            message = Message(conversation_id=conversation, role=role, content=content, created_at=now)
            session.add(message)
            session.get_one(Conversation, conversation).updated_at = now
            session.commit()
            return message.id

    def append_many(self, conversation: str, messages: list[tuple[str, str]]) -> Any:
        """Append messages by ``add_all()``."""
        with self.session() as session:
            now = datetime.now(UTC)
            session.add_all(
                Message(conversation_id=conversation, role=role, content=content, created_at=now)
                for role, content in messages
            )
            session.get_one(Conversation, conversation).updated_at = now
            session.commit()

    def newest(self, conversation: str, count: int) -> Any:
        """Return the newest messages, oldest first."""
        with self.session() as session:
            query = select(Message).where(Message.conversation_id == conversation)
            return session.scalars(query.order_by(Message.id.desc()).limit(count)).all()[::-1]

    def whole(self, conversation: str, count: int) -> Any:
        """Return the messages of a conversation."""
        with self.session() as session:
            query = select(Message).where(Message.conversation_id == conversation)
            return session.scalars(query.order_by(Message.id)).all()

    def listing(self, count: int) -> Any:
        """Return the newest conversations; the messages of each are counted."""
        counted = select(func.count(Message.id)).where(Message.conversation_id == Conversation.id).scalar_subquery()
        with self.session() as session:
            query = select(Conversation, counted).order_by(Conversation.updated_at.desc()).limit(count)
            return session.execute(query).all()

    def contents(self, answer: Any) -> list[str]:
        """Return the contents."""
        return [message.content for message in answer]

    def counts(self, answer: Any) -> list[tuple[str, int]]:
        """Return id and count."""
        return [(conversation.id, count) for conversation, count in answer]

    def close(self) -> None:
        """Close the pool."""
        self.engine.dispose()
