"""A1: what it adds to a call to await it, and how late the event loop is while calls are in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from peewee_conv.aio import AsyncProject

from .. import contenders, data, lag
from ..bench import Arguments, Bench
from ..contenders import Contender
from ..measure import Race, Runner, check, timed
from .append import Appended

AWAITED = "ours, awaited"

_TALKS = 1_000
_STORED = 100
_WINDOW = 20
_IN_FLIGHT = 50


def awaited(bench: Bench) -> Iterator[Race]:
    """A1: a read and an append, called and awaited; the lag with one call in flight and with fifty."""
    talks = data.named(bench.pick(_TALKS, _TALKS, 60))
    counts = dict.fromkeys(talks, _STORED)
    with bench.field([contenders.NO_SCOPE], counts) as field, asyncio.Runner() as loop:
        service = field[contenders.NO_SCOPE]
        project = AsyncProject(service.project)  # type: ignore[attr-defined]
        appended = [Appended(talk, _STORED) for talk in talks[:_IN_FLIGHT]]
        yield _last_messages(bench, loop, service, project, talks)
        yield _append(bench, loop, service, project, appended[0])
        for count in (1, _IN_FLIGHT):
            race = Race("A1", f"lag, calls in flight: {count}", unit="ms", reference=lag.IDLE)
            runners = lag.runners(loop, AWAITED, _calls(bench, project, appended[:count]))
            yield bench.race(race, runners, bench.pick(10, 4, 1))
        for talk in appended:
            talk.check(service, AWAITED)


def _last_messages(
    bench: Bench, loop: asyncio.Runner, service: Contender, project: AsyncProject, talks: list[str]
) -> Race:
    arguments: Arguments = [(talk, _WINDOW) for talk in talks[: bench.pick(200, 100, 5)]]

    async def newest(talk: str, count: int) -> None:
        window = await project.conversations.context(talk, max_messages=count)
        check(len(window) == count, f"{AWAITED}: {talk} was not read to its end")

    runners: dict[str, Runner] = {
        contenders.NO_SCOPE: lambda: timed(service.newest, arguments),
        AWAITED: lambda: loop.run(lag.timed(newest, arguments)),
    }
    return bench.race(Race("A1", "call, last 20", reference=contenders.NO_SCOPE), runners)


def _append(bench: Bench, loop: asyncio.Runner, service: Contender, project: AsyncProject, talk: Appended) -> Race:
    count = bench.pick(200, 100, 5)
    runners: dict[str, Runner] = {
        contenders.NO_SCOPE: lambda: timed(service.append, talk.take(count)),
        AWAITED: lambda: loop.run(lag.timed(project.conversations.add_message, talk.take(count))),
    }
    return bench.race(Race("A1", "call, append, normal", reference=contenders.NO_SCOPE), runners)


def _calls(bench: Bench, project: AsyncProject, appended: list[Appended]) -> Callable[[], Awaitable[object]]:
    """Return what makes each conversation's calls, one after another, and those of all of them at once."""
    count = bench.pick(400, 200, 10) // len(appended) + 5

    async def converse(talk: Appended) -> None:
        for args in talk.take(count):
            await project.conversations.add_message(*args)
            await project.conversations.context(talk.conversation, max_messages=_WINDOW)

    return lambda: asyncio.gather(*map(converse, appended))
