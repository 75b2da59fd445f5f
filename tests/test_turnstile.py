"""Readers take turns, nobody waits for long, and nothing stays locked."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from pace_tools import until

from peewee_conv import Project
from peewee_conv.database import turnstile
from peewee_conv.database.turnstile import Open, Turnstile, readers

MakeProject = Callable[..., Project]
Gate = Any  # a lock, whose type has no name before Python 3.13, or None


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks for a turn or goes past by the clock."""
    for name in ("_TURN", "_SLOW", "_LONGEST_WAIT"):
        monkeypatch.setattr(turnstile, name, 60.0)


class Line:
    """Threads that wait at a turnstile, one after the other."""

    def __init__(self, stile: Turnstile) -> None:
        self.stile = stile
        self.pool = ThreadPoolExecutor(4)

    def join(self) -> Future[Gate]:
        before = len(self.stile._line)
        future = self.pool.submit(self.stile.enter)
        until(lambda: len(self.stile._line) > before or future.done())
        time.sleep(0.05)  # until it has seen that the gate is closed, and sleeps
        return future


@pytest.fixture
def line() -> Line:
    return Line(Turnstile())


def is_free(stile: Turnstile) -> bool:
    if stile._line or not stile._gate.acquire(False):
        return False
    stile._gate.release()
    return True


@pytest.mark.usefixtures("patient")
def test_the_only_one_that_waits_is_next(line: Line) -> None:
    gate = line.stile.enter()
    next_one = line.join()
    assert not next_one.done()

    line.stile.leave(gate)

    assert next_one.result(20) is gate
    line.stile.leave(gate)
    assert is_free(line.stile)


@pytest.mark.usefixtures("patient")
def test_where_several_wait_a_thread_keeps_its_turn_until_the_first_asks_for_its_own(line: Line) -> None:
    gate = line.stile.enter()
    first, second = line.join(), line.join()

    line.stile.leave(gate)
    again = line.stile.enter()
    assert again is gate
    assert not first.done()
    line.stile._is_wanted = True
    line.stile.leave(again)

    assert first.result(20) is gate
    assert not second.done()
    line.stile.leave(gate)
    line.stile.leave(second.result(20))
    assert is_free(line.stile)


def test_the_first_asks_for_its_turn_after_that_of_the_other(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SLOW", "_LONGEST_WAIT"):
        monkeypatch.setattr(turnstile, name, 60.0)
    gate = line.stile.enter()
    first, second = line.join(), line.join()

    until(lambda: line.stile._is_wanted)
    line.stile.leave(gate)

    line.stile.leave(first.result(20))
    line.stile.leave(second.result(20))
    assert is_free(line.stile)


def test_a_slow_reader_is_left_alone_and_keeps_nobody(line: Line) -> None:
    slow = line.stile.enter()

    gates = [line.join().result(20)]
    line.stile.leave(gates[0])
    for _ in range(20):
        gates.append(line.stile.enter())
        line.stile.leave(gates[-1])
    line.stile.leave(slow)

    assert slow not in gates
    assert len(set(map(id, gates))) == 1  # who comes later does not wait for the slow one again
    assert is_free(line.stile)


@pytest.mark.usefixtures("patient")
def test_what_a_read_calls_may_read() -> None:
    stile = Turnstile()
    gate = stile.enter()

    inner = stile.enter()

    assert inner is None
    stile.leave(inner)
    stile.leave(gate)
    assert is_free(stile)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("is_handed", [False, True], ids=["waiting", "handed the turn"])
def test_who_is_torn_away_leaves_the_line_and_the_turn(monkeypatch: pytest.MonkeyPatch, is_handed: bool) -> None:
    stile = Turnstile()
    gate = stile.enter()
    stile._reader = 0  # as if another thread were inside

    def torn(self: Turnstile, _: object) -> threading.Lock:
        if is_handed:
            self.leave(gate)
        raise KeyboardInterrupt

    monkeypatch.setattr(Turnstile, "_wait_in_line", torn)
    with pytest.raises(KeyboardInterrupt):
        stile.enter()
    if not is_handed:
        stile.leave(gate)

    assert is_free(stile)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_in_between_everybody_gets_through_and_the_gate_is_free(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(turnstile, "_SLOW", 0.0005)  # many go past
    stile, switches = Turnstile(), sys.getswitchinterval()

    def read(thread: int) -> int:
        chance = random.Random(10 * seed + thread)
        for _ in range(150):
            gate = stile.enter()
            if chance.random() < 0.1:
                time.sleep(chance.choice([0, 0.0002, 0.001]))
            stile.leave(gate)
        return 150

    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(read, range(8))) == [150] * 8
    finally:
        sys.setswitchinterval(switches)
    assert is_free(stile)


def test_a_process_without_the_lock_of_the_interpreter_lets_everybody_through() -> None:
    stile = Open()

    assert [stile.enter(), stile.enter()] == [None, None]
    stile.leave(None)


# --- in a project ---


def test_a_read_that_fails_ends_its_turn(project: Project) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        project.conversations._handle.read(fail)

    assert is_free(readers)


def test_a_slow_read_of_one_project_keeps_no_other_one(make_project: MakeProject) -> None:
    slow, other = make_project("slow"), make_project("other")
    talk = other.conversations.create()
    begun, ended = threading.Event(), threading.Event()

    def read(connection: sqlite3.Connection) -> bool:
        begun.set()
        return ended.wait(20)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(slow.conversations._handle.read, read)
        assert begun.wait(20)

        found = [other.conversations.get(talk.id).id for _ in range(50)]

        assert not reading.done()
        ended.set()
        assert reading.result(20)
    assert found == [talk.id] * 50


def test_the_end_of_the_interpreter_is_quiet() -> None:
    script = "from peewee_conv.database import lease; lease.this_thread.token; lease.threads = None"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stderr == ""
