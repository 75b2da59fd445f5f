"""Where no more connections may be opened, one goes from hand to hand, in the order of arrival."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.database import pool
from peewee_conv.database.cache import cache, set_connection_limit
from peewee_conv.database.handover import Handover, Waiter
from peewee_conv.database.pool import ProjectDatabase


@pytest.fixture
def database(project: Project, monkeypatch: pytest.MonkeyPatch) -> ProjectDatabase:
    monkeypatch.setattr(pool, "_PATIENCE", 30.0)  # what a busy machine may need to let the other thread run
    project.conversations.create()
    set_connection_limit(1)
    return cache.open_databases()[0]


class Gate:
    """A gate at which something happens before the wait is interrupted."""

    def __init__(self, first: Callable[[], object]) -> None:
        self._first = first

    def acquire(self, timeout: float) -> bool:
        self._first()
        raise KeyboardInterrupt

    def release(self) -> None:
        pass


def interrupted(database: ProjectDatabase, monkeypatch: pytest.MonkeyPatch, first: Callable[[], object]) -> None:
    """Let this thread wait for a connection, and be interrupted after *first*."""
    join = database._handover.join

    def join_at_gate(_: Handover) -> Waiter:
        waiter = join()
        waiter.gate = Gate(first)  # type: ignore[assignment]
        return waiter

    monkeypatch.setattr(Handover, "join", join_at_gate)
    with pytest.raises(KeyboardInterrupt):
        database.checkout()


def test_who_came_first_gets_it_first() -> None:
    handover, connections = Handover(), [object(), object()]
    waiters = [handover.join(), handover.join()]

    given: Any = [handover.give(connection) for connection in connections]  # type: ignore[arg-type]

    assert given == [True, True]
    assert [waiter.connection for waiter in waiters] == connections
    assert not handover.give(object())  # type: ignore[arg-type]


def test_who_waits_has_the_connection_before_anybody_else_can_take_it(database: ProjectDatabase) -> None:
    connection = database.checkout()
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(database.checkout()))
    thread.start()
    while not database._handover._queue:
        pass

    database.checkin(connection)

    assert database.idle_count == 0
    thread.join()
    assert got == [connection]
    database.checkin(connection)
    assert (database.is_idle, cache.connection_count) == (True, 1)


def test_an_interrupt_with_the_connection_in_hand_gives_it_back(
    database: ProjectDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = database.checkout()

    interrupted(database, monkeypatch, lambda: database.checkin(connection))

    assert (database.is_idle, database.idle_count) == (True, 1)


def test_an_interrupt_while_waiting_leaves_nobody_in_the_queue(
    database: ProjectDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = database.checkout()

    interrupted(database, monkeypatch, lambda: None)

    database.checkin(connection)
    assert (database.is_idle, database.idle_count) == (True, 1)


def test_a_project_that_is_disposed_meanwhile_is_told_at_once(project: Project, database: ProjectDatabase) -> None:
    connection = database.checkout()
    errors: list[str] = []

    def ask() -> None:
        try:
            project.conversations.list()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            errors.append(type(error).__name__)

    thread = threading.Thread(target=ask)
    thread.start()
    while not database._handover._queue:
        pass
    project.dispose(0)
    thread.join()

    assert errors == ["ProjectDisposed"]
    database.checkin(connection)
