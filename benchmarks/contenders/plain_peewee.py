"""Plain Peewee: models of one's own on the same tables, in the way its documentation writes them."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from peewee import AutoField, ForeignKeyField, IntegerField, Model, SqliteDatabase, TextField

from .. import data
from .base import Contender


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def _models(database: SqliteDatabase) -> tuple[Any, Any]:
    class Conversation(Model):
        number = AutoField()
        id = TextField(unique=True)
        title = TextField(null=True)
        message_count = IntegerField(default=0)
        token_count = IntegerField(default=0)
        last_sequence = IntegerField(default=0)
        created_at = TextField()
        updated_at = TextField()
        metadata = TextField(default="{}")

        class Meta:
            table_name = "conversations"

    class Message(Model):
        id = IntegerField(primary_key=True)
        conversation = ForeignKeyField(Conversation, column_name="conversation", backref="messages")
        sequence = IntegerField()
        role = TextField()
        content = TextField()
        token_count = IntegerField(null=True)
        metadata = TextField(null=True)
        external_id = TextField(null=True)
        created_at = TextField()

        class Meta:
            table_name = "messages"

    database.bind([Conversation, Message])
    return Conversation, Message


class PlainPeewee(Contender):
    """Peewee's models."""

    weight = 0.2

    def load(self, template: str) -> None:
        """Copy the file and bind the models to it."""
        data.copy_to(template, self.folder)
        self.attach()

    def attach(self) -> None:
        """Bind the models to the file in the folder."""
        pragmas = {"foreign_keys": 1, "synchronous": self.durability.upper()}
        self.database = SqliteDatabase(
            data.path_in(self.folder), pragmas=pragmas, timeout=30, cached_statements=256, check_same_thread=False
        )
        self._opened: set[sqlite3.Connection] = set()
        self.conversation, self.message = _models(self.database)

    def scope(self) -> AbstractContextManager[Any]:
        """Open the connection of this thread, which it keeps."""
        self.database.connect(reuse_if_open=True)
        self._opened.add(self.database.connection())
        return nullcontext()

    def _new(self, conversation: str, count: int) -> Any:
        """Allot the next sequences; return the conversation as it was before."""
        found = self.conversation.get(self.conversation.id == conversation)
        self.conversation.update(
            last_sequence=self.conversation.last_sequence + count,
            message_count=self.conversation.message_count + count,
            updated_at=_now(),
        ).where(self.conversation.number == found.number).execute()
        return found

    def append(self, conversation: str, role: str, content: str) -> Any:
        """Append a message by ``create()``."""
        with self.database.atomic("IMMEDIATE"):
            found = self._new(conversation, 1)
            sequence = found.last_sequence + 1
            return self.message.create(
                force_insert=True,
                id=found.number << 32 | sequence,
                conversation=found,
                sequence=sequence,
                role=role,
                content=content,
                created_at=_now(),
            )

    def append_many(self, conversation: str, messages: list[tuple[str, str]]) -> Any:
        """Append messages by ``insert_many()``."""
        with self.database.atomic("IMMEDIATE"):
            found = self._new(conversation, len(messages))
            rows = [
                {
                    "id": found.number << 32 | sequence,
                    "conversation": found.number,
                    "sequence": sequence,
                    "role": role,
                    "content": content,
                    "created_at": _now(),
                }
                for sequence, (role, content) in enumerate(messages, found.last_sequence + 1)
            ]
            for first in range(0, len(rows), 500):
                self.message.insert_many(rows[first : first + 500]).execute()

    def newest(self, conversation: str, count: int) -> Any:
        """Return the newest messages, oldest first."""
        found = self.conversation.get(self.conversation.id == conversation)
        span = self.message.id.between(found.number << 32, (found.number + 1 << 32) - 1)
        newest = list(self.message.select().where(span).order_by(self.message.id.desc()).limit(count))
        return newest[::-1]

    def whole(self, conversation: str, count: int) -> Any:
        """Return the messages of a conversation."""
        found = self.conversation.get(self.conversation.id == conversation)
        span = self.message.id.between(found.number << 32, (found.number + 1 << 32) - 1)
        return list(self.message.select().where(span).order_by(self.message.id))

    def listing(self, count: int) -> Any:
        """Return the newest conversations."""
        model = self.conversation
        return list(model.select().order_by(model.updated_at.desc(), model.number.desc()).limit(count))

    def contents(self, answer: Any) -> list[str]:
        """Return the contents."""
        return [message.content for message in answer]

    def counts(self, answer: Any) -> list[tuple[str, int]]:
        """Return id and count."""
        return [(conversation.id, conversation.message_count) for conversation in answer]

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._opened:
            self._opened.pop().close()
