"""Conversations and messages as HAIA's repository returns them: objects that stay usable when their session has ended.

All their times are aware, in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from weakref import WeakValueDictionary

from .. import records


class Message:
    """A message.

    :ivar id: its integer key, or the id that it had in the database that it was adopted from.
    :ivar conversation_id: the id of its conversation.
    """

    __slots__ = ("_record", "conversation_id")

    def __init__(self, conversation_id: int, record: records.Message) -> None:
        self.conversation_id, self._record = conversation_id, record

    @property
    def id(self) -> int:
        """The integer key."""
        adopted = self._record.external_id
        is_of_haia = self._record.conversation_id == str(self.conversation_id)  # and kept the number that it had there
        return int(adopted) if is_of_haia and adopted and adopted.isascii() and adopted.isdigit() else self._record.id

    @property
    def role(self) -> str:
        """Who says it."""
        return self._record.role

    @property
    def content(self) -> str:
        """What is said."""
        return self._record.content

    @property
    def created_at(self) -> datetime:
        """When it was said, aware, in UTC."""
        return self._record.created_at

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and other._record == self._record

    def __hash__(self) -> int:
        return hash(self._record)

    def __repr__(self) -> str:
        return f"<Message(id={self.id}, conversation_id={self.conversation_id}, role={self.role!r})>"


class Conversation:
    """A conversation with its messages in their order, as they were when it was read.

    What its session adds afterwards is there too.
    """

    def __init__(self, talk: records.Conversation) -> None:
        self.id: int = talk.number
        self.created_at: datetime = talk.created_at
        self.updated_at: datetime = talk.updated_at
        self.messages: list[Message] = []

    @property
    def message_count(self) -> int:
        """How many messages it has."""
        return len(self.messages)

    def __repr__(self) -> str:
        return f"<Conversation(id={self.id}, messages={len(self.messages)})>"


class Known:
    """The conversations that a session has given out and that somebody still has.

    Each is one object however often it is asked for, and shows what the session adds, until that is rolled back.
    """

    def __init__(self) -> None:
        self._objects: WeakValueDictionary[int, Conversation] = WeakValueDictionary()
        self.forget_changes()

    def forget_changes(self) -> None:
        """Take what is there as it is: the session has committed."""
        self._added: set[Message] = set()
        self._times: dict[int, datetime] = {}

    def of(self, talk: records.Conversation, messages: Sequence[Message] = ()) -> Conversation:
        """Return the object of a conversation, as it is now."""
        found = self._objects.get(talk.number)
        if found is None:
            found = self._objects[talk.number] = Conversation(talk)
        found.updated_at = talk.updated_at
        found.messages[:] = messages
        return found

    def add(self, before: records.Conversation, message: Message, after: records.Conversation) -> Message:
        """Show a message that was just appended in its conversation, and return it.

        :param before: the conversation without it.
        :param after: the conversation with it.
        """
        self._added.add(message)
        self._times.setdefault(after.number, before.updated_at)
        known = self._objects.get(after.number)
        if known is not None:
            known.messages.append(message)
            known.updated_at = after.updated_at
        return message

    def take_back(self) -> None:
        """Show nothing of what was added: the session has rolled it back."""
        for number, updated_at in self._times.items():
            known = self._objects.get(number)
            if known is not None:
                known.messages[:] = [message for message in known.messages if message not in self._added]
                known.updated_at = updated_at
        self.forget_changes()
