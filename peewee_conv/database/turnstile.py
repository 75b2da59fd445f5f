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

# Seconds, both.
_TURN: Final = 0.0005
_SLOW: Final = 0.003  # a reader that keeps others for so long; a line that does not move
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

    __slots__ = ("_gate", "_is_wanted", "_line", "_passed", "_reader")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._line: deque[_Waiter] = deque()
        self._is_wanted = False  # by the first in the line, who has waited for a whole turn
        self._passed = 0
        self._reader = 0  # the thread that is inside

    def enter(self) -> threading.Lock | None:
        """Wait for the turn to read; what this returns goes to :meth:`leave`."""
        gate: threading.Lock | None = self._gate
        if not gate.acquire(False):  # type: ignore[union-attr]
            if self._reader == get_ident():
                return None  # a callback of a read reads
            gate = self._wait()
        self._passed += 1
        self._reader = get_ident()
        return gate

    def leave(self, gate: threading.Lock | None) -> None:
        """End the turn: give it to who has waited long or alone, else keep it open for this thread's next read."""
        if gate is not self._gate:
            return  # a callback, or a read so slow that the others have gone on
        self._reader = 0
        line = self._line
        if line and (self._is_wanted or len(line) == 1):
            try:
                first = line.popleft()
            except IndexError:  # it has just gone past
                pass
            else:
                self._is_wanted = False
                first.gate = gate
                first.sleep.release()
                return
        gate.release()

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
        began = since = perf_counter()
        passed = self._passed
        while True:
            gate = self._gate
            place = self._place_of(waiter)
            if place == 0 and gate.acquire(False):
                self._step_out(waiter)
                return gate
            # Each before this one has a turn, so that is when it becomes the first; the first asks for its own.
            if waiter.sleep.acquire(timeout=_TURN * (place + 1)):
                return waiter.gate or self._go_past(waiter)
            self._is_wanted |= place == 0
            now = perf_counter()
            if self._passed != passed:
                passed, since = self._passed, now
            if now - since > _SLOW or now - began > _LONGEST_WAIT:
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
