"""What came of a run, as text: a table of each race, and the promises met or missed."""

from __future__ import annotations

from .bars import LAST, bars_of
from .measure import Race

_SCALE = {"us": 1e6, "ms": 1e3, "s": 1.0, "MB": 1.0}


def timings(race: Race) -> list[list[str]]:
    """Return the table of a race, its head first."""
    rows = [["contender", f"p50 {race.unit}", f"p99 {race.unit}", "per second", f"{race.metric} ratio", "quartiles"]]
    scale = _SCALE[race.unit]
    for name in race.names:
        ratio = race.ratio(name, race.metric)
        rows.append(
            [
                name,
                number(race.latency(name, 50) * scale),
                number(race.latency(name, 99) * scale),
                "" if race.unit == "MB" else number(race.rate(name)),
                f"{ratio.median:.2f}",
                f"{ratio.low:.2f} - {ratio.high:.2f}",
            ]
        )
    return rows


def verdicts(races: list[Race]) -> list[list[str]]:
    """Return the table of the promises that *races* decide about, its head first."""
    rows = [["workload", "case", "contender", "metric", "measured", "quartiles", "bar", "verdict"]]
    for race in races:
        for bar in bars_of(race):
            ratio = bar.measured(race)
            rows.append(
                [
                    race.workload,
                    race.case,
                    race.names[-1] if bar.contender == LAST else bar.contender,
                    bar.metric,
                    f"{ratio.median:.2f}",
                    f"{ratio.low:.2f} - {ratio.high:.2f}",
                    bar.limit,
                    "met" if bar.is_met(ratio.median) else "MISSED",
                ]
            )
    return rows


def number(value: float) -> str:
    """Return *value* with three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(rows: list[list[str]]) -> str:
    """Return a Markdown table whose columns are aligned in the source too."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
