"""What is promised of each workload: a ratio to the reference that is not exceeded, or not fallen short of."""

from __future__ import annotations

from typing import NamedTuple

from .contenders import IN_SCOPE, PER_CALL
from .measure import Race, Spread


class Bar(NamedTuple):
    """One promise.

    :ivar workload: its name.
    :ivar contender: whose ratio it is.
    :ivar metric: ``"p50"`` or ``"p99"`` of the latencies, or ``"rate"``, operations per second.
    :ivar at_most: the greatest ratio, or ``None``.
    :ivar at_least: the smallest ratio, or ``None``.
    :ivar case: how the cases begin that it holds for.
    :ivar against: what the ratio is to, if not to the reference of the race.
    """

    workload: str
    contender: str
    metric: str
    at_most: float | None = None
    at_least: float | None = None
    case: str = ""
    against: str | None = None

    def applies_to(self, race: Race) -> bool:
        """Say whether *race* decides about it."""
        return race.workload == self.workload and race.case.startswith(self.case) and self.contender in race.names

    def measured(self, race: Race) -> Spread:
        """Return the ratio that *race* came to."""
        return race.ratio(self.contender, self.metric, self.against)

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
    Bar("S8", IN_SCOPE, "p50", at_most=1.3),
    Bar("S13", IN_SCOPE, "p50", at_most=1.3),
)


def bars_of(race: Race) -> list[Bar]:
    """Return the promises that *race* decides about."""
    return [bar for bar in BARS if bar.applies_to(race)]
