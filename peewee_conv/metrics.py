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

from typing import Any, NamedTuple

from . import counters
from .counters import BOUNDS as BOUNDS
from .counters import Counts


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


def snapshot() -> Snapshot:
    """Return what was done in this process so far, and what is open now."""
    limit, open_ones = counters.look()
    found = [Open(*each) for each in open_ones]
    sums, connections, errors, evictions = counters.add_up()
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
