"""The numbers of :mod:`peewee_conv.metrics` for Prometheus, through the ``prometheus_client`` package.

It is the extra ``metrics``, and imported when :func:`register` or :func:`collector` is called. Numbers are read when
somebody scrapes; nothing is counted twice.

Labels are ``schema`` (``assistant``, ``features``, and those of your own), ``operation`` (``read``, ``write``,
``model``) and ``error`` (the name of a class). Projects and paths are no labels: the number of time series does not
grow with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from . import metrics
from .errors import MissingExtra
from .metrics import SchemaMetrics, Snapshot

if TYPE_CHECKING:
    from prometheus_client.core import CollectorRegistry, HistogramMetricFamily, Metric

Read = Callable[[SchemaMetrics], Iterable[tuple[tuple[str, ...], float]]]


def _field(name: str) -> Read:
    return lambda found: [((), getattr(found, name))]


def _operations(found: SchemaMetrics) -> list[tuple[tuple[str, ...], float]]:
    return [(("read",), found.reads), (("write",), found.writes), (("model",), found.model_statements)]


def _errors(found: SchemaMetrics) -> list[tuple[tuple[str, ...], float]]:
    return [((name,), count) for name, count in found.errors.items()]


# Name, help, labels beside the schema, how to read it.
_COUNTERS: Final[tuple[tuple[str, str, tuple[str, ...], Read], ...]] = (
    ("operations", "Reads and writes of services, and statements of plain Peewee.", ("operation",), _operations),
    ("errors", "Faults of files and statements that were raised, by class.", ("error",), _errors),
    ("commits", "Commits of transactions, of single writes, and shared ones.", (), _field("commits")),
    ("transactions", "Blocks of atomic() that were committed.", (), _field("transactions")),
    ("group_commits", "Commits that several writes shared.", (), _field("group_commits")),
    ("grouped_writes", "Writes that shared their commit.", (), _field("grouped_writes")),
    ("lock_waits", "Writers that queued for another one of this process.", (), _field("lock_waits")),
    ("lock_wait_seconds", "How long writers queued.", (), _field("lock_wait_seconds")),
    ("connections_opened", "Connections that were opened.", (), _field("connections_opened")),
)
_GAUGES: Final = (
    ("open_databases", "Databases that are open."),
    ("open_connections", "Connections that are open."),
    ("file_bytes", "Size of the open databases, without their logs."),
    ("wal_bytes", "Size of the write-ahead logs of the open databases."),
)


class Collector:
    """What ``prometheus_client`` asks for the numbers, once for each scrape. Made by :func:`collector`.

    :param namespace: what the names of all metrics begin with.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def describe(self) -> Iterator[Metric]:
        """Return every metric without numbers, for the registry to know the names."""
        return self._families(Snapshot({}, 0, 0))

    def collect(self) -> Iterator[Metric]:
        """Return every metric with its numbers of this moment."""
        return self._families(metrics.snapshot())

    def _families(self, found: Snapshot) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, text, labels, read in _COUNTERS:
            counter = CounterMetricFamily(self._name(name), text, labels=["schema", *labels])
            for schema, numbers in found.schemas.items():
                for values, value in read(numbers):
                    counter.add_metric([schema, *values], value)
            yield counter
        for name, text in _GAUGES:
            gauge = GaugeMetricFamily(self._name(name), text, labels=["schema"])
            for schema, numbers in found.schemas.items():
                gauge.add_metric([schema], getattr(numbers, name))
            yield gauge
        latencies = HistogramMetricFamily(
            self._name("write_seconds"), "From the call of a write to its acknowledgement.", labels=["schema"]
        )
        for schema, numbers in found.schemas.items():
            _add_histogram(latencies, schema, numbers)
        yield latencies
        evicted = "Connections that were closed to make room for others."
        yield CounterMetricFamily(self._name("connections_evicted"), evicted, value=found.evictions)
        limit = "How many connections may be open at once."
        yield GaugeMetricFamily(self._name("connection_limit"), limit, value=found.connection_limit)

    def _name(self, name: str) -> str:
        return f"{self._namespace}_{name}"


def _add_histogram(family: HistogramMetricFamily, schema: str, numbers: SchemaMetrics) -> None:
    found = numbers.write_seconds
    bounds = [*map(str, found.bounds), "+Inf"]
    family.add_metric([schema], list(zip(bounds, itertools.accumulate(found.counts), strict=True)), found.sum)


_registered: WeakKeyDictionary[Any, Collector] = WeakKeyDictionary()


def collector(namespace: str = "peewee_conv") -> Collector:
    """Return a collector, for who registers it in a way of their own.

    :param namespace: what the names of all metrics begin with.
    :raises MissingExtra: ``prometheus_client`` is not installed.
    """
    try:
        import prometheus_client  # noqa: F401 - to say at once what a scrape would run into
    except ImportError as error:
        raise MissingExtra("peewee_conv.prometheus", "prometheus-client", "metrics") from error
    return Collector(namespace)


def register(registry: CollectorRegistry | None = None) -> Collector:
    """Register a collector, once for each registry however often this is called, and return it.

    :param registry: that of the process, if left out.
    :raises MissingExtra: ``prometheus_client`` is not installed.
    """
    made = collector()
    from prometheus_client import REGISTRY

    target = REGISTRY if registry is None else registry
    found = _registered.get(target)
    if found is None:
        target.register(made)
        found = _registered[target] = made
    return found
