"""What Prometheus scrapes: the exposition parses, and its numbers are those of what was done."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from peewee_conv import Project, metrics, prometheus
from peewee_conv.errors import DatabaseGone, MissingExtra
from peewee_conv.models import Conversation

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    prometheus.register(registry)
    return registry


@pytest.fixture
def scrape(registry: CollectorRegistry) -> Callable[[], Numbers]:
    """Return the samples by name and labels, as a parser reads them."""

    def read() -> Numbers:
        text = generate_latest(registry).decode()
        families = text_string_to_metric_families(text)
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}

    return read


def difference(before: Numbers, after: Numbers) -> Numbers:
    return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}


def of(name: str, **labels: str) -> Any:
    return f"peewee_conv_{name}", tuple(sorted({"schema": "assistant", **labels}.items()))


def test_counts_are_those_of_what_was_done(project: Project, scrape: Callable[[], Numbers]) -> None:
    project.conversations.create(id="talk")
    before = scrape()

    for number in range(3):
        project.conversations.add_message("talk", "user", str(number))
    project.conversations.get("talk")
    with project:
        assert Conversation.select().count() == 1
        with project.atomic():
            project.conversations.add_message("talk", "user", "in a transaction")
    done = difference(before, scrape())

    assert done.pop(of("operations_total", operation="write")) == 4
    assert done.pop(of("operations_total", operation="read")) == 1
    assert done.pop(of("operations_total", operation="model")) == 1
    assert done.pop(of("commits_total")) == 4
    assert done.pop(of("transactions_total")) == 1
    assert done.pop(of("write_seconds_count")) == 3
    assert done.pop(of("write_seconds_bucket", le="+Inf")) == 3
    assert done.pop(of("write_seconds_sum")) > 0
    assert {name for name, _ in done} <= {"peewee_conv_write_seconds_bucket", "peewee_conv_wal_bytes"}


def test_buckets_are_cumulative(project: Project, scrape: Callable[[], Numbers]) -> None:
    project.conversations.create()

    found = scrape()
    buckets = [found[of("write_seconds_bucket", le=str(bound))] for bound in (*metrics.BOUNDS, "+Inf")]

    assert buckets == sorted(buckets)
    assert buckets[-1] == found[of("write_seconds_count")]


def test_gauges_are_those_of_this_moment(project: Project, scrape: Callable[[], Numbers]) -> None:
    project.conversations.create()

    found = scrape()

    assert (found[of("open_databases")], found[of("open_connections")]) == (1, 1)
    assert found[of("file_bytes")] == project.database_path().stat().st_size
    project.dispose()
    assert scrape()[of("open_connections")] == 0


def test_errors_are_told_by_their_class(project: Project, scrape: Callable[[], Numbers]) -> None:
    project.conversations.create(id="talk")
    before = scrape()
    with project, suppress(DatabaseGone):
        project.conversations.get("talk")
        project.database_path().unlink()
        project.conversations.add_message("talk", "user", "hello")

    assert difference(before, scrape())[of("errors_total", error="DatabaseGone")] == 1


def test_no_label_tells_of_projects(project: Project, scrape: Callable[[], Numbers]) -> None:
    project.conversations.create()

    labels = {name for _, found in scrape() for name, _ in found}

    assert labels == {"schema", "operation", "error", "le"} - ({"error"} - labels)
    assert project.name not in str(scrape())


def test_openmetrics_parses_too(project: Project, registry: CollectorRegistry) -> None:
    project.conversations.create()

    families = {family.name for family in parse_openmetrics(generate_openmetrics(registry).decode())}

    assert {"peewee_conv_operations", "peewee_conv_write_seconds", "peewee_conv_connection_limit"} <= families


def test_a_registry_has_one_collector_however_often_it_is_registered(registry: CollectorRegistry) -> None:
    again = prometheus.register(registry)

    assert prometheus.register(registry) is again
    assert len(list(registry.collect())) == 16


def test_names_may_begin_with_another_word() -> None:
    registry = CollectorRegistry()
    registry.register(prometheus.collector("shop"))

    assert {family.name.split("_")[0] for family in registry.collect()} == {"shop"}


@pytest.fixture
def without_client(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "prometheus_client":
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "prometheus_client")
    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.usefixtures("without_client")
def test_without_the_extra_the_error_names_it() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'peewee-conv\[metrics\]'"):
        prometheus.register()
