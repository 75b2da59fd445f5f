"""What the process has done, in numbers that are right under threads and never shrink."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

import pytest
from tickets import Tickets

from peewee_conv import Project, metrics
from peewee_conv.database.cache import set_connection_limit
from peewee_conv.database.handle import Handle
from peewee_conv.errors import DatabaseBusy, DatabaseCorrupt, DatabaseGone
from peewee_conv.metrics import SchemaMetrics
from peewee_conv.models import Conversation

MakeProject = Callable[..., Project]
GAUGES = ("open_databases", "open_connections", "file_bytes", "wal_bytes")


class Difference:
    """What was counted since this was made."""

    def __init__(self, schema: str = "assistant") -> None:
        self._schema = schema
        self._before = self.now()

    def now(self) -> SchemaMetrics:
        return metrics.snapshot().schema(self._schema)

    def __getattr__(self, name: str) -> float:
        return round(getattr(self.now(), name) - getattr(self._before, name), 9)

    def error(self, name: str) -> int:
        return self.now().errors.get(name, 0) - self._before.errors.get(name, 0)

    @property
    def measured(self) -> int:
        return self.now().write_seconds.total - self._before.write_seconds.total


@pytest.fixture
def talk(project: Project) -> str:
    return project.conversations.create(id="talk").id


@pytest.fixture
def done(talk: str) -> Difference:
    """What the test does, its set-up left out."""
    return Difference()


# --- what is counted ---


def test_reads_of_services_are_counted(project: Project, done: Difference) -> None:
    project.conversations.get("talk")
    with project:
        project.conversations.list()
        project.conversations.messages("talk", after=3)  # empty: it also asks whether there is such a conversation

    assert (done.reads, done.writes, done.commits) == (4, 0, 0)


def test_a_write_is_counted_with_its_commit_and_its_latency(project: Project, done: Difference) -> None:
    project.conversations.add_message("talk", "user", "one")
    with project:
        project.conversations.add_message("talk", "user", "two")

    assert (done.writes, done.commits, done.measured) == (2, 2, 2)
    assert 0 < done.now().write_seconds.sum < 60


def test_writes_of_a_transaction_share_its_commit(project: Project, done: Difference) -> None:
    with project.atomic():
        project.conversations.add_message("talk", "user", "one")
        project.conversations.add_messages("talk", [{"role": "user", "content": "two"}])

    assert (done.writes, done.transactions, done.commits, done.measured) == (2, 1, 1, 0)


def test_a_transaction_that_is_rolled_back_is_no_commit(project: Project, done: Difference) -> None:
    with pytest.raises(KeyError), project.atomic():
        raise KeyError

    assert (done.transactions, done.commits) == (0, 0)


def test_a_write_that_fails_is_no_write(project: Project, done: Difference) -> None:
    handle = project.conversations._handle

    with pytest.raises(ZeroDivisionError):
        handle.write(lambda connection: 1 / 0)

    assert (done.writes, done.commits, done.measured) == (0, 0, 0)


def test_statements_of_plain_peewee_are_counted(project: Project, done: Difference) -> None:
    with project:
        assert Conversation.select().count() == 1
        Conversation.update(title="new").execute()
        with project.atomic():
            Conversation.update(title="newer").execute()

    assert (done.model_statements, done.commits, done.transactions) == (3, 2, 1)


def test_schemas_are_counted_apart(project: Project, tickets: Tickets, done: Difference) -> None:
    of_tickets = Difference("tickets")

    with project:
        tickets.Ticket.create(title="printer on fire")

    assert (of_tickets.model_statements, done.model_statements) == (1, 0)


def test_a_schema_that_was_never_opened_has_zeros() -> None:
    found = metrics.snapshot().schema("nobody")

    assert (found.reads, found.writes, found.errors, found.write_seconds.total) == (0, 0, {}, 0)


# --- the queue of writers ---


def test_callers_of_a_shared_commit_are_counted_each(project: Project, done: Difference) -> None:
    writer = project._binding.database(project.conversations._handle.schema).writer
    writer.acquire(done)
    threads = [
        threading.Thread(target=project.conversations.add_message, args=("talk", "user", str(n))) for n in range(5)
    ]
    for thread in threads:
        thread.start()
    while len(writer._queue) < len(threads):
        threading.Event().wait(0.001)
    writer.release(done)
    for thread in threads:
        thread.join()

    assert (done.writes, done.measured, done.commits) == (5, 5, 1)
    assert (done.group_commits, done.grouped_writes, done.lock_waits) == (1, 5, 5)
    assert done.lock_wait_seconds > 0


def test_a_wait_for_a_transaction_is_counted(project: Project, done: Difference) -> None:
    writer = project._binding.database(project.conversations._handle.schema).writer

    def write() -> None:
        with project.atomic():
            project.conversations.add_message("talk", "user", "one")

    writer.acquire(done)
    thread = threading.Thread(target=write)
    thread.start()
    while not writer._queue:
        threading.Event().wait(0.001)
    writer.release(done)
    thread.join()

    assert (done.lock_waits, done.transactions, done.commits) == (1, 1, 1)


def test_nothing_is_lost_under_threads(project: Project, done: Difference) -> None:
    def work() -> None:
        for number in range(50):
            project.conversations.add_message("talk", "user", str(number))
            project.conversations.get("talk")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (done.writes, done.reads, done.measured) == (400, 400, 400)
    assert done.commits == 400 - done.grouped_writes + done.group_commits


# --- errors ---


def test_a_busy_file_is_counted_once_for_each_caller(make_project: MakeProject) -> None:
    project = make_project(busy_timeout_ms=0)
    project.conversations.create(id="talk")
    done = Difference()
    with closing(sqlite3.connect(project.database_path(), isolation_level=None)) as outside:
        outside.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(DatabaseBusy):
                project.conversations.add_message("talk", "user", "hello")
        with pytest.raises(DatabaseBusy), project.atomic():
            pass

    assert (done.error("DatabaseBusy"), done.writes) == (4, 0)


def test_a_writer_that_queued_too_long_is_counted(make_project: MakeProject) -> None:
    project = make_project(busy_timeout_ms=1)
    project.conversations.create(id="talk")
    done = Difference()
    writer = project._binding.database(project.conversations._handle.schema).writer
    writer.acquire(done)

    with pytest.raises(DatabaseBusy):
        project.conversations.add_message("talk", "user", "hello")
    writer.release(done)

    assert (done.error("DatabaseBusy"), done.lock_waits) == (1, 1)


def test_a_file_that_cannot_be_opened_is_counted(project: Project) -> None:
    done = Difference()
    project.database_path().parent.mkdir(parents=True)
    project.database_path().write_bytes(b"no database at all" * 100)

    with pytest.raises(DatabaseCorrupt):
        project.conversations.list()

    assert done.error("DatabaseCorrupt") == 1


def test_an_error_of_plain_peewee_is_counted_by_its_class(project: Project, done: Difference) -> None:
    with project, pytest.raises(Exception, match="no such column"):
        Conversation.raw("SELECT absent FROM conversations").execute()

    assert done.error("OperationalError") == 1


def test_a_file_that_went_away_is_counted(project: Project, done: Difference) -> None:
    with project:
        project.conversations.get("talk")
        project.database_path().unlink()
        with pytest.raises(DatabaseGone):
            project.conversations.add_message("talk", "user", "hello")

    assert done.error("DatabaseGone") == 1


def test_a_missing_row_is_no_error(project: Project, done: Difference) -> None:
    with pytest.raises(LookupError):
        project.conversations.get("nobody")

    assert done.now().errors == done._before.errors


# --- what is open ---


def test_open_files_are_measured(project: Project, done: Difference) -> None:
    found = done.now()

    assert (found.open_databases, found.open_connections) == (1, 1)
    assert found.file_bytes == project.database_path().stat().st_size
    assert found.wal_bytes > 0


def test_sums_outlive_the_connections(project: Project, done: Difference) -> None:
    project.conversations.add_message("talk", "user", "one")
    before = done.now()
    project.dispose()
    after = done.now()

    gone = dict.fromkeys(GAUGES, 0)
    assert after == before._replace(**gone)


def test_a_connection_that_makes_room_is_counted(make_project: MakeProject) -> None:
    set_connection_limit(1)
    before, opened = metrics.snapshot(), Difference()

    for number in range(4):
        make_project(f"p{number}").conversations.list()
    found = metrics.snapshot()

    assert (found.evictions - before.evictions, found.connection_limit) == (3, 1)
    assert (opened.connections_opened, found.schema("assistant").open_connections) == (4, 1)


def test_connections_past_the_cache_are_not_counted(project: Project, done: Difference) -> None:
    project.health()

    assert (done.connections_opened, done.reads) == (0, 0)


def test_handle_of_a_schema_counts_for_it(project: Project, tickets: Tickets) -> None:
    of_tickets = Difference("tickets")

    Handle(project._binding, tickets.schema).read(lambda connection: None)

    assert of_tickets.reads == 1


def test_a_snapshot_is_ready_for_json(done: Difference) -> None:
    found = json.loads(json.dumps(metrics.snapshot().to_dict()))

    assert found["schemas"]["assistant"]["write_seconds"]["bounds"] == list(metrics.BOUNDS)
    assert found["evictions"] >= 0
    assert done.reads == 0
