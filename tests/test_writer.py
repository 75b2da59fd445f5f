"""The queue of writers: shared commits, order, and reads beside it."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest
from tickets import Tickets
from writer_tools import Crowd, MakeProject, add, add_and_fail, add_orphan, add_traced, in_thread, opened, stored
from writer_tools import crowd as crowd
from writer_tools import handle as handle

from peewee_conv import Project
from peewee_conv.database.handle import Handle
from peewee_conv.errors import DatabaseFailure, DatabaseGone

# --- one commit for many ---


def test_writers_that_queue_up_share_a_commit(handle: Handle, crowd: Crowd) -> None:
    commits: list[str] = []
    for number in range(10):
        crowd.join(f"t{number}", lambda number=number: handle.write(add_traced, f"t{number}", commits))

    outcomes = crowd.go()

    assert outcomes == {f"t{number}": f"t{number}" for number in range(10)}
    assert stored(handle) == [f"t{number}" for number in range(10)]
    assert len(commits) == 1


@pytest.mark.parametrize(("others", "commits_in_all"), [(2, 1), (1, 2)], ids=["shared", "alone"])
def test_a_commit_after_a_shared_one_is_open_to_who_comes_while_it_is_made(
    handle: Handle, crowd: Crowd, monkeypatch: pytest.MonkeyPatch, others: int, commits_in_all: int
) -> None:
    monkeypatch.setattr("peewee_conv.database.pace._LONG", 60)  # after a long turn it is open, too
    commits: list[str] = []
    for number in range(others):
        crowd.join(f"t{number}", lambda number=number: handle.write(add, f"t{number}"))
    crowd.go()

    def add_and_wait(connection: sqlite3.Connection) -> str:
        crowd.join("late", lambda: handle.write(add_traced, "late", commits))
        return add_traced(connection, "early", commits)

    handle.write(add_and_wait)
    crowd.threads[-1].join()

    assert stored(handle)[-2:] == ["early", "late"]
    assert len(commits) == commits_in_all


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
