"""A disk that refuses: the n-th read, write or sync of SQLite fails, once or from then on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from sqlite_layer import Step, listening

from peewee_conv.errors import DatabaseFailure, DatabaseFull, DatabaseIOError


class Fault(NamedTuple):
    """What fails, and how SQLite's system layer says it.

    :ivar step: the name of a :class:`~sqlite_layer.Step`.
    :ivar is_late: it fails after it was done.
    """

    step: str
    code: int
    is_late: bool = False

    @property
    def error(self) -> type[DatabaseFailure]:
        """What a caller is told."""
        return DatabaseFull if self.code == sqlite3.SQLITE_FULL else DatabaseIOError


FAULTS = {
    "a write: no space": Fault("write", sqlite3.SQLITE_FULL),
    "a write": Fault("write", sqlite3.SQLITE_IOERR_WRITE),
    "a sync": Fault("sync", sqlite3.SQLITE_IOERR_FSYNC),
    "a read": Fault("read", sqlite3.SQLITE_IOERR_READ),
    "a truncation": Fault("truncate", sqlite3.SQLITE_IOERR_TRUNCATE),
    "a deletion": Fault("delete", sqlite3.SQLITE_IOERR_DELETE),
    "the sync after a deletion": Fault("delete", sqlite3.SQLITE_IOERR_DIR_FSYNC, is_late=True),
    "an opening": Fault("open", sqlite3.SQLITE_CANTOPEN),
    "shared memory": Fault("share", sqlite3.SQLITE_IOERR_SHMSIZE),
}


class Disk:
    """Hears of each step, and refuses some while it is broken.

    :ivar has_refused: whether it came to that since the last :meth:`break_at`.
    """

    def __init__(self) -> None:
        self._fault: Fault | None = None
        self._left = 0
        self._stays = False
        self.has_refused = False

    def break_at(self, number: int, fault: Fault, *, stays: bool = False) -> None:
        """Refuse the step of that number from now on, counted from 1; if it *stays* broken, all later ones too."""
        self._fault, self._left, self._stays = fault, number, stays
        self.has_refused = False

    def mend(self) -> None:
        """Refuse nothing any more."""
        self._fault = None

    def __call__(self, step: Step, go: Callable[..., int]) -> int:
        fault = self._fault
        if fault is None or step.name != fault.step:
            return go()
        self._left -= 1
        if self._left > 0 or (self._left < 0 and not self._stays):
            return go()
        self.has_refused = True
        if fault.is_late:
            go()
        elif step.name == "write":
            go(step.data[: len(step.data) // 2])  # as far as it went
        return fault.code


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The disk under everything that is opened in the test."""
    disk = Disk()
    with listening(disk):
        yield disk
