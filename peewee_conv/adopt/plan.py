"""What an adoption consists of: steps over the tables of a source, each in batches of short transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

from ..database.handle import Handle
from ..legacy.rows import Refused, Row
from ..services.conversations import Conversations
from .ledger import Ledger
from .source import Source
from .store import Store, store_all
from .values import Note

T = TypeVar("T")

#: ``on_progress(done, total)``, in rows.
Progress = Callable[[int, int], object]
#: Makes a row of ours of one of theirs; refuses what cannot be held.
Convert = Callable[[Row, Note], Row]


class Context(NamedTuple):
    """What every step works with.

    :ivar service: the project's, for its rules.
    :ivar batch: rows of one transaction: other writers wait for no more.
    """

    source: Source
    ledger: Ledger
    handle: Handle
    service: Conversations
    batch: int
    on_progress: Progress | None

    def report(self) -> None:
        """Report progress."""
        if self.on_progress is not None:
            self.on_progress(self.ledger.done, self.ledger.total)


class Step(Protocol):
    """Some tables of the source, and what becomes of them."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the source that it copies."""
        ...

    def run(self, context: Context) -> None:
        """Copy them."""


class Table(NamedTuple):
    """A table whose rows are stored one by one."""

    name: str
    convert: Convert
    store: Store

    @property
    def tables(self) -> tuple[str, ...]:
        """The one table."""
        return (self.name,)

    def run(self, context: Context) -> None:
        """Copy it, in the order of its rows."""
        for rows in chunks(context.source.rows(self.name), context.batch):
            self._run(context, rows)
            context.report()

    def _run(self, context: Context, rows: list[Row]) -> None:
        found = [self._converted(context.ledger, row) for row in rows]
        ready = [(row, *each) for row, each in zip(rows, found, strict=True) if each is not None]
        if not ready:
            return
        outcomes = context.handle.write(store_all, self.store, [values for _, values, _ in ready])
        for (row, _, notes), outcome in zip(ready, outcomes, strict=True):
            context.ledger.add(self.name, row, outcome)
            for note in notes if outcome.reason is None else ():
                context.ledger.note(self.name, row, note)

    def _converted(self, ledger: Ledger, row: Row) -> tuple[Row, list[str]] | None:
        notes: list[str] = []
        try:
            return self.convert(row, notes.append), notes
        except Refused as refusal:
            ledger.reject(self.name, row, str(refusal))
            return None


class Homeless(NamedTuple):
    """A table that has no place here, and too much in it to be dropped: all its rows are rejects."""

    name: str

    @property
    def tables(self) -> tuple[str, ...]:
        """The one table."""
        return (self.name,)

    def run(self, context: Context) -> None:
        """Write it to the rejects file."""
        for row in context.source.rows(self.name):
            context.ledger.reject(self.name, row, f"the project has no table for {self.name}")
        context.report()


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most *size* values."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk
