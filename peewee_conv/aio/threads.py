"""The threads that calls run in, and what waiting for one means under cancellation."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from .. import arguments

P = ParamSpec("P")
R = TypeVar("R")

_DEFAULT_THREADS = 8  # more of them compete with the event loop for the interpreter


class _Threads:
    """The threads of this process, started when they are first needed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.limit, thread_name_prefix="peewee_conv")
            return self._executor.submit(work, *args, **kwargs)

    def resize(self, limit: int) -> None:
        with self._lock:
            self.limit = limit
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)  # what it has accepted is still done


_threads = _Threads(_DEFAULT_THREADS)
submit = _threads.submit


def _start_anew() -> None:
    """In a child process: the threads of the parent are not there, and its lock may be held for ever."""
    global _threads, submit
    _threads = _Threads(_threads.limit)
    submit = _threads.submit


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def set_thread_limit(limit: int) -> None:
    """Set how many calls of all asynchronous projects of this process run at a time; 8 by default.

    :param limit: 1 to 1000. Transactions have a thread of their own each, beside these.
    """
    _threads.resize(arguments.whole("limit", limit, 1, 1000))


def call_in_thread(work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Run ``work(*args, **kwargs)`` in one of the threads as soon as one is free."""
    return submit(work, *args, **kwargs)


async def settled(future: Future[R]) -> R:
    """Return what *future* gives. A cancelled caller goes on when the call has not begun, or has ended.

    So a cancelled call either happened or did not: none goes on behind the caller's back.
    """
    waiting = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        if not future.cancel():
            await _end_of(waiting)
        raise


async def _end_of(waiting: asyncio.Future[R]) -> None:
    while not waiting.done():
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            continue  # cancelled once more: it still has to end
    if not waiting.cancelled():
        waiting.exception()  # seen: the cancellation is what the caller hears of
