"""The queue of writers: order, shared commits, and who is told what when one of them goes wrong."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.database.handle import Handle
from peewee_conv.errors import DatabaseBusy, DatabaseFailure, DatabaseGone, DatabaseIOError

MakeProject = Callable[..., Project]
INSERT = "INSERT INTO ticket (title, votes) VALUES (?, 0)"


def add(connection: sqlite3.Connection, title: str) -> str:
    connection.execute(INSERT, (title,))
    return title


def add_traced(connection: sqlite3.Connection, title: str, commits: list[str]) -> str:
    """Add, and note the commit that follows."""
    connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    return add(connection, title)


def add_and_fail(connection: sqlite3.Connection, title: str) -> None:
    connection.execute(INSERT, (title,))
    raise KeyError(title)


def add_orphan(connection: sqlite3.Connection, title: str) -> str:
    """Break a rule that SQLite checks at the commit."""
    connection.execute(INSERT, (title,))
    connection.execute("INSERT INTO comment (ticket_id, text) VALUES (99, 'orphan')")
    return title


@pytest.fixture
def handle(project: Project, tickets: Tickets) -> Handle:
    return opened(project, tickets)


def opened(project: Project, tickets: Tickets) -> Handle:
    handle = Handle(project._binding, tickets.schema)
    handle.read(lambda connection: None)
    return handle


def stored(handle: Handle) -> list[str]:
    return handle.read(lambda connection: [title for (title,) in connection.execute("SELECT title FROM ticket")])


class Crowd:
    """Threads that queue up one after the other while the turn is held, and what each of them got."""

    def __init__(self, handle: Handle) -> None:
        self.writer = handle.binding.database(handle.schema).writer
        self.outcomes: dict[str, Any] = {}
        self.order: list[str] = []
        self.threads: list[threading.Thread] = []
        self.turn = object()
        self.writer.acquire(self.turn)

    def join(self, name: str, work: Callable[[], Any]) -> None:
        """Start a thread and wait until it stands in the queue."""
        before = len(self.writer._queue)
        thread = threading.Thread(target=self._run, args=(name, work))
        self.threads.append(thread)
        thread.start()
        while len(self.writer._queue) == before and thread.is_alive():
            time.sleep(0.001)

    def _run(self, name: str, work: Callable[[], Any]) -> None:
        try:
            self.outcomes[name] = work()
        except BaseException as error:  # noqa: BLE001 - it is the outcome
            self.outcomes[name] = error
        self.order.append(name)

    def go(self) -> dict[str, Any]:
        """Let them write, and return what each got."""
        self.writer.release(self.turn)
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive(), "a writer hangs"
        return self.outcomes


@pytest.fixture
def crowd(handle: Handle) -> Iterator[Crowd]:
    crowd = Crowd(handle)
    yield crowd
    crowd.go()


# --- one commit for many ---


def test_writers_that_queue_up_share_a_commit(handle: Handle, crowd: Crowd) -> None:
    commits: list[str] = []
    for number in range(10):
        crowd.join(f"t{number}", lambda number=number: handle.write(add_traced, f"t{number}", commits))

    outcomes = crowd.go()

    assert outcomes == {f"t{number}": f"t{number}" for number in range(10)}
    assert stored(handle) == [f"t{number}" for number in range(10)]
    assert len(commits) == 1


def test_without_group_commit_each_has_its_own(make_project: MakeProject, tickets: Tickets) -> None:
    handle = opened(make_project(group_commit=False), tickets)
    crowd, commits = Crowd(handle), []
    for number in range(4):
        crowd.join(f"t{number}", lambda number=number: handle.write(add_traced, f"t{number}", commits))

    crowd.go()

    assert stored(handle) == ["t0", "t1", "t2", "t3"]
    assert len(commits) == 4


@pytest.mark.parametrize("write", ["write", "write_statement"])
def test_a_work_that_fails_fails_its_caller_alone(handle: Handle, crowd: Crowd, write: str) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO ticket (title, votes) VALUES (NULL, 0)")

    crowd.join("first", lambda: handle.write(add, "first"))
    crowd.join("bad", lambda: getattr(handle, write)(fail))
    crowd.join("last", lambda: handle.write(add, "last"))

    outcomes = crowd.go()

    assert isinstance(outcomes.pop("bad"), DatabaseFailure)
    assert outcomes == {"first": "first", "last": "last"}
    assert stored(handle) == ["first", "last"]


def test_a_work_that_fails_half_way_leaves_nothing(handle: Handle, crowd: Crowd) -> None:
    crowd.join("first", lambda: handle.write(add, "first"))
    crowd.join("bad", lambda: handle.write(add_and_fail, "half"))
    crowd.join("last", lambda: handle.write(add, "last"))

    assert isinstance(crowd.go()["bad"], KeyError)
    assert stored(handle) == ["first", "last"]


def test_a_leader_whose_work_fails_still_commits_the_others(handle: Handle, crowd: Crowd) -> None:
    crowd.join("leader", lambda: handle.write(add_and_fail, "half"))
    crowd.join("last", lambda: handle.write(add, "last"))

    outcomes = crowd.go()

    assert isinstance(outcomes["leader"], KeyError)
    assert (outcomes["last"], stored(handle)) == ("last", ["last"])


def test_a_commit_that_fails_fails_every_caller_of_its_batch(handle: Handle, crowd: Crowd) -> None:
    crowd.join("first", lambda: handle.write(add, "first"))
    crowd.join("orphan", lambda: handle.write(add_orphan, "orphan"))
    crowd.join("last", lambda: handle.write(add, "last"))

    outcomes = crowd.go()

    assert {type(outcome) for outcome in outcomes.values()} == {DatabaseFailure}
    assert stored(handle) == []
    assert len({id(outcome) for outcome in outcomes.values()}) == 3, "each caller has an error object of its own"


def test_a_file_that_has_gone_fails_every_caller_with_an_error_of_its_own(handle: Handle, crowd: Crowd) -> None:
    def check(_: sqlite3.Connection) -> None:
        raise DatabaseGone("x.db", "was deleted")

    crowd.writer._check = check
    crowd.join("first", lambda: handle.write(add, "first"))
    crowd.join("last", lambda: handle.write(add, "last"))

    outcomes = list(crowd.go().values())

    assert [str(outcome) for outcome in outcomes] == [str(DatabaseGone("x.db", "was deleted"))] * 2
    assert outcomes[0] is not outcomes[1]


def test_after_a_failed_commit_the_next_write_works(handle: Handle) -> None:
    with pytest.raises(DatabaseFailure, match="FOREIGN KEY"):
        handle.write(add_orphan, "orphan")

    assert handle.write(add, "next") == "next"
    assert stored(handle) == ["next"]


def test_a_transaction_that_sqlite_gives_up_fails_the_whole_batch(handle: Handle, crowd: Crowd) -> None:
    def give_up(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR ROLLBACK INTO ticket (title, votes) VALUES (NULL, 0)")

    crowd.join("first", lambda: handle.write(add, "first"))
    crowd.join("bad", lambda: handle.write(give_up))

    outcomes = crowd.go()

    assert {type(outcome) for outcome in outcomes.values()} == {DatabaseFailure}
    assert stored(handle) == []


# --- order ---


def test_transactions_and_appends_take_turns_in_the_order_of_arrival(
    project: Project, tickets: Tickets, handle: Handle, crowd: Crowd
) -> None:
    def transaction(title: str) -> None:
        with project.atomic(tickets.schema):
            handle.write(add, title)

    for number in range(4):
        crowd.join(f"append {number}", lambda number=number: handle.write(add, f"append {number}"))
        crowd.join(f"atomic {number}", lambda number=number: transaction(f"atomic {number}"))

    crowd.go()

    assert stored(handle) == [f"{kind} {number}" for number in range(4) for kind in ("append", "atomic")]


def test_a_thread_that_writes_without_pause_starves_nobody(handle: Handle) -> None:
    stop, waits = threading.Event(), []

    def greedy() -> None:
        while not stop.is_set():
            handle.write(add, "greedy")

    threads = [threading.Thread(target=greedy) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        started = time.monotonic()
        handle.write(add, "modest")
        waits.append(time.monotonic() - started)
    stop.set()
    for thread in threads:
        thread.join()

    assert stored(handle).count("modest") == 20
    assert max(waits) < 5


# --- time-outs ---


def test_who_waits_too_long_withdraws_and_writes_nothing(make_project: MakeProject, tickets: Tickets) -> None:
    handle = opened(make_project(busy_timeout_ms=100), tickets)
    crowd = Crowd(handle)

    crowd.join("late", lambda: handle.write(add, "late"))
    crowd.threads[0].join()

    assert isinstance(crowd.outcomes["late"], DatabaseBusy)
    assert len(crowd.writer._queue) == 0
    crowd.go()
    assert handle.write(add, "next") == "next"
    assert stored(handle) == ["next"]


def test_a_transaction_that_waits_too_long_withdraws(make_project: MakeProject, tickets: Tickets) -> None:
    project = make_project(busy_timeout_ms=100)
    crowd = Crowd(opened(project, tickets))

    def transaction() -> None:
        with project.atomic(tickets.schema):
            raise AssertionError("it has no turn")

    crowd.join("late", transaction)
    crowd.threads[0].join()

    assert isinstance(crowd.outcomes["late"], DatabaseBusy)
    assert len(crowd.writer._queue) == 0


def test_a_zero_timeout_does_not_wait(make_project: MakeProject, tickets: Tickets) -> None:
    handle = opened(make_project(busy_timeout_ms=0), tickets)
    crowd = Crowd(handle)

    crowd.join("late", lambda: handle.write(add, "late"))
    crowd.threads[0].join()

    assert isinstance(crowd.outcomes["late"], DatabaseBusy)
    assert "held the file for 0 s" in str(crowd.outcomes["late"])


def test_a_lock_of_another_process_is_busy_after_the_timeout(make_project: MakeProject, tickets: Tickets) -> None:
    project = make_project(busy_timeout_ms=200)
    handle = opened(project, tickets)
    outside = sqlite3.connect(project.database_path(tickets.schema), isolation_level=None)
    outside.execute("BEGIN EXCLUSIVE")

    started = time.monotonic()
    with pytest.raises(DatabaseBusy, match=r"database is locked .*: retry later, or raise busy_timeout_ms"):
        handle.write(add, "late")
    waited = time.monotonic() - started
    outside.execute("ROLLBACK")
    outside.close()

    assert 0.15 < waited < 5
    assert handle.write(add, "next") == "next"


def test_a_released_lock_of_another_process_is_noticed_soon(project: Project, tickets: Tickets) -> None:
    handle = opened(project, tickets)
    outside = sqlite3.connect(project.database_path(tickets.schema), isolation_level=None, check_same_thread=False)
    outside.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, outside.execute, ["ROLLBACK"])
    timer.start()

    started = time.monotonic()
    handle.write(add, "next")

    assert time.monotonic() - started < 1.5
    timer.join()
    outside.close()


def test_who_can_do_without_gives_up_early(handle: Handle, crowd: Crowd) -> None:
    started = time.monotonic()
    with pytest.raises(DatabaseBusy):
        in_thread(lambda: handle.write_if_free(add, "late"))

    assert time.monotonic() - started < 3
    crowd.go()
    assert handle.write_if_free(add, "next") == "next"


def in_thread(work: Callable[[], Any]) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


def test_a_hurried_write_leaves_the_timeout_as_it_was(handle: Handle) -> None:
    handle.write_if_free(add, "x")

    assert handle.read(lambda connection: connection.execute("PRAGMA busy_timeout").fetchone()[0]) == 30_000


# --- who is torn away ---


def test_a_leader_that_is_torn_away_hands_the_turn_on(handle: Handle, crowd: Crowd) -> None:
    def torn(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, ("torn",))
        raise KeyboardInterrupt

    crowd.join("leader", lambda: handle.write(torn))
    crowd.join("second", lambda: handle.write(add, "second"))
    crowd.join("third", lambda: handle.write(add, "third"))

    outcomes = crowd.go()

    assert isinstance(outcomes.pop("leader"), KeyboardInterrupt)
    assert outcomes == {"second": "second", "third": "third"}
    assert stored(handle) == ["second", "third"]


def give_up(connection: sqlite3.Connection, error: BaseException) -> None:
    """Do what SQLite does on a full disk, and tell it in other words."""
    connection.execute(INSERT, ("given up",))
    connection.execute("ROLLBACK")
    raise error


def test_a_transaction_that_sqlite_gave_up_is_acknowledged_to_nobody(handle: Handle, crowd: Crowd) -> None:
    crowd.join("first", lambda: handle.write(add, "first"))
    crowd.join("given up", lambda: handle.write(give_up, KeyError("given up")))

    outcomes = crowd.go()

    assert {type(outcome) for outcome in outcomes.values()} == {DatabaseIOError}
    assert stored(handle) == []


def test_a_leader_that_is_torn_away_from_a_transaction_given_up_leaves_the_rest_to_the_next(
    handle: Handle, crowd: Crowd
) -> None:
    crowd.join("leader", lambda: handle.write(give_up, KeyboardInterrupt()))
    crowd.join("second", lambda: handle.write(add, "second"))

    outcomes = crowd.go()

    assert isinstance(outcomes["leader"], KeyboardInterrupt)
    assert (outcomes["second"], stored(handle)) == ("second", ["second"])


def test_a_leader_that_is_torn_away_after_the_commit_repeats_nothing(handle: Handle, crowd: Crowd) -> None:
    torn: list[str] = []

    def check(_: sqlite3.Connection) -> None:
        if not torn:
            torn.append("once")
            raise KeyboardInterrupt

    crowd.writer._check = check
    crowd.join("leader", lambda: handle.write(add, "leader"))
    crowd.join("second", lambda: handle.write(add, "second"))

    outcomes = crowd.go()

    assert isinstance(outcomes["leader"], KeyboardInterrupt)
    assert outcomes["second"] == "second"
    assert sorted(stored(handle)) == ["leader", "second"]


def test_a_lone_writer_that_is_torn_away_leaves_the_turn_free(handle: Handle) -> None:
    def torn(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, ("torn",))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        handle.write(torn)

    assert in_thread(lambda: handle.write(add, "next")) == "next"
    assert stored(handle) == ["next"]


def test_a_write_inside_a_read_of_the_same_thread_works(handle: Handle) -> None:
    def read(connection: sqlite3.Connection) -> list[str]:
        cursor = connection.execute("SELECT 1")
        handle.write(add, "inside")
        cursor.close()
        return stored(handle)

    assert handle.read(read) == ["inside"]


# --- reads ---


def test_reads_never_wait_for_a_writer(handle: Handle, crowd: Crowd) -> None:
    assert in_thread(lambda: stored(handle)) == []
    crowd.go()


def test_a_snapshot_sees_one_state(handle: Handle) -> None:
    def twice(connection: sqlite3.Connection) -> list[int]:
        count = "SELECT count(*) FROM ticket"
        before = connection.execute(count).fetchone()[0]
        in_thread(lambda: handle.write(add, "meanwhile"))
        return [before, connection.execute(count).fetchone()[0]]

    assert handle.read_snapshot(twice) == [0, 0]
    assert stored(handle) == ["meanwhile"]


def test_a_snapshot_that_fails_leaves_no_transaction(handle: Handle) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT count(*) FROM ticket")
        raise KeyError

    with pytest.raises(KeyError):
        handle.read_snapshot(fail)

    assert handle.read(lambda connection: connection.in_transaction) is False


# --- many at once ---


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_nothing_is_lost_doubled_or_acknowledged_wrongly(
    make_project: MakeProject, tickets: Tickets, journal: str
) -> None:
    project = make_project(journal_mode=journal, durability="normal")
    handle, acknowledged = opened(project, tickets), []

    def work(number: int) -> None:
        for turn in range(15):
            title = f"{number}.{turn}"
            if turn % 5 == 4:
                with pytest.raises(KeyError):
                    handle.write(add_and_fail, title)
            elif turn % 5 == 3:
                with project.atomic(tickets.schema):
                    acknowledged.append(handle.write(add, title))
            else:
                acknowledged.append(handle.write(add, title))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(stored(handle)) == sorted(acknowledged)
    assert len(acknowledged) == 8 * 12
