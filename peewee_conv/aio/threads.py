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
    """Threads of this process for one kind of calls, started when they are first needed."""

    def __init__(self, kind: str) -> None:
        self._kind, self._limit = kind, _DEFAULT_THREADS
        self.start_anew()

    def start_anew(self) -> None:
        """Begin without a thread, as a child process must: those of the parent are not there."""
        self._lock = threading.Lock()  # the other one may be held for ever
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._limit, thread_name_prefix=f"peewee_conv-{self._kind}")
            return self._executor.submit(called, work, *args, **kwargs)

    def resize(self, limit: int) -> None:
        with self._lock:
            self._limit = limit
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)  # what it has accepted is still done


# Apart from each other: writers that wait for another process, or for a thread, must not keep readers out.
_readers, _writers = _Threads("reader"), _Threads("writer")

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_readers.start_anew)
    os.register_at_fork(after_in_child=_writers.start_anew)


def set_thread_limit(limit: int) -> None:
    """Set how many calls of all asynchronous projects of this process run at a time; 8 by default.

    :param limit: of those that read, and of those that write: 1 to 1000. Transactions have a thread of their own each,
        beside these.
    """
    arguments.whole("limit", limit, 1, 1000)
    _readers.resize(limit)
    _writers.resize(limit)


def read_in_thread(work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Run ``work(*args, **kwargs)``, which waits for no writer, in one of the threads as soon as one is free."""
    return _readers.submit(work, *args, **kwargs)


def write_in_thread(work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Run ``work(*args, **kwargs)``, which may wait for other writers, in one of the threads for those."""
    return _writers.submit(work, *args, **kwargs)


def called(work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what ``work(*args, **kwargs)`` does, and let nothing out of the thread that no coroutine can raise.

    Before Python 3.12 a future that ends with StopIteration is waited for without end.
    """
    try:
        return work(*args, **kwargs)
    except StopIteration as error:
        raise RuntimeError("a call in a thread raised StopIteration") from error


async def settled(future: Future[R], *, must_happen: bool = False) -> R:
    """Return what *future* gives. A cancelled caller goes on when the call has not begun, or has ended.

    So a cancelled call either happened or did not: none goes on behind the caller's back.

    :param must_happen: a cancelled caller waits for a call that has not begun, too.
    """
    waiting = asyncio.wrap_future(future)
    try:
        await asyncio.wait([waiting])  # not shield(): since 3.14 that reports what a cancelled call raises
    except asyncio.CancelledError:
        if must_happen or not future.cancel():
            await _end_of(waiting)
        raise
    return waiting.result()


async def _end_of(waiting: asyncio.Future[R]) -> None:
    while not waiting.done():
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            continue  # cancelled once more: it still has to end
    if not waiting.cancelled():
        waiting.exception()  # seen: the cancellation is what the caller hears of
