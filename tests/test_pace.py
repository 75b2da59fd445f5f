"""When a writer's turn begins: after the others that share its commit have come, and when the file was free."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from pace_tools import until
from tickets import Tickets
from writer_tools import Crowd, add, add_traced, opened, stored
from writer_tools import handle as handle

from peewee_conv import Project
from peewee_conv.database import pace
from peewee_conv.database.handle import Handle
from peewee_conv.database.pace import Gathering, Pace

# --- the file between two turns ---


class Watch:
    """A clock that only sleeping and :meth:`spend` move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def spend(self, seconds: float) -> None:
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(pace, "perf_counter", lambda: watch.now)
    monkeypatch.setattr(pace, "sleep", watch.sleep)
    return watch


def take_turns(watch: Watch, *turns: tuple[float, float]) -> list[float]:
    """Take turns of so many seconds, with so many between them; return how long the file was left alone on purpose."""
    kept = Pace()
    for seconds, between in turns:
        kept.begin()
        kept.locked()
        watch.spend(seconds)
        kept.end()
        watch.spend(between)
    return watch.slept


def test_after_a_long_turn_the_file_is_free_for_a_twentieth_of_it(watch: Watch) -> None:
    assert take_turns(watch, (0.05, 0), (0.02, 0), (0.02, 0)) == [0.0025, 0.001]


def test_after_a_short_turn_nobody_waits(watch: Watch) -> None:
    assert take_turns(watch, (0.004, 0), (0.004, 0), (0.004, 0)) == []


def test_what_passes_between_two_turns_counts(watch: Watch) -> None:
    assert take_turns(watch, (0.05, 0.0015), (0.05, 0.003), (0.05, 0)) == [0.001]


def test_nobody_waits_for_longer_than_the_others_need_to_ask(watch: Watch) -> None:
    assert take_turns(watch, (30.0, 0), (0.0, 0)) == [0.1]


def test_who_has_waited_for_another_process_leaves_it_nothing_more(watch: Watch) -> None:
    kept = Pace()
    kept.begin()
    watch.spend(5.0)
    kept.locked()
    watch.spend(0.0001)
    kept.end()
    kept.begin()

    assert watch.slept == []
    assert not kept.is_slow


def test_after_a_long_turn_that_does_not_say_what_it_waited_for_the_next_one_says_it(watch: Watch) -> None:
    kept = Pace()
    kept.begin()
    watch.spend(0.05)
    kept.end()
    assert kept.is_slow
    kept.begin()
    kept.locked()
    watch.spend(0.02)
    kept.end()
    kept.begin()

    assert watch.slept == [0.001]


# --- those that share a commit ---


def waiting(gathering: Gathering) -> tuple[threading.Thread, Callable[[], bool]]:
    gate = threading.Lock()
    gate.acquire()
    thread = threading.Thread(target=gathering.wait, args=(gate,))
    thread.start()
    return thread, lambda: gathering._gate is gate


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gathers waits for as long as a test may take: it must be woken."""
    monkeypatch.setattr(pace, "_PATIENCE", 60.0)
    original = Gathering.expect
    monkeypatch.setattr(Gathering, "expect", lambda self, callers, _: original(self, callers, 60.0))


@pytest.mark.usefixtures("patient")
def test_the_last_one_that_comes_ends_the_wait() -> None:
    mutex, queue = threading.Lock(), []
    gathering = Gathering(mutex, queue)
    gathering.expect(3, 60.0)
    thread, is_waiting = waiting(gathering)
    until(is_waiting)

    for place in range(2):
        assert thread.is_alive()
        with mutex:
            queue.append(place)
            gathering.arrived()

    thread.join(20)
    assert not thread.is_alive()


def test_who_gathers_goes_on_alone_after_the_time_of_a_commit() -> None:
    gathering = Gathering(threading.Lock(), [])
    gathering.expect(3, 0.001)

    thread, _ = waiting(gathering)

    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize(("callers", "seconds"), [(2, 0.00005), (1, 60.0)], ids=["quick commits", "nobody else"])
def test_nobody_waits_where_it_is_not_worth_it(callers: int, seconds: float) -> None:
    gathering = Gathering(threading.Lock(), [])
    gathering.expect(callers, seconds)

    gathering.wait(threading.Lock())  # an open gate: to wait there would close it

    assert gathering._gate is None


@pytest.mark.usefixtures("patient")
def test_those_that_have_shared_a_commit_share_the_next_one(handle: Handle) -> None:
    crowd, commits = Crowd(handle), []
    for number in range(3):
        crowd.join(f"t{number}", lambda number=number: handle.write(add, f"t{number}"))
    crowd.go()

    threads = [threading.Thread(target=handle.write, args=(add_traced, f"u{number}", commits)) for number in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)  # long enough for a commit of its own

    for thread in threads:
        thread.join(20)
    assert sorted(stored(handle)[-3:]) == ["u0", "u1", "u2"]
    assert len(commits) == 1


def test_who_is_torn_away_while_it_gathers_leaves_the_turn_to_the_next(
    handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(handle)
    for number in range(2):
        crowd.join(f"t{number}", lambda number=number: handle.write(add, f"t{number}"))
    crowd.go()

    def tear(gathering: Gathering, _: object) -> None:
        monkeypatch.undo()
        gathering._gate = threading.Lock()  # as it is in the middle of the wait
        raise KeyboardInterrupt

    monkeypatch.setattr(Gathering, "wait", tear)
    with pytest.raises(KeyboardInterrupt):
        handle.write(add, "torn")

    assert crowd.writer._gathering._gate is None  # or the next one that comes would open a gate of nobody
    assert handle.write(add, "next") == "next"
    assert stored(handle) == ["t0", "t1", "next"]


def test_a_lone_writer_after_a_shared_commit_is_not_kept(project: Project, tickets: Tickets) -> None:
    handle = opened(project, tickets)
    crowd = Crowd(handle)
    for number in range(4):
        crowd.join(f"t{number}", lambda number=number: handle.write(add, f"t{number}"))
    crowd.go()

    for number in range(3):
        assert handle.write(add, f"alone {number}") == f"alone {number}"

    assert crowd.writer._gathering._expected == 1
