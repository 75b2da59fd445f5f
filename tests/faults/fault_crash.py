"""Death at a chosen moment: SIGKILL at the n-th step of a piece of work, or after so many seconds.

A step is the start or the end of a call that runs a statement, or that opens, links, renames, removes or syncs a file.
The interpreter's profiler reports them, so nothing of the package is replaced.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from fault_tools import Child, wait_for

STATEMENTS = {"backup", "close", "connect", "execute", "executemany"}
FILE_CALLS = {"close", "fsync", "link", "mkdir", "open", "rename", "rmdir", "unlink"}


def killed_at_step(step: int, work: Callable[..., Any], *args: Any) -> bool:
    """Run *work* in a process that dies at that step; return whether it came so far."""
    child = Child(_die_at, step, work, args)
    if child.wait() == -signal.SIGKILL:
        child.forget()
        return True
    child.result()
    return False


def killed_after(seconds: float, work: Callable[..., Any], *args: Any, sign: Callable[[], bool] = lambda: True) -> bool:
    """Run *work* in a process that is killed so long after the *sign*; return whether it was still at work."""
    child = Child(work, *args)
    wait_for(sign)
    time.sleep(seconds)
    child.kill()
    ended = child.wait()
    child.forget()
    return ended != 0


class RandomKills:
    """Kills at random moments of a piece of work that takes about *usual* seconds.

    Work that ended before its kill shows that it takes less than that here, so the next kill comes sooner: on a machine
    of any speed some of them arrive in time.
    """

    def __init__(self, usual: float, seed: int | str) -> None:
        self.hits = 0
        self._usual = usual
        self._chance = random.Random(seed)

    def __call__(self, work: Callable[..., Any], *args: Any) -> bool:
        """Run *work* in a process that is killed; return whether it was still at work."""
        seconds = self._chance.uniform(0, self._usual)
        if killed_after(seconds, work, *args):
            self.hits += 1
            return True
        self._usual = seconds
        return False

    @classmethod
    def timed_by(cls, work: Callable[..., Any], *args: Any) -> RandomKills:
        """Let *work* run once to its end, and kill what takes as long as that."""
        started = time.monotonic()
        Child(work, *args).result()
        return cls(time.monotonic() - started, work.__name__)


def _die_at(step: int, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    steps = itertools.count(1)

    def profile(_frame: FrameType, event: str, called: Any) -> None:
        if event.startswith("c_") and _is_step(called) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)
    try:
        work(*args)
    finally:
        sys.setprofile(None)


def _is_step(called: Any) -> bool:
    module = getattr(called, "__module__", None) or type(called.__self__).__module__
    if module in ("posix", "nt"):
        return called.__name__ in FILE_CALLS
    return called.__name__ in STATEMENTS and module.startswith(("sqlite3", "_sqlite3", "peewee_conv.database.files"))
