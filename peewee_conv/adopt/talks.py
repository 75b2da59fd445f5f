"""Conversations with their messages, in batches: read from the source in their order, stored, booked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..legacy.rows import Refused, Row
from ..message_queries import NewMessage
from .plan import Context
from .source import bound, by_time
from .talk_store import Head, Part, PartOutcome, store_parts
from .values import Note

#: Makes a message of a row; given the conversation, too.
ReadMessage = Callable[[Row, Head, Note], NewMessage]


class Talks(NamedTuple):
    """How a system keeps conversations.

    :ivar reference: the column of a message that names its conversation, and ``time`` the one that orders them.
    :ivar order: the order in which conversations are stored, and get a number if they have none.
    """

    table: str
    messages: str
    reference: str
    time: str
    order: str
    read_head: Callable[[Row, Note], Head]
    read_message: ReadMessage

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the source that it copies."""
        return self.table, self.messages

    def run(self, context: Context) -> None:
        """Copy them: first all that keep their number, then the others, so that no new number is in anyone's way."""
        context.source.add_index(self.messages, self.reference)
        deferred = _store(self, context, context.source.rows(self.table, self.order), may_move=False)
        later = (row for id in deferred for row in context.source.rows(self.table, "rowid", "id = ?", id))
        _store(self, context, later, may_move=True)
        orphans = f"NOT EXISTS (SELECT 1 FROM {self.table} AS t WHERE t.id = {self.messages}.{self.reference})"
        for row in context.source.rows(self.messages, "rowid", orphans):
            context.ledger.reject(self.messages, row, "its conversation does not exist")
        context.report()


def _store(talks: Talks, context: Context, rows: Iterable[Row], *, may_move: bool) -> list[object]:
    """Store conversations; return the ids of those that wait for another number."""
    deferred: dict[object, None] = {}
    for batch in _batches(_parts(talks, context, rows), context.batch):
        outcomes = context.handle.write(store_parts, batch, may_move)
        for part, outcome in zip(batch, outcomes, strict=True):
            if outcome.is_deferred:
                deferred[part.source["id"]] = None
            else:
                _book(talks, context, part, outcome)
        context.report()
    return list(deferred)


def _batches(parts: Iterable[Part], size: int) -> Iterator[list[Part]]:
    batch: list[Part] = []
    room = size
    for part in parts:
        batch.append(part)
        room -= part.size
        if room <= 0:
            yield batch
            batch, room = [], size
    if batch:
        yield batch


def _parts(talks: Talks, context: Context, rows: Iterable[Row]) -> Iterator[Part]:
    for row in rows:
        notes: list[str] = []
        try:
            head = talks.read_head(row, notes.append)
        except Refused as refusal:
            context.ledger.reject(talks.table, row, str(refusal))
            for message in _messages(talks, context, row):
                context.ledger.reject(talks.messages, message, "its conversation was left out")
        else:
            noted = [(talks.table, row, text) for text in notes]
            yield from _split(talks, context, Part(head, row, True, 0, [], [], [], noted))


def _messages(talks: Talks, context: Context, row: Row) -> Iterator[Row]:
    mark, id = bound(row["id"])
    return context.source.rows(talks.messages, by_time(talks.time), f"{talks.reference} = {mark}", id)


def _split(talks: Talks, context: Context, part: Part) -> Iterator[Part]:
    """Yield the messages of a conversation in parts, at least one part, beginning with the empty *part*."""
    for row in _messages(talks, context, part.source):
        _read(talks, part, row)
        if part.size >= context.batch:
            yield part
            part = Part(part.head, part.source, False, part.position + len(part.messages), [], [], [], [])
    if part.size:
        yield part


def _read(talks: Talks, part: Part, row: Row) -> None:
    notes: list[str] = []
    try:
        part.messages.append(talks.read_message(row, part.head, notes.append))
    except Refused as refusal:
        part.refused.append((row, str(refusal)))
    else:
        part.sources.append(row)
        part.noted.extend((talks.messages, row, text) for text in notes)


def _book(talks: Talks, context: Context, part: Part, outcome: PartOutcome) -> None:
    ledger = context.ledger
    if part.is_first:
        ledger.add(talks.table, part.source, outcome.conversation)
    for row, reason in part.refused:
        ledger.reject(talks.messages, row, reason)
    for row, stored in zip(part.sources, outcome.messages, strict=True):
        ledger.add(talks.messages, row, stored)
    if outcome.conversation.reason is None:
        for table, row, text in part.noted:
            ledger.note(table, row, text)
