"""S7: eight threads serve many projects in one process, each call in another one."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, nullcontext

from peewee_conv import set_connection_limit

from .. import contenders, data
from ..bench import Bench
from ..contenders import Contender
from ..crew import Arguments, Crew
from ..measure import Race, Runner, Slice, check

_THREADS = 8
_CONNECTIONS = 64
_TALKS = 5
_STORED = 60
_LAST = 20
# One of ours alone: two would share the connections. What threads lose by that bound is what the shared one loses.
_FIELD = (contenders.REFERENCE, contenders.SHARED, contenders.PER_CALL)

_NOTE = (
    f"Ours has at most {_CONNECTIONS} connections open, as has the reference with one connection a file, whose threads"
    " take turns; the other one opens a connection for each thread and file."
)


class Town:
    """Some projects that a contender serves: four reads for each append.

    :ivar appended: how many messages each thread has added.
    :ivar answers: what was read in the last slice, with the project it was asked of.
    """

    def __init__(self, houses: list[Contender], names: list[str]) -> None:
        self.houses, self.names = houses, names
        self.appended = [0] * _THREADS
        self.answers: list[tuple[int, object]] = []

    def visit(self, house: int, talk: str, sequence: int) -> None:
        """Append message *sequence*, or read the last ones if that is 0."""
        if sequence:
            self.houses[house].append(talk, "user", data.content(talk, sequence))
        else:
            self.answers.append((house, self.houses[house].newest(talk, _LAST)))

    def take(self, thread: int, count: int, source: random.Random) -> Arguments:
        """Return the arguments of the next visits of a thread; it appends to a conversation of its own."""
        visits = []
        for _ in range(count):
            house = source.randrange(len(self.houses))
            writes = source.random() < 0.2
            self.appended[thread] += writes
            talk = f"{self.names[house]}-{source.randrange(_TALKS)}"
            visits.append((house, talk, _STORED + self.appended[thread] if writes else 0))
        return visits

    def check_answers(self) -> None:
        """See that each answer came from its project."""
        for house, answer in self.answers:
            found = self.houses[house].contents(answer)
            right = len(found) == _LAST and all(text.startswith(self.names[house]) for text in found)
            check(right, f"an answer of {self.names[house]} has messages of another project")
        self.answers.clear()

    def check_files(self) -> None:
        """See that every file holds messages of its own project alone, and all of them together what was added."""
        total = 0
        for house, name in zip(self.houses, self.names, strict=True):
            with closing(sqlite3.connect(data.path_in(house.folder))) as connection:
                query = "SELECT count(*), sum(content LIKE ? || '-%') FROM messages"
                found, own = connection.execute(query, (name,)).fetchone()
                check(found == own, f"{name} holds messages of another project")
                total += found
        added = total - len(self.houses) * _TALKS * _STORED
        check(added == sum(self.appended), f"{sum(self.appended)} messages were added and {added} are there")


def many_projects(bench: Bench) -> Iterator[Race]:
    """S7: 64 projects. Ours has at most 64 connections open, the reference one for each file and thread."""
    set_connection_limit(_CONNECTIONS)
    count = bench.pick(64, 64, 4)
    with bench.space() as folder, ExitStack() as stack:
        templates = [_house(os.path.join(folder, f"t{place}"), f"p{place:03}") for place in range(count)]
        towns, runners = {}, {}
        for name in bench.present(_FIELD):
            town = towns[name] = Town(_houses(name, os.path.join(folder, name), templates), _names(count))
            crew = stack.enter_context(Crew([town.visit] * _THREADS, nullcontext))
            runners[name] = _visits(crew, town, bench.pick(100, 50, 4))
        race = Race("S7", f"{count} projects, {_THREADS} threads, 80 % reads", metric="rate")
        bench.race(race, runners, bench.pick(10, 4, 2))
        for town in towns.values():
            for house in town.houses:
                house.close()
            town.check_files()
        race.notes.append(_NOTE)
    yield race


def _names(count: int) -> list[str]:
    return [f"p{place:03}" for place in range(count)]


def _house(folder: str, name: str) -> str:
    return data.template(folder, {f"{name}-{place}": _STORED for place in range(_TALKS)})


def _houses(name: str, folder: str, templates: list[str]) -> list[Contender]:
    houses = []
    for place, template in enumerate(templates):
        own = os.path.join(folder, str(place))
        os.makedirs(own)
        house = contenders.of(name)(own, "normal")
        house.load(template)
        houses.append(house)
    return houses


def _visits(crew: Crew, town: Town, count: int) -> Runner:
    source = random.Random(3)

    def run() -> Slice:
        piece = crew.run([town.take(thread, count, source) for thread in range(_THREADS)])
        town.check_answers()
        return piece

    return run
