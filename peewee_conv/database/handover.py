"""Threads that wait for a connection of one file to come back: it goes from hand to hand, in the order of arrival.

Whoever waits owns the connection before it runs again, so that nobody who comes by meanwhile takes it away once more.
"""

from __future__ import annotations

import threading
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .files import Connection


class Waiter:
    """One thread that waits."""

    __slots__ = ("connection", "gate")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.gate = threading.Lock()
        self.gate.acquire()


class Handover:
    """The queue of one file; every call but :meth:`Waiter.gate`'s own is made under the lock of that file."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[Waiter] = deque()

    def join(self) -> Waiter:
        """Queue up; the caller then waits at the gate, without the lock."""
        waiter = Waiter()
        self._queue.append(waiter)
        return waiter

    def give(self, connection: Connection) -> bool:
        """Hand *connection* to the first in the queue; return whether there was one."""
        if not self._queue:
            return False
        waiter = self._queue.popleft()
        waiter.connection = connection
        waiter.gate.release()
        return True

    def leave(self, waiter: Waiter) -> Connection | None:
        """Wait no longer; return what was handed over, perhaps in the last moment."""
        if waiter in self._queue:
            self._queue.remove(waiter)
        return waiter.connection

    def send_away(self) -> None:
        """Let everybody go, with nothing."""
        while self._queue:
            self._queue.popleft().gate.release()
