"""Work for the queue of writers, and a crowd that stands in it."""

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


def in_thread(work: Callable[[], Any]) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


@pytest.fixture
def handle(project: Project, tickets: Tickets) -> Handle:
    return opened(project, tickets)


@pytest.fixture
def crowd(handle: Handle) -> Iterator[Crowd]:
    crowd = Crowd(handle)
    yield crowd
    crowd.go()
