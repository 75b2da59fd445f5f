"""S4 and S5: eight threads append to one file at once, each to a conversation of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from .. import contenders, data
from ..bench import Bench, in_scope
from ..contenders import Contender
from ..contenders.reference import Batches
from ..crew import Arguments, Crew
from ..measure import Race, Runner, Slice, timed
from .append import Appended

_THREADS = 8
_STORED = 100
_NOTE = (
    f"“{contenders.BATCHES}” is no way to serve threads: it is given what all of them append, and waits for nobody. It"
    " shows what commits of eight callers could come to if handing over from thread to thread cost nothing."
)


def not_synced(bench: Bench) -> Iterator[Race]:
    """S4: with durability ``normal``."""
    field = (contenders.REFERENCE, contenders.IN_SCOPE, contenders.PER_CALL, contenders.BATCHES, *contenders.RIVALS)
    yield _together(bench, "S4", "normal", field, bench.pick(200, 100, 5))


def synced(bench: Bench) -> Iterator[Race]:
    """S5: with durability ``full``, where callers share commits; and what that costs a lone thread."""
    ours = (contenders.IN_SCOPE, contenders.PER_CALL, contenders.NO_GROUPS)
    field = (contenders.REFERENCE, *ours, contenders.BATCHES, *contenders.RIVALS)
    yield _together(bench, "S5", "full", field, bench.pick(60, 30, 3))
    yield _alone(bench)


def _together(bench: Bench, workload: str, durability: str, names: Sequence[str], count: int) -> Race:
    talks = data.named(_THREADS)
    with bench.field(names, dict.fromkeys(talks, _STORED), durability) as field, ExitStack() as crews:
        appended = {name: [Appended(talk, _STORED) for talk in talks] for name in field}
        runners = {}
        for name, contender in field.items():
            if isinstance(contender, Batches):
                runners[name] = _batches(contender, appended[name], count)
                continue
            crew = crews.enter_context(Crew([contender.append] * _THREADS, contender.scope))
            runners[name] = _slices(crew, contender, appended[name], count)
        race = Race(workload, f"{_THREADS} threads, {durability}", metric="rate")
        bench.race(race, runners, bench.pick(10, 4, 2))
        race.notes.append(_NOTE)
        for name, contender in field.items():
            for talk in appended[name]:
                talk.check(contender, name)
    return race


def _slices(crew: Crew, contender: Contender, appended: list[Appended], count: int) -> Runner:
    own = max(1, round(count * contender.weight))

    def run() -> Slice:
        arguments: list[Arguments] = [talk.take(own) for talk in appended]
        return crew.run(arguments)

    return run


def _batches(contender: Batches, appended: list[Appended], count: int) -> Runner:
    """Return a runner that appends what the threads would, and knows all of it beforehand: the most to be had."""

    def run() -> Slice:
        batches = [(list(batch),) for batch in zip(*(talk.take(count) for talk in appended), strict=True)]
        piece = timed(contender.append_together, batches)
        return Slice([latency for latency in piece.latencies for _ in appended], piece.seconds)

    return run


def _alone(bench: Bench) -> Race:
    talk = data.named(1)[0]
    names = (contenders.NO_GROUPS, contenders.IN_SCOPE)
    with bench.field(names, {talk: _STORED}, "full") as field:
        appended = {name: Appended(talk, _STORED) for name in field}
        runners = {
            name: in_scope(contender, contender.append, appended[name].take, bench.pick(50, 25, 3))
            for name, contender in field.items()
        }
        race = Race("S5", "a lone thread, full", reference=contenders.NO_GROUPS)
        bench.race(race, runners)
        for name, contender in field.items():
            appended[name].check(contender, name)
    return race
