"""Progress of work that takes longer than a second, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .console import Console

_SILENT_SECONDS = 1.0
_BAR_SECONDS = 0.1  # between two states of a bar
_LINE_SECONDS = 5.0  # between two lines where there is no terminal
_BAR = 24


class Progress:
    """A callable for ``on_progress``: a bar on a terminal, a plain line every few seconds elsewhere.

    :param label: what is being done.
    :param clock: seconds; tests replace it.
    """

    def __init__(self, console: Console, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._label, self._clock = console, label, clock
        self._is_bar = console.stderr.isatty()
        self._next = clock() + (_SILENT_SECONDS if self._is_bar else _LINE_SECONDS)
        self._drawn = 0

    def __call__(self, done: int, total: int) -> None:
        """Report that *done* of *total* is behind us; a total of 0 is not known."""
        now = self._clock()
        if self._console.quiet or now < self._next:
            return
        self._next = now + (_BAR_SECONDS if self._is_bar else _LINE_SECONDS)
        if self._is_bar:
            self._draw(done, total)
        else:
            self._console.note(f"{self._label}: {_amount(done, total)}")

    def _draw(self, done: int, total: int) -> None:
        filled = min(_BAR, _BAR * done // total) if total > 0 else 0
        text = f"{self._label} [{'#' * filled}{'.' * (_BAR - filled)}] {_amount(done, total)}"
        self._console.stderr.write("\r" + text.ljust(self._drawn))
        self._console.stderr.flush()
        self._drawn = len(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._drawn:  # take the bar away: what follows says how it ended
            self._console.stderr.write("\r" + " " * self._drawn + "\r")
            self._console.stderr.flush()


def _amount(done: int, total: int) -> str:
    return f"{done:,} of {total:,} ({100 * done // total} %)" if total > 0 else f"{done:,}"
