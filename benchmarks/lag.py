"""How long an event loop is held up: a task that wants to go on each millisecond notes how late it could."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .measure import Runner, Slice

IDLE = "idle loop"

_TICK = 0.001
_NONE = 1e-9  # a timer may be early by the resolution of its clock, and ratios need something


async def during(work: Awaitable[object]) -> Slice:
    """Await *work*; return the lags as latencies."""
    lags: list[float] = []
    ticker = asyncio.create_task(_tick(lags))
    started = time.perf_counter()
    await work
    seconds = time.perf_counter() - started
    ticker.cancel()
    await asyncio.wait([ticker])
    return Slice(lags, seconds)


async def _tick(lags: list[float]) -> None:
    while True:
        started = time.perf_counter()
        try:
            await asyncio.sleep(_TICK)
        finally:  # the last one counts too
            lags.append(max(time.perf_counter() - started - _TICK, _NONE))


def runners(loop: asyncio.Runner, name: str, work: Callable[[], Awaitable[object]]) -> dict[str, Runner]:
    """Return the runners of a race: the loop alone for some ticks, and during *work*.

    :param name: of the second contender.
    """
    return {
        IDLE: lambda: loop.run(during(asyncio.sleep(50 * _TICK))),
        name: lambda: loop.run(during(work())),
    }


async def timed(operation: Callable[..., Awaitable[object]], arguments: Sequence[tuple[Any, ...]]) -> Slice:
    """Await *operation* with each of *arguments*, one after another, and return what it took."""
    clock = time.perf_counter
    latencies: list[float] = []
    start = before = clock()
    for args in arguments:
        await operation(*args)
        after = clock()
        latencies.append(after - before)
        before = after
    return Slice(latencies, before - start)
