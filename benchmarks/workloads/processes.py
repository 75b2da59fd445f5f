"""S6: four processes with two threads each append to one file at once."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

from .. import contenders, data
from ..bench import Bench
from ..contenders import Contender
from ..crew import Crew
from ..measure import Race, Runner, Slice, WrongAnswer
from .append import Appended

_PROCESSES = 4
_THREADS = 2
_STORED = 100
_FIELD = (contenders.REFERENCE, contenders.IN_SCOPE, contenders.PER_CALL, *contenders.RIVALS)


def appends(bench: Bench) -> Iterator[Race]:
    """S6: each thread appends to a conversation of its own."""
    processes = bench.pick(_PROCESSES, _PROCESSES, 2)
    talks = data.named(processes * _THREADS)
    count = bench.pick(200, 100, 3)
    with bench.field(_FIELD, dict.fromkeys(talks, _STORED)) as field, ExitStack() as staffs:
        appended = {name: [Appended(talk, _STORED) for talk in talks] for name in field}
        runners = {}
        for name, contender in field.items():
            staff = [staffs.enter_context(_staff(name, contender)) for _ in range(processes)]
            runners[name] = _slices(staff, appended[name], max(1, round(count * contender.weight)))
        race = Race("S6", f"{processes} processes of {_THREADS} threads, normal", metric="rate")
        bench.race(race, runners, bench.pick(10, 4, 2))
        for name, contender in field.items():
            for talk in appended[name]:
                talk.check(contender, name)
        yield race


def _slices(staff: list[Connection], appended: list[Appended], count: int) -> Runner:
    def run() -> Slice:
        for place, pipe in enumerate(staff):
            pipe.send([talk.take(count) for talk in appended[place * _THREADS : (place + 1) * _THREADS]])
        for pipe in staff:
            pipe.recv()  # its arguments have arrived
        began = time.perf_counter()
        for pipe in staff:
            pipe.send("go")
        pieces = [pipe.recv() for pipe in staff]
        seconds = time.perf_counter() - began
        for piece in pieces:
            if not isinstance(piece, Slice):
                raise WrongAnswer(piece)
        return Slice([latency for piece in pieces for latency in piece.latencies], seconds)

    return run


@contextmanager
def _staff(name: str, contender: Contender) -> Iterator[Connection]:
    """Start a process with a crew and give the pipe to it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, name, contender.folder, contender.durability), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join()


def _serve(pipe: Connection, name: str, folder: str, durability: str) -> None:
    """Run slices until the other end is closed."""
    contender = contenders.of(name)(folder, durability)
    contender.attach()
    with Crew([contender.append] * _THREADS, contender.scope) as crew:
        while True:
            try:
                arguments = pipe.recv()
                pipe.send("ready")
                pipe.recv()
            except EOFError:
                break
            try:
                pipe.send(crew.run(arguments))
            except Exception as error:  # noqa: BLE001  (the race raises it)
                pipe.send(repr(error))
    contender.close()
