"""Ids: UUIDs of version 7 that only ever grow, in threads and after forks; and the check of callers' ids."""

from __future__ import annotations

import os
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peewee_conv import ids
from peewee_conv.errors import InvalidArgument
from peewee_conv.ids import check_id, new_id

MILLISECOND = 1_000_000
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(autouse=True)
def _restore_state(monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests that move the clock would otherwise leave the process in another century.
    monkeypatch.setattr(ids, "_last", ids._last)


def stand_still(monkeypatch: pytest.MonkeyPatch, milliseconds: int) -> None:
    monkeypatch.setattr(ids, "time_ns", lambda: milliseconds * MILLISECOND)


def milliseconds_of(id: str) -> int:
    return uuid.UUID(id).int >> 80


def stamp_of(id: str) -> int:
    """Milliseconds and counter: the part that orders, without the random rest that hides what is equal."""
    return int(id[:8] + id[9:13] + id[15:18], 16)


def in_child(work: Callable[[], list[str]]) -> list[str]:
    """Run *work* in a forked child and return its answer; a child that hangs is an error, not a hang."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(10)
        os.write(writer, "\n".join(work()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="ascii") as pipe:
        answer = pipe.read().splitlines()
    assert os.waitpid(child, 0)[1] == 0
    return answer


def test_a_new_id_is_a_uuid_of_version_7_in_its_usual_spelling() -> None:
    made = [new_id() for _ in range(1000)]

    for id in made:
        parsed = uuid.UUID(id)
        assert str(parsed) == id
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert {id[19] for id in made} == set("89ab")


def test_a_new_id_tells_its_millisecond() -> None:
    time.sleep(0.002)  # leave the millisecond that an earlier test may have counted beyond
    before = time.time_ns() // MILLISECOND

    id = new_id()

    assert before <= milliseconds_of(id) <= time.time_ns() // MILLISECOND


def test_ids_are_unique_and_sorted_as_made() -> None:
    made = [new_id() for _ in range(100_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_one_millisecond_grow_even_beyond_their_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch, 2**44)

    made = [new_id() for _ in range(10_000)]

    stamps = [stamp_of(id) for id in made]
    assert stamps == list(range(stamps[0], stamps[0] + 10_000))
    assert made == sorted(made)
    assert milliseconds_of(made[0]) == 2**44


def test_ids_grow_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [2**44, 2**44 - 3_600_000, 0, -5, 2**44 + 1, 2**44]
    made = []
    for milliseconds in times:
        stand_still(monkeypatch, milliseconds)
        made.append(new_id())

    assert made == sorted(made)
    assert [milliseconds_of(id) - 2**44 for id in made] == [0, 0, 0, 0, 1, 1]


def test_each_millisecond_starts_its_counter_at_random_in_the_lower_half(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = set()
    for milliseconds in range(2**44, 2**44 + 400):
        stand_still(monkeypatch, milliseconds)
        starts.add(stamp_of(new_id()) & 0xFFF)

    assert len(starts) > 200
    assert max(starts) < 2048


def test_every_random_bit_takes_both_values() -> None:
    zeros = ones = 0
    for _ in range(200):
        number = uuid.UUID(new_id()).int
        ones |= number
        zeros |= ~number

    assert zeros & ones & (2**62 - 1) == 2**62 - 1


def test_threads_make_unique_ids_each_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch, 2**44)

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: [new_id() for _ in range(5000)], range(8)))

    assert all(run == sorted(run) for run in runs)
    stamps = {stamp_of(id) for run in runs for id in run}
    assert len(stamps) == 40_000


def test_only_one_thread_at_a_time_counts() -> None:
    with ThreadPoolExecutor(1) as pool:
        with ids._lock:
            made = pool.submit(new_id)
            with pytest.raises(TimeoutError):
                made.result(0.05)

        assert uuid.UUID(made.result(10)).version == 7


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # so is pytest-xdist
def test_parent_and_children_never_share_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch, 2**44)
    before = new_id()

    first = in_child(lambda: [new_id() for _ in range(20)])
    second = in_child(lambda: [new_id() for _ in range(20)])
    parent = [new_id() for _ in range(20)]

    # Not even before the random bits: the parent's millisecond is the parent's alone.
    assert {milliseconds_of(id) for id in [before, *parent]} == {2**44}
    assert {milliseconds_of(id) for id in first + second} == {2**44 + 1}
    assert len({*first, *second, *parent}) == 60
    assert min(first + second + parent) > before


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_makes_ids_though_a_thread_held_the_lock_at_the_fork() -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with ids._lock:
            held.set()
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        made = in_child(lambda: [new_id()])
    finally:
        release.set()
        holder.join()

    assert uuid.UUID(made[0]).version == 7


def test_a_signal_handler_may_ask_for_an_id_in_the_middle_of_one() -> None:
    with ids._lock:
        assert uuid.UUID(new_id()).version == 7


@pytest.mark.parametrize(
    "id",
    [
        "1",
        "c-17",
        "a b",
        "x" * 255,
        "\N{FAMILY}",
        "\u00e4\u00f6",
        "a\u00a0b",
        "\u200d",
        "\U0001f468\u200d\U0001f469",
        "\ue000",
    ],
)
def test_an_id_of_the_caller_is_returned_as_it_is(id: str) -> None:
    assert check_id("conversation_id", id) == id


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x" * 256,
        "a\0b",
        "\n",
        "a\tb",
        "\x1f",
        "\x7f",
        "\x80",
        "\x9f",
        "\ud800",
        "a\udfff",
        None,
        17,
        b"c-17",
        ["c"],
        uuid.UUID(int=0),
    ],
)
def test_what_cannot_be_an_id_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_id("conversation_id", value)

    assert (caught.value.argument, caught.value.value) == ("conversation_id", value)
    assert str(caught.value).startswith("invalid conversation_id ")
    assert str(caught.value).endswith(
        "expected a text of 1 to 255 characters, none of them a control character or a lone surrogate"
    )


@given(st.text(st.characters(), max_size=300) | st.text(st.characters(categories=["Cc", "Cs", "Cf", "Ll"]), max_size=4))
@example("x" * 254 + "\U0001f600")
def test_ids_are_refused_for_length_control_characters_and_surrogates_alone(value: str) -> None:
    good = 1 <= len(value) <= 255 and not any(unicodedata.category(char) in ("Cc", "Cs") for char in value)

    try:
        assert check_id("id", value) == value
        assert good
    except InvalidArgument:
        assert not good
