"""The counters of this process, which the engine keeps; :mod:`peewee_conv.metrics` is for who reads them.

A module of its own, so that what makes numbers readable is not loaded with the engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    #: Of an open database: schema, connections, bytes of the file and of its log.
    Open = tuple[str, int, int, int]

#: Upper bounds of the classes of write latencies, in seconds.
BOUNDS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


class Counts:
    """The counts of one connection. Whoever has the connection on loan adds to them, so no lock is needed.

    :ivar reads: calls of services that read.
    :ivar joined: writes of services inside a transaction, whose commit is the transaction's.
    :ivar latencies: writes that were acknowledged by a commit of their own or a shared one, by class of latency.
    :ivar seconds: what those took together.
    :ivar groups: commits that several writes shared, and ``grouped`` those writes.
    :ivar transactions: ``atomic()`` blocks that were committed.
    :ivar models: statements of plain Peewee, and ``model_commits`` those that wrote outside a transaction.
    :ivar waits: how often somebody queued for another writer of this process, and ``wait_seconds`` for how long.
    """

    __slots__ = (
        "grouped",
        "groups",
        "joined",
        "latencies",
        "model_commits",
        "models",
        "reads",
        "seconds",
        "transactions",
        "wait_seconds",
        "waits",
    )

    def __init__(self) -> None:
        self.reads = self.joined = self.groups = self.grouped = self.transactions = 0
        self.models = self.model_commits = self.waits = 0
        self.seconds = self.wait_seconds = 0.0
        self.latencies = [0] * (len(BOUNDS) + 1)

    def add(self, other: Counts) -> None:
        """Add the numbers of *other*."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.latencies = [mine + more for mine, more in zip(self.latencies, other.latencies, strict=True)]


_NUMBERS: Final = tuple(name for name in Counts.__slots__ if name != "latencies")


_lock = threading.RLock()  # a destructor may close a connection at any step
_live: dict[Counts, str] = {}  # of the open connections, with the names of their schemas
_closed: dict[str, Counts] = {}  # of the closed ones, together
_opened: dict[str, int] = {}
_errors: dict[tuple[str, str], int] = {}
_evictions = 0
_looks: list[Callable[[], tuple[int, list[Open]]]] = []


def opened(schema: str, counts: Counts) -> None:
    """Take the counts of a new connection into the sums."""
    with _lock:
        _live[counts] = schema
        _opened[schema] = _opened.get(schema, 0) + 1


def closed(counts: Counts) -> None:
    """Keep the numbers of a connection that was closed."""
    with _lock:
        schema = _live.pop(counts, None)
        if schema is not None:
            _closed.setdefault(schema, Counts()).add(counts)


def failed(schema: str, error: BaseException) -> None:
    """Count a fault that a caller gets to see."""
    key = schema, type(error).__name__
    with _lock:
        _errors[key] = _errors.get(key, 0) + 1


def evicted() -> None:
    """Count a connection that made room for another one."""
    global _evictions
    with _lock:
        _evictions += 1


def begin_anew() -> None:
    """Forget everything, in a child process: the parent counts what it does itself."""
    global _lock, _evictions
    _lock = threading.RLock()  # another thread may have held the old one when it vanished
    _evictions = 0
    for sums in (_live, _closed, _opened, _errors):
        sums.clear()


def watch(look: Callable[[], tuple[int, list[Open]]]) -> None:
    """Have *look* tell the limit of connections and what is open, whenever somebody asks; the engine does this."""
    _looks[:] = [look]


def look() -> tuple[int, list[Open]]:
    """Return the limit of connections and what is open."""
    return _looks[0]() if _looks else (0, [])


def add_up() -> tuple[dict[str, Counts], dict[str, int], dict[tuple[str, str], int], int]:
    """Return what was counted up to one moment.

    :returns: by schema, the counts and how many connections were opened; the faults, by schema and name; evictions.
    """
    with _lock:
        sums: dict[str, Counts] = {schema: Counts() for schema in [*_opened, *(schema for schema, _ in _errors)]}
        for schema, counts in _closed.items():
            sums[schema].add(counts)
        for counts, schema in list(_live.items()):
            sums[schema].add(counts)
        return sums, dict(_opened), dict(_errors), _evictions
