"""Windows against a reference that looks at every minute of two weeks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from peewee_conv.schedule_windows import Plan, crash_delay, next_start, plan_of, week_minutes, window_at

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DAY = 1440
plans = st.builds(Plan, st.integers(0, DAY - 1), st.integers(1, DAY), st.integers(0, 127))


def starts_of(plan: Plan, first_day: int, last_day: int) -> list[int]:
    """Return the minutes, counted from the Monday, at which windows start."""
    days = range(first_day, last_day + 1)
    return [day * DAY + plan.start_minute for day in days if plan.days_of_week & 1 << day % 7]


def minutes(moment: datetime) -> int:
    return int((moment - MONDAY).total_seconds() // 60)


@given(plans)
@settings(max_examples=10, deadline=None)
@example(Plan(0, DAY, 127))
@example(Plan(DAY - 1, DAY, 127))
@example(Plan(DAY - 1, 2, 1 << 6))
@example(Plan(0, 1, 0))
def test_windows_equal_a_minute_by_minute_reference_over_two_weeks(plan: Plan) -> None:
    active = {}
    for start in starts_of(plan, -2, 14):
        active.update(dict.fromkeys(range(start, start + plan.duration_minutes), start))

    for minute in range(14 * DAY):
        found = window_at(plan, MONDAY + timedelta(minutes=minute))
        expected = active.get(minute)
        if found is None:
            assert expected is None
        else:
            start, end = found
            assert minutes(start) == expected
            assert minutes(end) == expected + plan.duration_minutes


@given(plans, st.integers(0, 14 * DAY - 1))
def test_the_next_start_is_the_first_of_the_reference(plan: Plan, minute: int) -> None:
    following = [start for start in starts_of(plan, 0, 30) if start > minute]

    found = next_start(plan, MONDAY + timedelta(minutes=minute))

    assert found == (MONDAY + timedelta(minutes=following[0]) if following else None)


@given(plans, st.datetimes(timezones=st.just(UTC)), st.integers(-14, 14))
def test_the_time_zone_of_now_does_not_matter(plan: Plan, now: datetime, hours: int) -> None:
    if not datetime(2, 1, 1, tzinfo=UTC) < now < datetime(9998, 1, 1, tzinfo=UTC):
        return
    assert window_at(plan, now.astimezone(timezone(timedelta(hours=hours)))) == window_at(plan, now)


@pytest.mark.parametrize("now", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_have_an_answer(now: datetime) -> None:
    plan = Plan(DAY - 1, DAY, 127)

    assert window_at(plan, now) is None
    assert next_start(plan, now) is None or now.year == 1


def test_the_end_is_exclusive_and_the_start_is_not() -> None:
    plan = plan_of("23:00", 120, 0b1)
    start, end = datetime(2026, 11, 23, 23, tzinfo=UTC), datetime(2026, 11, 24, 1, tzinfo=UTC)

    assert window_at(plan, start - timedelta(microseconds=1)) is None
    assert window_at(plan, start) == window_at(plan, end - timedelta(microseconds=1)) == (start, end)
    assert window_at(plan, end) is None


def test_a_window_over_midnight_belongs_to_the_day_of_its_start() -> None:
    sunday_night = plan_of("23:30", 60, 1 << 6)

    assert window_at(sunday_night, MONDAY + timedelta(minutes=10)) is not None
    assert window_at(sunday_night, MONDAY + timedelta(days=1, minutes=10)) is None


@pytest.mark.parametrize(("count", "delay"), [(0, None), (1, 10), (2, 30), (3, 90), (4, None), (1000, None)])
def test_there_are_three_restarts_after_longer_and_longer_delays(count: int, delay: int | None) -> None:
    assert crash_delay(count) == delay


@given(st.lists(plans, max_size=3))
@settings(max_examples=20, deadline=None)
def test_the_picture_of_the_week_has_every_minute_of_a_window(found: list[Plan]) -> None:
    values = [(f"{plan[0] // 60:02}:{plan[0] % 60:02}", *plan[1:]) for plan in found]

    assert week_minutes(values) == {
        minute % (7 * DAY)
        for plan in found
        for start in starts_of(plan, 0, 6)
        for minute in range(start, start + plan.duration_minutes)
    }
