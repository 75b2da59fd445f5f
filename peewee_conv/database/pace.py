"""When the turn of a writer begins: not before the file was free for a moment, nor before those who are about to come.

Both waits are short, and for the sake of many: other processes that want the file, and threads that share a commit.
"""

from __future__ import annotations

import threading
from time import perf_counter, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sized

# All in seconds, but for the share.
_LONG = 0.005
_SHARE = 0.05
_LONGEST_PAUSE = 0.1
_PATIENCE = 0.002
_WORTH = 0.0001


class Pace:
    """Leaves the file to other processes for a while after each long turn.

    Those ask for its lock every tenth of a second, which is SQLite's way to wait; where the disk is slow and threads of
    this process queue, we would have it whenever they ask. Free for a twentieth of the time, it is found so by one
    question in twenty-one. Threads that share commits lose nothing by it: more of them share the next one.

    :ivar is_slow: the last turn was long, or waited for another process, which a single statement does not tell apart.
        The next one should lock the file first, and say when it has it.
    """

    __slots__ = ("_begun", "_free_until", "_locked", "is_slow")

    def __init__(self) -> None:
        self._begun = self._free_until = 0.0
        self._locked: float | None = None
        self.is_slow = False

    def begin(self) -> None:
        """Begin a turn, when the file was free for long enough."""
        self._locked = None
        self._begun = perf_counter()
        if self._begun < self._free_until:
            sleep(self._free_until - self._begun)
            self._begun = perf_counter()

    def locked(self) -> None:
        """Note that the turn has the lock of the file now."""
        self._locked = perf_counter()

    def end(self) -> None:
        """End the turn."""
        now = perf_counter()
        took = now - (self._locked or self._begun)
        self.is_slow = took > _LONG
        if self.is_slow and self._locked is not None:
            self._free_until = now + min(took * _SHARE, _LONGEST_PAUSE)


class Gathering:
    """Lets who leads a commit wait for those that shared the last one: they are about to call again.

    A loop does, or a busy server. Else some would come too late each time, and pay for a commit of their own. The wait
    is for the time of one commit at most, and only where a commit takes long. As the thread that has led leads again,
    the pages that it has changed are still in the memory of its connection.

    :param mutex: the lock of the queue; whoever calls :meth:`arrived` and :meth:`end` has it.
    :param queue: those that wait to be taken along.
    """

    __slots__ = ("_expected", "_gate", "_mutex", "_patience", "_queue")

    def __init__(self, mutex: threading.Lock, queue: Sized) -> None:
        self._mutex, self._queue = mutex, queue
        self._expected = 0
        self._patience = 0.0
        self._gate: threading.Lock | None = None

    def expect(self, callers: int, seconds: float) -> None:
        """Note how many shared a commit or came meanwhile, and how long it took."""
        self._expected, self._patience = callers, min(seconds, _PATIENCE)

    def wait(self, gate: threading.Lock) -> None:
        """Wait until all are there or it takes too long, at *gate*, which is locked and nobody else's."""
        if self._is_complete() or self._patience < _WORTH:
            return
        with self._mutex:
            self._gate = gate
            self.arrived()
        gate.acquire(timeout=self._patience)
        self._gate = None

    def arrived(self) -> None:
        """Let the one that waits go on, if everybody is there."""
        if self._gate is not None and self._is_complete():
            self._gate.release()
            self._gate = None

    def end(self) -> None:
        """Forget the one that waits: an interrupt may have torn it away."""
        self._gate = None

    def _is_complete(self) -> bool:
        return len(self._queue) + 1 >= self._expected
