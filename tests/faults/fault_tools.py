"""Processes that race, crash and answer, and the check that every file of ours must pass afterwards."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

Work = Callable[..., Any]

# A disk may take a hundredth of a second for each sync, and a machine may be busy. What ends here is what hangs.
PATIENCE = 600
#: For processes that contend for one file: SQLite's lock is not fair between them, least of all on a slow disk.
PATIENT = {"busy_timeout_ms": PATIENCE * 1000}


class ChildFailed(AssertionError):
    """A child process ended without the answer that it owed."""


class Child:
    """A forked process that runs ``work(*args)``; it never returns into the test.

    :param gate: both ends of a pipe: the child starts when its parent has closed the writing end.
    """

    def __init__(self, work: Work, *args: Any, gate: tuple[int, int] | None = None, seconds: int = PATIENCE) -> None:
        self._reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is what some tests are about
            self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reader)
            _run_in_child(work, args, gate, writer, seconds)
        os.close(writer)
        self._status: int | None = None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Return how the child ended: its exit code, or minus the number of the signal."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def result(self) -> Any:
        """Return what the work returned."""
        with os.fdopen(self._reader, "rb") as pipe:
            answer = pipe.read()
        status = self.wait()
        if not answer:
            raise ChildFailed(f"child {self.pid} ended with {status} and without an answer")
        succeeded, value = pickle.loads(answer)
        if not succeeded:
            raise ChildFailed(value)
        return value

    def forget(self) -> None:
        """Reap a child whose answer nobody needs."""
        os.close(self._reader)
        self.wait()


def _run_in_child(work: Work, args: tuple[Any, ...], gate: tuple[int, int] | None, writer: int, seconds: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)  # a child that hangs dies, and its parent says so
    try:
        if gate is not None:
            os.close(gate[1])
            os.read(gate[0], 1)
        answer: tuple[bool, Any] = (True, work(*args))
    except BaseException:  # noqa: BLE001 - whatever it is, the parent hears of it
        answer = (False, traceback.format_exc())
    try:
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe)
    finally:
        os._exit(0)


def race(work: Work, arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Run ``work(*args)`` for each *args* in a process of its own, all started at once; return their answers."""
    gate = os.pipe()
    children = [Child(work, *args, gate=gate) for args in arguments]
    for end in gate:
        os.close(end)
    return [child.result() for child in children]


def in_child(work: Work, *args: Any) -> Any:
    """Return ``work(*args)`` of another process."""
    return Child(work, *args).result()


def run_script(text: str, *args: object, seconds: float = PATIENCE, **options: Any) -> str:
    """Run *text* as a program in a fresh interpreter and return what it printed; complaints are a failure."""
    done = subprocess.run(
        [sys.executable, "-c", text, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        **options,
    )
    if done.returncode or done.stderr:
        raise ChildFailed(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Return as soon as *condition* holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to that in time")
        time.sleep(0.002)


def open_files(folder: Path) -> list[str]:
    """Return the targets of this process's descriptors below *folder*."""
    targets = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if target.startswith(f"{folder}{os.sep}"):
            targets.append(target)
    return sorted(targets)


def contents(folder: Path) -> dict[str, bytes | str]:
    """Return every entry below *folder* with its bytes. Only where no process has a file open there."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path.name] = os.readlink(path)
        elif path.is_file():
            found[path.name] = path.read_bytes()
        else:
            found[path.name] = "folder" if path.is_dir() else "special"
    return found


# --- the check ------------------------------------------------------------------------------------------------------

COUNTS = """
    SELECT c.id FROM conversations AS c LEFT JOIN (
        SELECT conversation, count(*) AS n, min(sequence) AS low, max(sequence) AS high,
            sum(coalesce(token_count, 0)) AS tokens
        FROM messages GROUP BY conversation
    ) ON conversation = c.number
    WHERE c.message_count <> coalesce(n, 0) OR c.token_count <> coalesce(tokens, 0)
        OR (n > 0 AND (high - low + 1 <> n OR high <> c.last_sequence))
"""
UNMARKED = """
    SELECT id FROM conversations WHERE indexed_sequence < last_sequence
        AND number NOT IN (SELECT conversation FROM message_search_pending)
"""


def assert_sound(path: Path) -> None:
    """Check an ``assistant.db``: SQLite's own checks, sequences without a hole, counts, the search index in step."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert problems(connection) == []
        assert connection.execute(COUNTS).fetchall() == []
        assert connection.execute(UNMARKED).fetchall() == []
        connection.execute("INSERT INTO message_search (message_search, rank) VALUES ('integrity-check', 1)")


def problems(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return what SQLite finds wrong with any file."""
    found = connection.execute("PRAGMA integrity_check").fetchall()
    return [row for row in found if row != ("ok",)] + connection.execute("PRAGMA foreign_key_check").fetchall()


def rows(path: Path, sql: str, *params: object) -> list[Any]:
    """Return the rows of a query by a connection of its own."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, params).fetchall()
