"""Storing what was read: check everything, compare everything, then write.

All of a source is checked into a temporary file before the first write, so that it is read once and cannot change in
between. What differs from what is stored is found before the first write, too, and again in each transaction, since
somebody else may write meanwhile.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from . import message_queries
from .database.faults import translate
from .database.handle import Handle
from .errors import ImportRejected, InvalidArgument
from .message_queries import Row
from .schemas import assistant
from .statements import WHOLE_PROJECT
from .transfer_shape import Checker, Item, first_difference

if TYPE_CHECKING:
    from .project import Project

#: ``on_progress(done, total)``, in conversations.
Progress = Callable[[int, int], object]

_BATCH = 2000  # messages that one transaction stores: other writers wait for no more
_IN_MEMORY = 8 * 1024 * 1024  # bytes of checked conversations, before they go to a temporary file


class ImportReport(NamedTuple):
    """What an import found and did.

    :ivar conversations: how many the source has, and ``messages`` in them.
    :ivar conversations_extended: stored before with fewer messages, now with those that were missing.
    :ivar conversations_unchanged: stored before with all their messages.
    """

    source: str
    conversations: int
    messages: int
    conversations_added: int
    conversations_extended: int
    conversations_unchanged: int
    messages_added: int

    @property
    def is_unchanged(self) -> bool:
        """Whether everything was there already."""
        return self.conversations == self.conversations_unchanged


def store(
    project: Project,
    name: str,
    values: Iterable[tuple[int, Any]],
    checker: Checker,
    on_progress: Progress | None,
) -> ImportReport:
    """Store what *checker* makes of *values*, the conversations of a source called *name* with their lines.

    :raises ImportRejected: one of them is refused.
    """
    handle = Handle(project._binding, assistant)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
        conversations, messages = _check(name, values, checker, spool)
        counts = _Counts(conversations, on_progress)
        offsets = _compare(handle, name, spool, counts)
        for batch in _batches(spool, offsets):
            counts.add(_attempt(name, counts.stored, handle.write, _store, batch))
    return ImportReport(name, conversations, messages, counts.added, counts.extended, counts.unchanged, counts.messages)


def _check(name: str, values: Iterable[tuple[int, Any]], checker: Checker, spool: IO[bytes]) -> tuple[int, int]:
    """Check the source to its end and keep what is to be stored; return how many conversations and messages."""
    conversations = messages = 0
    for line, value in values:
        try:
            item = checker.item(line, value)
        except InvalidArgument as error:
            raise ImportRejected(name, line, str(error)) from error
        _keep(spool, item)
        conversations += 1
        messages += len(item.messages)
    return conversations, messages


def _keep(spool: IO[bytes], item: Item) -> None:
    try:
        spool.write(item.dump())
    except OSError as error:
        raise translate(error, tempfile.gettempdir()) from error


class _Counts:
    """What has become of the conversations so far."""

    def __init__(self, total: int, on_progress: Progress | None) -> None:
        self.added = self.extended = self.unchanged = self.messages = 0
        self._total, self._on_progress = total, on_progress

    @property
    def stored(self) -> int:
        """How many conversations this import has changed."""
        return self.added + self.extended

    def add(self, outcomes: Iterable[tuple[bool, int]]) -> None:
        """Count conversations: whether each is new, and how many messages it got."""
        for is_new, messages in outcomes:
            self.added += is_new
            self.extended += messages > 0 and not is_new
            self.unchanged += not messages and not is_new
            self.messages += messages
        if self._on_progress is not None:
            self._on_progress(self.stored + self.unchanged, self._total)


def _compare(handle: Handle, name: str, spool: IO[bytes], counts: _Counts) -> list[int]:
    """Compare all with what is stored; return where those begin in *spool* that are to be written."""
    spool.seek(0)
    offsets, offset = [], 0
    for line in spool:
        item = Item.load(line)
        found = _attempt(name, 0, handle.read_snapshot, _missing, item)
        if found is None or found:
            offsets.append(offset)
        else:
            counts.add([(False, 0)])
        offset += len(line)
    return offsets


def _batches(spool: IO[bytes], offsets: list[int]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    room = _BATCH
    for offset in offsets:
        spool.seek(offset)
        item = Item.load(spool.readline())
        batch.append(item)
        room -= len(item.messages) + 1
        if room <= 0:
            yield batch
            batch, room = [], _BATCH
    if batch:
        yield batch


class _Differs(Exception):
    """Internal: what is stored under the id of a conversation does not go together with the source."""

    def __init__(self, item: Item, reason: str) -> None:
        super().__init__(reason)
        self.item = item


def _attempt(name: str, stored: int, run: Callable[..., Any], work: Callable[..., Any], *args: Any) -> Any:
    try:
        return run(work, *args)
    except _Differs as error:
        item = error.item
        raise ImportRejected(name, item.line, f"conversation {item.id!r} {error}", stored=stored) from None


def _store(connection: sqlite3.Connection, items: list[Item]) -> list[tuple[bool, int]]:
    """Store conversations; return for each whether it is new and how many messages it got."""
    return [_store_one(connection, item) for item in items]


def _store_one(connection: sqlite3.Connection, item: Item) -> tuple[bool, int]:
    missing = _missing(connection, item)  # again: somebody else may have written since the comparison
    key = (item.id, "")
    if missing is None:
        message_queries.create(connection, item.row)
        new = item.messages
    else:
        new = missing
    if new:
        was_untitled = message_queries.one(connection, WHOLE_PROJECT.find, key)[5] is None
        stored = message_queries.append_many(connection, WHOLE_PROJECT, key, new) or []
        _interrupt(connection, stored, item)
        if item.is_untitled and was_untitled:
            message_queries.update(connection, WHOLE_PROJECT, key, {"title": None}, "")
    return missing is None, len(new)


def _interrupt(connection: sqlite3.Connection, stored: list[Row], item: Item) -> None:
    """Mark the messages just stored that the source says are incomplete."""
    first = len(item.messages) - len(stored)
    ids = [(stored[place - first][0],) for place in item.interrupted if place >= first]
    connection.executemany("UPDATE messages SET status = 'interrupted' WHERE id = ?", ids)


def _missing(connection: sqlite3.Connection, item: Item) -> list[message_queries.NewMessage] | None:
    """Return the messages that are not stored yet; ``None`` if the conversation is not."""
    key = (item.id, "")
    head = message_queries.one(connection, WHOLE_PROJECT.find, key)
    if head is None:
        return None
    if item.row[3] is not None and head[3] != item.row[3]:
        raise _Differs(item, "is stored and belongs to another user")
    stored = message_queries.rows(connection, WHOLE_PROJECT.after, (*key, 0, len(item.messages)))
    for place, (row, message, given) in enumerate(zip(stored, item.messages, item.given, strict=False)):
        field = first_difference(row, message, given)
        if field is not None:
            raise _Differs(item, f"is stored with another {field} in messages[{place}]")
    missing = item.messages[len(stored) :]
    known = {row[5] for row in stored if row[5] is not None}
    for place, message in enumerate(missing, len(stored)):
        if message[4] in known:
            raise _Differs(item, f"is stored with the external_id of messages[{place}] in another message")
    return missing
