"""What the databases of this process have done: counters to read in the process, or to export.

:func:`snapshot` answers with plain numbers; :mod:`peewee_conv.prometheus` exports the same. Counters only grow, for as
long as the process lives, whatever is closed or disposed meanwhile. A child process begins at zero.

Counting costs next to nothing: each connection has its own counts, which only its user of the moment changes, without
a lock; they are added up when somebody asks.

>>> from peewee_conv import Project, metrics
>>> before = metrics.snapshot().schema("assistant").writes
>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
...     talk = project.conversations.create()
...     metrics.snapshot().schema("assistant").writes - before
...     project.dispose()
1
True
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

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


class Histogram(NamedTuple):
    """How often something took how long.

    :ivar bounds: upper bounds of the classes, in seconds; each belongs to its class.
    :ivar counts: by class; one more than there are bounds, for what took longer.
    :ivar sum: seconds together.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @property
    def total(self) -> int:
        """How often in all."""
        return sum(self.counts)


class SchemaMetrics(NamedTuple):
    """What was done with the databases of one schema, all projects together.

    :ivar reads: calls of services that read; a call may be more than one SQL statement.
    :ivar writes: writes of services that succeeded, alone, in a shared commit or in a transaction.
    :ivar model_statements: statements of plain Peewee.
    :ivar commits: of transactions, of single writes, and shared ones.
    :ivar group_commits: those that were shared, by ``grouped_writes`` writes together.
    :ivar transactions: ``atomic()`` blocks that were committed.
    :ivar lock_waits: how often a writer queued for another one of this process, for ``lock_wait_seconds`` in all.
    :ivar write_seconds: from the call of a write to its acknowledgement, waiting included; outside transactions.
    :ivar connections_opened: how many connections were opened.
    :ivar errors: faults of files and statements that were raised, by the name of their class.
    :ivar open_databases: open at this moment, with ``open_connections`` connections; their files have
        ``file_bytes`` bytes and ``wal_bytes`` of log.
    """

    reads: int
    writes: int
    model_statements: int
    commits: int
    group_commits: int
    grouped_writes: int
    transactions: int
    lock_waits: int
    lock_wait_seconds: float
    write_seconds: Histogram
    connections_opened: int
    errors: dict[str, int]
    open_databases: int
    open_connections: int
    file_bytes: int
    wal_bytes: int


class Open(NamedTuple):
    """One database that is open at this moment."""

    schema: str
    connections: int
    file_bytes: int
    wal_bytes: int


class Snapshot(NamedTuple):
    """All numbers at one moment.

    :ivar schemas: by name of the schema; one that was never opened is not there.
    :ivar evictions: how often a connection was closed to make room for another one.
    :ivar connection_limit: how many connections may be open at once.
    """

    schemas: dict[str, SchemaMetrics]
    evictions: int
    connection_limit: int

    def schema(self, name: str) -> SchemaMetrics:
        """Return the numbers of one schema: zeros, if none of its databases was opened yet."""
        return self.schemas.get(name) or _of(Counts(), 0, {}, [])

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain dicts and lists, ready for JSON."""
        schemas = {
            name: {**numbers._asdict(), "write_seconds": numbers.write_seconds._asdict()}
            for name, numbers in self.schemas.items()
        }
        return {**self._asdict(), "schemas": schemas}


# --- what the engine reports ---

_lock = threading.RLock()  # a destructor may close a connection at any step
_live: dict[Counts, str] = {}  # of the open connections, with the names of their schemas
_closed: dict[str, Counts] = {}  # of the closed ones, together
_opened: dict[str, int] = {}
_errors: dict[tuple[str, str], int] = {}
_evictions = 0
_looks: list[Callable[[], tuple[int, Iterable[Open]]]] = []


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


def watch(look: Callable[[], tuple[int, Iterable[Open]]]) -> None:
    """Have *look* tell the limit of connections and what is open, whenever somebody asks; the engine does this."""
    _looks[:] = [look]


# --- what others read ---


def snapshot() -> Snapshot:
    """Return what was done in this process so far, and what is open now."""
    limit, open_ones = _looks[0]() if _looks else (0, ())
    found = list(open_ones)
    with _lock:
        sums: dict[str, Counts] = {schema: Counts() for schema in [*_opened, *(schema for schema, _ in _errors)]}
        for schema, counts in _closed.items():
            sums[schema].add(counts)
        for counts, schema in list(_live.items()):
            sums[schema].add(counts)
        errors = dict(_errors)
        evictions, connections = _evictions, dict(_opened)
    schemas = {
        schema: _of(
            sums[schema],
            connections.get(schema, 0),
            {name: count for (of, name), count in sorted(errors.items()) if of == schema},
            [each for each in found if each.schema == schema],
        )
        for schema in sorted(sums)
    }
    return Snapshot(schemas, evictions, limit)


def _of(counts: Counts, connections: int, errors: dict[str, int], found: list[Open]) -> SchemaMetrics:
    acknowledged = sum(counts.latencies)
    return SchemaMetrics(
        reads=counts.reads,
        writes=acknowledged + counts.joined,
        model_statements=counts.models,
        commits=acknowledged - counts.grouped + counts.groups + counts.transactions + counts.model_commits,
        group_commits=counts.groups,
        grouped_writes=counts.grouped,
        transactions=counts.transactions,
        lock_waits=counts.waits,
        lock_wait_seconds=counts.wait_seconds,
        write_seconds=Histogram(BOUNDS, tuple(counts.latencies), counts.seconds),
        connections_opened=connections,
        errors=errors,
        open_databases=len(found),
        open_connections=sum(each.connections for each in found),
        file_bytes=sum(each.file_bytes for each in found),
        wal_bytes=sum(each.wal_bytes for each in found),
    )
