"""S14: a process that has served ten thousand projects serves the next one like the tenth."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from peewee_conv import Project

from .. import data
from ..bench import Bench
from ..measure import Race, Runner, Slice, check
from ..memory import resident_mb

_YOUNG = 10
_SLICE = 40  # and the ten before: fewer projects than connections, so that the young process closes none
_KEPT = 100  # folders on disk; those before are closed for long
_STORED = 30


def ten_thousand(bench: Bench) -> Iterator[Race]:
    """S14: open and first read, next to a process that has just begun; and the memory on the way."""
    served = bench.pick(10_000, 1_000, 30)
    young, old = f"project {_YOUNG} and on", f"project {served:,} and on"
    with bench.space() as folder:
        template = data.template(os.path.join(folder, "template"), {"talk": _STORED})
        with _servant(os.path.join(folder, "old"), template) as veteran:
            yield _memory(veteran, served)

            def newcomer() -> Slice:
                with _servant(os.path.join(folder, "young"), template) as servant:
                    _ask(servant, _YOUNG)
                    return _ask(servant, bench.pick(_SLICE, _SLICE, 3))[0]

            runners: dict[str, Runner] = {
                young: newcomer,
                old: lambda: _ask(veteran, bench.pick(_SLICE, _SLICE, 3))[0],
            }
            race = Race("S14", "open and first read", reference=young)
            yield bench.race(race, runners, bench.pick(4, 2, 1))


def _memory(servant: Connection, served: int) -> Race:
    before = _ask(servant, served // 10)[1]
    after = _ask(servant, served - served // 10)[1]
    early, late = f"after {served // 10:,} projects", f"after {served:,} projects"
    race = Race("S14", "memory", unit="MB", reference=early)
    race.add_round({early: [Slice([before], 1.0)], late: [Slice([after], 1.0)]})
    return race


def _ask(servant: Connection, count: int) -> tuple[Slice, float]:
    servant.send(count)
    piece, memory = servant.recv()
    return piece, memory


@contextmanager
def _servant(folder: str, template: str) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, folder, template), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join()
        shutil.rmtree(folder, ignore_errors=True)


def _serve(pipe: Connection, folder: str, template: str) -> None:
    """Serve so many projects as the other end says, until it is closed."""
    served = 0
    while True:
        try:
            count = pipe.recv()
        except EOFError:
            return
        latencies = []
        for place in range(served, served + count):
            latencies.append(_open_and_read(os.path.join(folder, str(place)), template))
            shutil.rmtree(os.path.join(folder, str(place - _KEPT)), ignore_errors=True)
        served += count
        pipe.send((Slice(latencies, sum(latencies)), resident_mb()))


def _open_and_read(folder: str, template: str) -> float:
    data.copy_to(template, folder)
    began = time.perf_counter()
    window = Project(folder, durability="normal").conversations.context("talk")
    seconds = time.perf_counter() - began
    check(window[-1].content == data.content("talk", _STORED), f"{folder} was not read to its end")
    return seconds
