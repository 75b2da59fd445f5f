"""Threads that work for a contender at the same time, and live as long as their race."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from .measure import Slice, timed

Arguments = Sequence[tuple[Any, ...]]


class Crew:
    """Some threads with a contender; each keeps its connection between the slices.

    :param operations: what each thread calls.
    :param scope: makes what surrounds the operations of a thread in each slice.
    """

    def __init__(
        self, operations: Sequence[Callable[..., object]], scope: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self._scope = scope
        self._start = threading.Barrier(len(operations))
        self._orders: list[queue.SimpleQueue[Arguments | None]] = [queue.SimpleQueue() for _ in operations]
        self._done: queue.SimpleQueue[tuple[float, Slice] | BaseException] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=pair, daemon=True)
            for pair in zip(self._orders, operations, strict=True)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for orders in self._orders:
            orders.put(None)
        for thread in self._threads:
            thread.join()

    def run(self, arguments: Sequence[Arguments]) -> Slice:
        """Let each thread call its operation with its arguments, all at once; return what it took."""
        for orders, own in zip(self._orders, arguments, strict=True):
            orders.put(own)
        outcomes = [self._done.get() for _ in self._threads]
        pieces: list[tuple[float, Slice]] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            pieces.append(outcome)
        began = min(start for start, _ in pieces)
        ended = max(start + piece.seconds for start, piece in pieces)
        return Slice([latency for _, piece in pieces for latency in piece.latencies], ended - began)

    def _work(self, orders: queue.SimpleQueue[Arguments | None], operation: Callable[..., object]) -> None:
        while (arguments := orders.get()) is not None:
            try:
                with self._scope():
                    self._start.wait()
                    began = time.perf_counter()
                    self._done.put((began, timed(operation, arguments)))
            except Exception as error:  # noqa: BLE001  (the race raises it)
                self._start.abort()
                self._done.put(error)
