"""What came of a run, as text: a table of each race, the promises met or missed, and the page of the documentation."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import peewee_conv

from .bars import LAST, bars_of
from .measure import SCALE, Race
from .obstacles import explained

_MISSED = "MISSED"


def timings(race: Race) -> list[list[str]]:
    """Return the table of a race, its head first."""
    rows = [["contender", f"p50 {race.unit}", f"p99 {race.unit}", "per second", f"{race.metric} ratio", "quartiles"]]
    scale = SCALE[race.unit]
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
                    "met" if bar.is_met(ratio.median) else _MISSED,
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


def section(race: Race) -> str:
    """Return the heading, the table and the notes of a race."""
    parts = [f"### {race.workload}: {race.case}", markdown(timings(race)), *race.notes]
    return "\n\n".join(parts)


def page(races: list[Race], rounds: int) -> str:
    """Return the page of the documentation."""
    tables = "\n\n".join(map(section, races))
    decided = verdicts(races)
    missed = [(row[0], row[3]) for row in decided if row[-1] == _MISSED]
    return _PAGE.format(
        machine=machine(),
        rounds=rounds,
        verdicts="\n\n".join(filter(None, [markdown(decided), explained(missed)])),
        tables=tables,
        date=f"{datetime.now(UTC):%F}",
    )


def machine() -> str:
    """Return what the run ran on, a list of Markdown."""
    facts = {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()} ({sys.implementation.name})",
        "SQLite": sqlite3.sqlite_version,
        "Peewee": _version("peewee"),
        "peewee_conv": peewee_conv.__version__,
        "SQLAlchemy": _version("sqlalchemy"),
        "openai-agents": _version("openai-agents"),
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


_PAGE = """# Benchmarks

<!-- Written by `python -m benchmarks`. Change benchmarks/report.py instead. -->

How fast is peewee_conv? The measure is the *reference*: sqlite3 from the standard library as somebody who knows SQLite
well writes it by hand for one purpose, on the same tables, indexes, page size and durability, with prepared statements,
one connection for each thread that is kept for good, one lock for the writers of the process, and plain tuples as
answers. It checks no argument and notices no deleted file. Beside it stand plain Peewee models on the same tables, and
two others on tables of their own: SQLAlchemy's ORM with a session for each call, and the `SQLiteSession` of
openai-agents.

![The time of each contender as a multiple of the reference's, on a logarithmic scale](_static/benchmarks.svg)

A dot is a contender's time (where several work at once, the inverse of its operations per second) as a multiple of the
reference's; a short line is what ours promises to stay left of. The scale is logarithmic.

Run it yourself from a checkout: `pip install -e . -r benchmarks/requirements.txt`, then `python -m benchmarks`; it
takes some minutes and writes this page. `python -m benchmarks S1 S2 --quick` only looks at two of the workloads.

How it measures: the contenders work in small slices, turn by turn, so that whatever else the machine does disturbs all
of them alike. A *ratio* is the median over the slices of the contender's median time (or its operations per second,
"rate") and that of the reference in the same turn, with the quartiles beside it; p99 is compared round by round. Set-up
is not timed. Messages have 300 to 700 bytes. After each race the answers and what is stored are checked: counts, order,
sequences.

This run: {date}, {rounds} rounds, on

{machine}

## What is promised, and what was measured

{verdicts}

## All timings

- *in a scope*: many calls inside one `with project:`; *one call per scope*: each call in one of its own; *no scope*:
  bare calls of the services.
- *normal* and *full* are durabilities; `SQLiteSession` has no such setting and always syncs fully.
- A1 and A2 are of asyncio: "added" is what awaiting a call costs beside calling it, "worst" the longest time that the
  event loop was late, in the unit of the table.
- openai-agents keeps no list of its sessions, so it has no place in S8, and reads from 50 conversations in S2.

{tables}
"""
