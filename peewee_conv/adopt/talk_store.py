"""Writing conversations with their messages: plain functions of one transaction, over those of the service.

A conversation of Sovereign Assistant or ChatDF is known by its id, one of AutoForge or HAIA by its number; and all of
them by the moment of their creation. A number that is another conversation's here is left to it: the newcomer gets the
next one, and an id made of its origin, by which a later run finds it.
"""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from .. import arguments, message_queries
from ..errors import AlreadyExists, AssistantNotFound, UserNotFound
from ..legacy.rows import Refused, Row
from ..message_queries import NewMessage
from ..statements import WHOLE_PROJECT
from .ledger import Outcome
from .values import checked, json_object

_NUMBER, _ID, _USER, _COUNT, _LAST, _CREATED, _UPDATED = 0, 1, 3, 6, 8, 9, 10  # of WHOLE_PROJECT.find
_NEW, _THERE = Outcome(is_new=True), Outcome()


class Head(NamedTuple):
    """A conversation as it is to be stored.

    :ivar number: the one that it has in the source; ``None`` where that has none.
    :ivar moved_id: its id where it cannot keep the number.
    """

    number: int | None
    id: str
    assistant_id: str | None
    user_id: str | None
    project_name: str | None
    title: str | None
    created_at: str
    updated_at: str
    metadata: dict[str, Any]
    moved_id: str

    @classmethod
    def numbered(
        cls,
        system: str,
        id: object,
        created_at: str,
        updated_at: str,
        project_name: str | None = None,
        title: str | None = None,
    ) -> Head:
        """Return a conversation of a system that gives them integers.

        :raises Refused: *id* is none that a conversation can have here.
        """
        number = checked(arguments.whole, "id", id, 1, 2**31 - 1)
        moved_id = f"{system.lower()}-{number}-{created_at}"
        return cls(number, str(number), None, None, project_name, title, created_at, updated_at, {}, moved_id)


class Part(NamedTuple):
    """Some of a conversation's messages, in their order, with what became of the others on the way.

    :ivar position: how many messages of the conversation went before.
    :ivar sources: the rows of *messages* in the source.
    :ivar refused: rows that are no message here, with the reasons.
    :ivar noted: rows in which a value was replaced, with their tables.
    """

    head: Head
    source: Row
    is_first: bool
    position: int
    messages: list[NewMessage]
    sources: list[Row]
    refused: list[tuple[Row, str]]
    noted: list[tuple[str, Row, str]]

    @property
    def size(self) -> int:
        """How many rows it stands for."""
        return len(self.messages) + len(self.refused) + self.is_first


class PartOutcome(NamedTuple):
    """What has become of a part.

    :ivar is_deferred: nothing: its number is another conversation's.
    """

    conversation: Outcome
    messages: list[Outcome]
    is_deferred: bool = False


class _NumberTaken(Exception):
    """Internal: the conversation needs another number."""


def store_parts(connection: sqlite3.Connection, parts: list[Part], may_move: bool) -> list[PartOutcome]:
    """Store parts of conversations; return what has become of each.

    :param may_move: a conversation whose number is taken gets another one; otherwise it waits until all that can keep
        theirs are stored.
    """
    return [_store(connection, part, may_move) for part in parts]


def _store(connection: sqlite3.Connection, part: Part, may_move: bool) -> PartOutcome:
    try:
        stored, is_new = _conversation(connection, part, may_move)
    except _NumberTaken:
        return PartOutcome(_THERE, [], is_deferred=True)
    except Refused as refusal:
        left_out = Outcome(reason="its conversation was left out")
        return PartOutcome(Outcome(reason=str(refusal)), [left_out] * len(part.messages))
    here = stored[_ID] if stored[_ID] != part.head.id else None
    return PartOutcome(Outcome(is_new=is_new, here=here), _append(connection, stored, part))


# --- the conversation ---


def _conversation(connection: sqlite3.Connection, part: Part, may_move: bool) -> tuple[Any, bool]:
    """Return the stored row of a conversation, and whether it is new."""
    head = part.head
    stored = _find(connection, head)
    if stored is not None:
        return stored, False
    is_taken = head.number is not None and not _is_free(connection, head)
    if is_taken and not may_move:
        raise _NumberTaken
    if not part.is_first:
        raise Refused("somebody deleted it in the middle of the adoption")
    if not is_taken:
        return _create(connection, head), True
    metadata = {**head.metadata, "adopted": {"number": head.number}}
    return _create(connection, head._replace(number=None, id=head.moved_id, metadata=metadata)), True


def _find(connection: sqlite3.Connection, head: Head) -> Any:
    found = _one(connection, head.id)
    if head.number is None:
        if found is not None and (found[_CREATED], found[_USER]) != (head.created_at, head.user_id):
            raise Refused("the project has another conversation of that id")
        return found
    if found is not None and (found[_NUMBER], found[_CREATED]) == (head.number, head.created_at):
        return found
    return _one(connection, head.moved_id)


def _one(connection: sqlite3.Connection, id: str) -> Any:
    return message_queries.one(connection, WHOLE_PROJECT.find, (id, ""))


def _is_free(connection: sqlite3.Connection, head: Head) -> bool:
    sql = "SELECT 1 FROM conversations WHERE number = ? OR id = ?"
    return connection.execute(sql, (head.number, head.id)).fetchone() is None


def _create(connection: sqlite3.Connection, head: Head) -> Any:
    try:
        message_queries.create(connection, (*head[:8], json_object(head.metadata)))
    except (AlreadyExists, AssistantNotFound, UserNotFound) as error:
        raise Refused(str(error)) from error
    return _one(connection, head.id)


# --- its messages ---


def _append(connection: sqlite3.Connection, stored: Any, part: Part) -> list[Outcome]:
    key = (stored[_ID], "")
    new: dict[Any, NewMessage] = {}
    outcomes = []
    for place, message in enumerate(part.messages):
        twin = new.get(message[4])  # where the source has lost its primary key, an id may come twice
        outcomes.append(_judge(connection, stored, part, place) if twin is None else _compared(twin, message))
        if outcomes[-1].is_new:
            new[message[4]] = message
    if new:
        message_queries.append_many(connection, WHOLE_PROJECT, key, list(new.values()))
        # Not the time of the newest message, which an append takes it for: the source says when it was updated.
        connection.execute(
            "UPDATE conversations SET updated_at = ? WHERE number = ?",
            (max(stored[_UPDATED], part.head.updated_at), stored[_NUMBER]),
        )
    return outcomes


def _judge(connection: sqlite3.Connection, stored: Any, part: Part, place: int) -> Outcome:
    """Say what is to become of a message: is it new, stored, pruned since it was stored, or another one."""
    message = part.messages[place]
    if not stored[_LAST]:
        return _NEW
    found = message_queries.one(connection, WHOLE_PROJECT.by_external_id, (stored[_ID], "", message[4]))
    if found is not None:
        return _compared(found[1:], message)
    return _THERE if _was_pruned(connection, stored, part.position + place, message) else _NEW


def _compared(stored: Any, message: NewMessage) -> Outcome:
    """Return what becomes of a message whose id is that of a stored one: the same role and content are the same."""
    is_same = stored[:2] == message[:2]
    return _THERE if is_same else Outcome(reason="the conversation has another message of that id")


def _was_pruned(connection: sqlite3.Connection, stored: Any, position: int, message: NewMessage) -> bool:
    """Say whether a message was here and went with others from the beginning: it does not come back behind them."""
    if position >= stored[_LAST] - stored[_COUNT]:
        return False
    oldest = message_queries.one(connection, WHOLE_PROJECT.after, (stored[_ID], "", 0, 1))
    return oldest is None or bool(message[5] <= oldest[6])
