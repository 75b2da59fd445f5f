"""``schedules``: when a project's agents run, as a picture of the week."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from peewee_conv.schedule_windows import week_minutes
from peewee_conv.schemas import features as schema

from . import projects
from .console import Column, Console
from .parser import Commands, moment

if TYPE_CHECKING:
    from peewee_conv.feature_records import Schedule

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = 24
_WIDE = 56  # columns that a picture with half hours needs
_COLUMNS = [
    Column("id", right=True),
    Column("start"),
    Column("minutes", right=True),
    Column("days"),
    Column("state"),
    Column("agents", right=True, may_go=True),
    Column("crashes", right=True, may_go=True),
    Column("model", may_shrink=True, may_go=True),
]


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "schedules",
        _schedules,
        summary="show when a project's agents run, as a picture of the week",
        usage="[--at TIME] [options]",
        details="All times are in UTC. The picture has what is enabled, without starts and stops by hand.",
        examples=(
            "peewee-conv schedules --project projects/aurora",
            "peewee-conv schedules --at 2026-11-23T22:30 --json",
        ),
    )
    parser.add_argument("--at", metavar="TIME", type=moment, help="which windows are open then, in place of now")


def _schedules(args: argparse.Namespace, console: Console) -> int:
    at = args.at or datetime.now(UTC)
    with projects.existing(args, schema) as project:
        found = project.schedules.list()
        windows = project.schedules.active_windows(at)
    if console.as_json:
        console.json({"schedules": [row.to_dict() for row in found], "open": [row.to_dict() for row in windows]})
        return 0
    if not found:
        console.say("no schedules")
        return 0
    _print_week(console, found)
    console.line()
    console.table(_COLUMNS, [_row(schedule) for schedule in found])
    state = f"open until {windows[-1].ends_at:%a %H:%M}" if windows else "no window is open"
    console.say(f"\n{at.astimezone(UTC):%a %H:%M} UTC: {state}")
    return 0


def _print_week(console: Console, found: Iterable[Schedule]) -> None:
    """Print a line for each day, with a mark for each half hour, or hour, in which any agent may run."""
    per_hour = 2 if console.width is None or console.width >= _WIDE else 1
    minutes = week_minutes((row.start_time, row.duration_minutes, row.days_of_week) for row in found if row.enabled)
    taken = {minute * per_hour // 60 for minute in minutes}
    mark, empty = ("█", "·") if (console.stdout.encoding or "").lower().startswith("utf") else ("#", ".")
    console.line(" " * 4 + "".join(f"{hour:02}".ljust(3 * per_hour) for hour in range(0, _HOURS, 3)).rstrip())
    row = _HOURS * per_hour
    for day, name in enumerate(_DAYS):
        cells = (mark if day * row + at in taken else empty for at in range(row))
        console.line(f"{name} {console.style(''.join(cells), 'cyan')}")


def _row(schedule: Schedule) -> tuple[object, ...]:
    return (
        schedule.id,
        schedule.start_time,
        schedule.duration_minutes,
        _days(schedule),
        "on" if schedule.enabled else "off",
        schedule.max_concurrency,
        schedule.crash_count,
        schedule.model or "",
    )


def _days(schedule: Schedule) -> str:
    if schedule.days_of_week == 127:
        return "every day"
    return " ".join(name for day, name in enumerate(_DAYS) if schedule.is_active_on_day(day)) or "never"
