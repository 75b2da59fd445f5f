"""What is promised of each workload: a ratio to the reference that is not exceeded, or not fallen short of."""

from __future__ import annotations

from typing import NamedTuple

from .contenders import IN_SCOPE, PER_CALL
from .measure import SCALE, Race, Spread

LAST = "the last"


class Bar(NamedTuple):
    """One promise.

    :ivar workload: its name.
    :ivar contender: whose ratio it is; ``LAST`` for the last one of the race, whatever its name.
    :ivar metric: ``"p50"`` or ``"p99"`` of the latencies, ``"rate"``, operations per second; or in the unit of
        the race ``"value"``, the median itself, ``"added"``, what it is more than the reference's, and ``"worst"``, the
        greatest of all.
    :ivar at_most: the greatest ratio, or ``None``.
    :ivar at_least: the smallest ratio, or ``None``.
    :ivar case: how the cases begin that it holds for.
    """

    workload: str
    contender: str
    metric: str
    at_most: float | None = None
    at_least: float | None = None
    case: str = ""

    def applies_to(self, race: Race) -> bool:
        """Say whether *race* decides about it."""
        if race.workload != self.workload or not race.case.startswith(self.case):
            return False
        return self.contender == LAST or self.contender in race.names

    def measured(self, race: Race) -> Spread:
        """Return the ratio, or the value, that *race* came to."""
        name = race.names[-1] if self.contender == LAST else self.contender
        measures = {"value": race.spread, "added": race.added, "worst": race.worst}
        if self.metric in measures:
            return measures[self.metric](name).times(SCALE[race.unit])
        return race.ratio(name, self.metric)

    def is_met(self, value: float) -> bool:
        """Say whether *value* keeps the promise."""
        if self.at_most is not None:
            return value <= self.at_most
        return self.at_least is None or value >= self.at_least

    @property
    def limit(self) -> str:
        """The promise as text."""
        return f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"


BARS = (
    Bar("S1", IN_SCOPE, "p50", at_most=1.15),
    Bar("S1", PER_CALL, "p50", at_most=1.5),
    Bar("S2", IN_SCOPE, "p50", at_most=1.3),
    Bar("S2", PER_CALL, "p50", at_most=1.8),
    Bar("S3", IN_SCOPE, "p50", at_most=1.35),
    Bar("S4", IN_SCOPE, "rate", at_least=1.0),
    Bar("S4", IN_SCOPE, "p99", at_most=0.5),
    Bar("S5", IN_SCOPE, "rate", at_least=2.5, case="8 threads"),
    Bar("S5", IN_SCOPE, "p99", at_most=0.5, case="8 threads"),
    Bar("S5", IN_SCOPE, "p50", at_most=1.05, case="a lone thread"),
    Bar("S6", IN_SCOPE, "rate", at_least=1.0),
    Bar("S7", PER_CALL, "rate", at_least=0.8),
    Bar("S8", IN_SCOPE, "p50", at_most=1.3),
    Bar("S9", IN_SCOPE, "p50", at_most=1.2, case="rare word"),
    Bar("S9", IN_SCOPE, "p50", at_most=1.3, case="append"),
    Bar("S10", IN_SCOPE, "p50", at_most=1.2),
    Bar("S11", LAST, "p50", at_most=1.15),
    Bar("S12", LAST, "p50", at_most=1.25, case="import"),
    Bar("S12", LAST, "p50", at_most=1.5, case="open and first read"),
    Bar("S12", LAST, "value", at_most=24.0, case="peak memory"),
    Bar("S13", IN_SCOPE, "p50", at_most=1.3),
    Bar("S14", LAST, "p50", at_most=1.2, case="open and first read"),
    Bar("S14", LAST, "p50", at_most=1.1, case="memory"),
    Bar("A1", LAST, "added", at_most=150, case="call"),
    Bar("A1", LAST, "worst", at_most=10, case="lag, calls in flight: 1"),
    Bar("A1", LAST, "worst", at_most=50, case="lag, calls in flight: 50"),
    Bar("A2", LAST, "worst", at_most=50),
)


def bars_of(race: Race) -> list[Bar]:
    """Return the promises that *race* decides about."""
    return [bar for bar in BARS if bar.applies_to(race)]
