"""When a schedule is active: pure arithmetic in UTC, on whole minutes of its start.

A window begins at the start time of a day whose bit is set (bit 0 is Monday), lasts its duration, and ends exclusively.
It may cross midnight; it belongs to the day on which it began. UTC has no daylight-saving time, so neither has this.

>>> monday_night = Plan(start_minute=23 * 60, duration_minutes=120, days_of_week=1)
>>> window_at(monday_night, datetime(2026, 11, 24, 0, 30, tzinfo=UTC))[0].isoformat()
'2026-11-23T23:00:00+00:00'
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

#: Seconds to wait before the first, second and third restart after a crash; there is no fourth.
CRASH_DELAYS = (10, 30, 90)
_DAY = 24 * 60  # minutes


class Plan(NamedTuple):
    """The part of a schedule that decides when it is active."""

    start_minute: int
    duration_minutes: int
    days_of_week: int


def plan_of(start_time: str, duration_minutes: int, days_of_week: int) -> Plan:
    """Return the plan of a schedule whose start is given as ``HH:MM``."""
    hours, minutes = start_time.split(":")
    return Plan(int(hours) * 60 + int(minutes), duration_minutes, days_of_week)


def window_at(plan: Plan, now: datetime) -> tuple[datetime, datetime] | None:
    """Return start and end of the window that contains *now*, or ``None``.

    Of two that do, which a duration of a day and more than one start make possible, the later one.
    """
    for days_back in (0, 1):
        window = _window_of_day(plan, now, days_back)
        if window is not None and window[0] <= now < window[1]:
            return window
    return None


def next_start(plan: Plan, now: datetime) -> datetime | None:
    """Return the first start after *now*, or ``None`` if no day is set."""
    for days_ahead in range(8):
        window = _window_of_day(plan, now, -days_ahead)
        if window is not None and window[0] > now:
            return window[0]
    return None


def _window_of_day(plan: Plan, now: datetime, days_back: int) -> tuple[datetime, datetime] | None:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        day = midnight - timedelta(days=days_back)
        if not plan.days_of_week >> day.weekday() & 1:
            return None
        start = day + timedelta(minutes=plan.start_minute)
        return start, start + timedelta(minutes=plan.duration_minutes)
    except OverflowError:  # the first and the last day that Python has
        return None


def week_minutes(plans: Iterable[tuple[str, int, int]]) -> set[int]:
    """Return the minutes of the week, from Monday 00:00, at which any of the plans is active.

    :param plans: the arguments of :func:`plan_of`.
    """
    found: set[int] = set()
    for plan in (plan_of(*values) for values in plans):
        for day in (day for day in range(7) if plan.days_of_week >> day & 1):
            start = day * _DAY + plan.start_minute
            found.update(minute % (7 * _DAY) for minute in range(start, start + plan.duration_minutes))
    return found


def crash_delay(crash_count: int) -> int | None:
    """Return how many seconds to wait before the restart after the n-th crash; ``None``: restart no more."""
    return CRASH_DELAYS[crash_count - 1] if 1 <= crash_count <= len(CRASH_DELAYS) else None
