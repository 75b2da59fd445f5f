"""Threads that read go through one at a time, while that is quick.

Each row that SQLite hands over gives the interpreter's lock away for a moment. Where threads wait for that lock, each
of them is woken by it: eight threads on two cores then change places up to twenty times within one read of twenty
rows, and together read half as much as one of them alone. So a thread waits *here* while another one reads, asleep and
out of the way, and has its turn for half a millisecond: some ten ordinary reads.

Nobody waits for long. A read that takes longer than a few milliseconds is left alone, and the others go on beside it.
Nothing here needs a lock of its own, and nothing stays locked: who finds the line in disorder goes past it.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from threading import get_ident
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# All in seconds.
_TURN: Final = 0.0005
_SLOW: Final = 0.003  # that a reader may keep the first in the line, who has asked for its turn
_LONGEST_WAIT: Final = 0.03


class _Waiter:
    """One thread in the line; the gate is handed to it locked."""

    __slots__ = ("gate", "sleep")

    def __init__(self) -> None:
        self.sleep = threading.Lock()
        self.sleep.acquire()
        self.gate: threading.Lock | None = None


class Turnstile:
    """One gate for all readers of a process."""

    __slots__ = ("_gate", "_is_wanted", "_line", "_reader")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._line: deque[_Waiter] = deque()
        self._is_wanted = False  # by the first in the line, who has waited for a whole turn
        self._reader = 0  # the thread that is inside

    def enter(self) -> threading.Lock | None:
        """Wait for the turn to read; what this returns goes to :meth:`leave`."""
        gate, thread = self._gate, get_ident()
        if not gate.acquire(False):
            if self._reader == thread:
                return None  # a callback of a read reads
            gate = self._wait()
        self._reader = thread
        return gate

    def leave(self, gate: threading.Lock | None) -> None:
        """End the turn: give it to who has waited long or alone, else keep it open for this thread's next read."""
        # Another gate is that of a read so slow that the others have gone on, and none that of a callback.
        if gate is not None and gate is self._gate and not (self._line and self._hand_over(gate)):
            gate.release()

    def _hand_over(self, gate: threading.Lock) -> bool:
        """Give the turn to the first in the line, if it has waited long or alone."""
        if not self._is_wanted and len(self._line) > 1:
            return False
        try:
            first = self._line.popleft()
        except IndexError:  # it has just gone past
            return False
        self._is_wanted = False
        first.gate = gate
        first.sleep.release()
        return True

    def reset(self) -> None:
        """Begin anew, in a child process: those in the line are the parent's."""
        Turnstile.__init__(self)

    def _wait(self) -> threading.Lock:
        waiter = _Waiter()
        self._line.append(waiter)
        try:
            return self._wait_in_line(waiter)
        except BaseException:
            self._step_out(waiter)
            if waiter.gate is not None:
                self.leave(waiter.gate)
            raise

    def _wait_in_line(self, waiter: _Waiter) -> threading.Lock:
        last = perf_counter() + _LONGEST_WAIT
        while True:
            gate = self._gate
            place = self._place_of(waiter)
            if place == 0 and gate.acquire(False):
                self._step_out(waiter)
                return gate
            # Each before this one has a turn, so that is when it becomes the first; the first asks for its own.
            if waiter.sleep.acquire(timeout=_TURN * (place + 1)):
                return waiter.gate or self._go_past(waiter)
            now = perf_counter()
            if place == 0 and not self._is_wanted:
                self._is_wanted = True
                last = min(last, now + _SLOW)  # whoever reads on for so long is left alone
            if now > last:
                return self._go_past(waiter)

    def _place_of(self, waiter: _Waiter) -> int:
        try:
            return self._line.index(waiter)
        except ValueError:  # it has been taken out, and is about to be told so
            return 1

    def _go_past(self, waiter: _Waiter) -> threading.Lock:
        """Make a gate for everybody but the reader who is inside."""
        given = self._step_out(waiter)
        if given is not None:
            return given
        fresh = threading.Lock()
        fresh.acquire()
        self._gate = fresh
        return fresh

    def _step_out(self, waiter: _Waiter) -> threading.Lock | None:
        """Leave the line; return the gate if it was handed over in the last moment."""
        try:
            self._line.remove(waiter)
        except ValueError:
            waiter.sleep.acquire(timeout=_LONGEST_WAIT)  # whoever has taken it out is about to say so
        return waiter.gate


class Open(Turnstile):
    """Lets everybody through, where the interpreter has no lock for all threads."""

    def enter(self) -> threading.Lock | None:
        """Go on."""
        return None

    def leave(self, gate: threading.Lock | None) -> None:
        """Go on."""


def _has_one_lock() -> bool:
    is_enabled = getattr(sys, "_is_gil_enabled", None)  # from Python 3.13 on
    return is_enabled is None or bool(is_enabled())


readers: Turnstile = Turnstile() if _has_one_lock() else Open()
