"""The queue of writers: who waits too long, and who is torn away."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest
from tickets import Tickets
from writer_tools import INSERT, Crowd, MakeProject, add, in_thread, opened, stored
from writer_tools import crowd as crowd
from writer_tools import handle as handle

from peewee_conv import Project
from peewee_conv.database.handle import Handle
from peewee_conv.errors import DatabaseBusy, DatabaseIOError

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
