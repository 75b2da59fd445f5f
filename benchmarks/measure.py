"""Contenders that do the same work in small slices, turn by turn; medians, percentiles and ratios of what they took."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

REFERENCE = "reference"
#: How many of a unit are in what a slice holds: seconds, or megabytes.
SCALE = {"us": 1e6, "ms": 1e3, "s": 1.0, "MB": 1.0}


class WrongAnswer(Exception):
    """A contender did not do the work: its timing means nothing."""


def check(is_right: bool, message: str) -> None:
    """Raise :class:`WrongAnswer` with *message* unless *is_right*."""
    if not is_right:
        raise WrongAnswer(message)


class Slice(NamedTuple):
    """A few operations of one contender.

    :ivar latencies: what each took, in seconds.
    :ivar seconds: what all took together.
    """

    latencies: list[float]
    seconds: float


Runner = Callable[[], Slice]


class Spread(NamedTuple):
    """A median with its quartiles."""

    median: float
    low: float
    high: float

    def times(self, factor: float) -> Spread:
        """Return it in another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of *values*, which need not be many."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def timed(operation: Callable[..., object], arguments: Iterable[tuple[Any, ...]]) -> Slice:
    """Call *operation* with each of *arguments* and return what it took."""
    clock = time.perf_counter
    latencies: list[float] = []
    note = latencies.append
    start = before = clock()
    for args in arguments:
        operation(*args)
        after = clock()
        note(after - before)
        before = after
    return Slice(latencies, before - start)


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the value that *percent* of *values* do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


class Race:
    """One case of a workload: its contenders and what each slice of theirs took.

    :param workload: its name, such as ``"S1"``.
    :param case: what tells it from the other cases of the workload.
    :param unit: of the latencies in the report: ``"us"``, ``"ms"``, or ``"MB"`` where memory was measured.
    :param reference: the contender that the ratios are to.
    :param metric: what is compared: the ``"p50"`` of the latencies, or the ``"rate"`` where several work at once.
    """

    def __init__(
        self, workload: str, case: str, *, unit: str = "us", reference: str = REFERENCE, metric: str = "p50"
    ) -> None:
        self.workload, self.case, self.unit, self.reference, self.metric = workload, case, unit, reference, metric
        self.rounds: list[dict[str, list[Slice]]] = []
        self.notes: list[str] = []

    def run(self, runners: dict[str, Runner], rounds: int, slices: int) -> Race:
        """Let each runner do *slices* slices in each of *rounds* rounds; who begins changes from slice to slice."""
        names = list(runners)
        for runner in runners.values():
            runner()  # opens, warms caches, prepares statements
        gc.collect()
        gc.freeze()  # the set-up's objects cost nobody a collection
        try:
            for _ in range(rounds):
                taken: dict[str, list[Slice]] = {name: [] for name in names}
                for turn in range(slices):
                    first = turn % len(names)
                    for name in names[first:] + names[:first]:
                        taken[name].append(runners[name]())
                self.rounds.append(taken)
        finally:
            gc.unfreeze()
        return self

    def add_round(self, taken: dict[str, list[Slice]]) -> None:
        """Add a round that was measured elsewhere."""
        self.rounds.append(taken)

    # --- what came of it ---

    @property
    def names(self) -> list[str]:
        """The contenders, in the order in which they were given."""
        return list(self.rounds[0])

    def latency(self, name: str, percent: int) -> float:
        """Return the median over the rounds of a percentile of the latencies, in seconds."""
        return statistics.median(
            percentile((latency for piece in taken[name] for latency in piece.latencies), percent)
            for taken in self.rounds
        )

    def rate(self, name: str) -> float:
        """Return the median over the rounds of the operations per second."""
        return statistics.median(_rate(taken[name]) for taken in self.rounds)

    def spread(self, name: str) -> Spread:
        """Return the median of the latencies, with its quartiles over the slices."""
        return Spread.of([_p50(piece) for taken in self.rounds for piece in taken[name]])

    def added(self, name: str) -> Spread:
        """Return how much more than the reference's the median latency of *name* is, slice by slice."""
        pairs = (pair for taken in self.rounds for pair in zip(taken[name], taken[self.reference], strict=True))
        return Spread.of([_p50(mine) - _p50(theirs) for mine, theirs in pairs])

    def worst(self, name: str) -> Spread:
        """Return the greatest latency of all, with the least and the greatest that a round came to."""
        rounds = [max(max(piece.latencies) for piece in taken[name]) for taken in self.rounds]
        return Spread(max(rounds), min(rounds), max(rounds))

    def ratio(self, name: str, metric: str) -> Spread:
        """Return how often the reference's time, or rate, fits into that of *name*.

        :param metric: ``"p50"`` and ``"rate"`` compare slice with slice, ``"p99"`` round with round.
        """
        ratios = []
        for taken in self.rounds:
            mine, theirs = taken[name], taken[self.reference]
            if metric == "p99":
                ratios.append(_p99(mine) / _p99(theirs))
            else:
                value = _p50 if metric == "p50" else _rate_of_slice
                ratios += [value(one) / value(other) for one, other in zip(mine, theirs, strict=True)]
        return Spread.of(ratios)


def _p50(piece: Slice) -> float:
    return statistics.median(piece.latencies)


def _rate_of_slice(piece: Slice) -> float:
    return len(piece.latencies) / piece.seconds


def _p99(pieces: list[Slice]) -> float:
    return percentile((latency for piece in pieces for latency in piece.latencies), 99)


def _rate(pieces: list[Slice]) -> float:
    return sum(len(piece.latencies) for piece in pieces) / sum(piece.seconds for piece in pieces)
