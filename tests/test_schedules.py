"""Schedules and their overrides: limits, changes, the open window, crashes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.errors import InvalidArgument, LimitReached, ScheduleNotFound
from peewee_conv.schemas import features
from peewee_conv.services.schedules import Schedules

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def schedules(make_project: Callable[..., Project], clock: Any) -> Schedules:
    clock.moment = MONDAY + timedelta(hours=10)
    return make_project("aurora", now=clock).schedules


def test_a_new_schedule_has_the_documented_defaults(schedules: Schedules, clock: Any) -> None:
    assert schedules.create("09:00", 60).to_dict() == {
        "id": 1,
        "project_name": "aurora",
        "start_time": "09:00",
        "duration_minutes": 60,
        "days_of_week": 127,
        "enabled": True,
        "yolo_mode": False,
        "model": None,
        "max_concurrency": 3,
        "crash_count": 0,
        "created_at": clock.text,
    }


def test_every_argument_is_stored(schedules: Schedules) -> None:
    made = schedules.create(
        "00:00",
        1440,
        days_of_week=0,
        enabled=False,
        yolo_mode=True,
        model="opus",
        max_concurrency=5,
        project_name="borealis",
    )

    assert schedules.get(made.id).to_dict() == {
        **made.to_dict(),
        "duration_minutes": 1440,
        "days_of_week": 0,
        "enabled": False,
        "yolo_mode": True,
        "model": "opus",
        "max_concurrency": 5,
        "project_name": "borealis",
    }


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("start_time", value) for value in ("24:00", "9:00", "09:60", "0900", "\u0660\u0669:00", "9:0\n", None, 900)),
        *(("duration_minutes", value) for value in (0, 1441, 1.5, "60", True)),
        *(("days_of_week", value) for value in (-1, 128, None)),
        *(("max_concurrency", value) for value in (0, 6, None)),
        *(("enabled", value) for value in (1, None, "yes")),
        ("yolo_mode", 0),
        ("model", "x" * 51),
        ("project_name", "x" * 51),
    ],
)
def test_what_is_not_allowed_is_refused_and_named(schedules: Schedules, argument: str, value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        schedules.create(**{"start_time": "09:00", "duration_minutes": 60, argument: value})

    assert caught.value.argument == argument
    assert schedules.list() == []


def test_the_51st_schedule_is_refused(schedules: Schedules) -> None:
    for _ in range(50):
        schedules.create("09:00", 60)

    with pytest.raises(LimitReached, match="limit of 50 schedules"):
        schedules.create("09:00", 60)


def test_the_list_is_ordered_by_start_then_id(schedules: Schedules) -> None:
    for start in ("10:00", "09:00", "10:00", "00:30"):
        schedules.create(start, 60)

    assert [found.id for found in schedules.list()] == [4, 2, 1, 3]


def test_an_update_changes_what_is_given(schedules: Schedules) -> None:
    made = schedules.create("09:00", 60, model="opus")

    assert schedules.update(made.id, start_time="10:00", model=None).to_dict() == {
        **made.to_dict(),
        "start_time": "10:00",
        "model": None,
    }
    assert schedules.update(made.id).start_time == "10:00"


@pytest.mark.parametrize("call", ["get", "update", "record_crash", "reset_crashes"])
def test_a_missing_schedule_is_not_found(schedules: Schedules, call: str) -> None:
    with pytest.raises(ScheduleNotFound, match="schedule 7 does not exist"):
        getattr(schedules, call)(7)


def test_a_missing_schedule_is_none_or_false(schedules: Schedules) -> None:
    assert schedules.find(7) is None
    assert schedules.delete(7) is False
    assert schedules.overrides(7) == []
    assert schedules.delete_override(7) is False
    with pytest.raises(ScheduleNotFound):
        schedules.add_override(7, "stop", expires_at=MONDAY)
    with pytest.raises(ScheduleNotFound):
        schedules.add_override(7, "stop")


def test_deleting_a_schedule_deletes_its_overrides(schedules: Schedules) -> None:
    made = schedules.create("09:00", 120)
    schedules.add_override(made.id, "stop")

    assert schedules.delete(made.id) is True
    assert schedules.overrides(made.id) == []


def test_a_raw_delete_deletes_the_overrides_too(make_project: Callable[..., Project]) -> None:
    project = make_project()
    made = project.schedules.create("09:00", 120)
    project.schedules.add_override(made.id, "stop", expires_at=MONDAY)
    with project:
        features.database.execute_sql("DELETE FROM schedules")

    assert project.schedules.overrides(made.id) == []


# --- the open window ---


def test_the_open_window_is_that_of_today(schedules: Schedules) -> None:
    made = schedules.create("09:00", 120)

    found = schedules.active_window()

    assert found is not None
    assert found.to_dict()["schedule_id"] == made.id
    assert (found.starts_at, found.ends_at) == (MONDAY.replace(hour=9), MONDAY.replace(hour=11))
    assert found.is_override is False


def test_a_window_may_cross_midnight(schedules: Schedules) -> None:
    schedules.create("23:00", 120, days_of_week=0b1000000)

    found = schedules.active_window(MONDAY + timedelta(minutes=59))

    assert found is not None
    assert found.ends_at == MONDAY + timedelta(hours=1)
    assert schedules.active_window(MONDAY + timedelta(hours=1)) is None
    assert schedules.active_window(MONDAY + timedelta(days=1, minutes=59)) is None


def test_now_may_be_in_any_time_zone(schedules: Schedules) -> None:
    schedules.create("09:00", 120)
    tokyo = timezone(timedelta(hours=9))

    assert schedules.active_window(MONDAY.replace(hour=10).astimezone(tokyo)) == schedules.active_window()
    with pytest.raises(InvalidArgument, match="now"):
        schedules.active_window(datetime(2026, 11, 23, 10))  # noqa: DTZ001 - that is the point


def test_a_schedule_that_is_off_or_has_no_day_is_never_open(schedules: Schedules) -> None:
    schedules.create("00:00", 1440, enabled=False)
    schedules.create("00:00", 1440, days_of_week=0)

    assert schedules.active_windows() == []


def test_of_several_windows_the_one_that_ends_last_counts(schedules: Schedules) -> None:
    for minutes in (90, 300, 120):
        schedules.create("09:00", minutes)

    assert [window.schedule_id for window in schedules.active_windows()] == [1, 3, 2]
    assert schedules.active_window() == schedules.active_windows()[-1]


@pytest.mark.parametrize(("weekday", "expected"), [(0, True), (1, False), (6, True), (7, False), (-1, False)])
def test_a_schedule_knows_its_days(schedules: Schedules, weekday: int, expected: bool) -> None:
    assert schedules.create("09:00", 60, days_of_week=0b1000001).is_active_on_day(weekday) is expected


# --- overrides ---


def test_a_stop_closes_the_window_until_it_expires(schedules: Schedules, clock: Any) -> None:
    made = schedules.create("09:00", 120)

    override = schedules.add_override(made.id, "stop")

    assert override.expires_at == MONDAY.replace(hour=11)
    assert schedules.active_window() is None
    clock.advance(days=1)
    assert schedules.active_window() is not None


def test_a_start_opens_a_window_until_it_expires(schedules: Schedules, clock: Any) -> None:
    made = schedules.create("20:00", 60)
    schedules.add_override(made.id, "start", expires_at=MONDAY.replace(hour=12))

    found = schedules.active_window()

    assert found is not None
    assert (found.ends_at, found.is_override) == (MONDAY.replace(hour=12), True)
    clock.advance(hours=2)
    assert schedules.active_window() is None


def test_a_start_makes_an_open_window_longer_but_never_shorter(schedules: Schedules) -> None:
    made = schedules.create("09:00", 180)
    schedules.add_override(made.id, "start", expires_at=MONDAY.replace(hour=11))
    found = schedules.active_window()
    assert found is not None
    assert (found.starts_at, found.ends_at) == (MONDAY.replace(hour=9), MONDAY.replace(hour=12))

    schedules.add_override(made.id, "start", expires_at=MONDAY.replace(hour=15))
    found = schedules.active_window()
    assert found is not None
    assert found.ends_at == MONDAY.replace(hour=15)


@pytest.mark.parametrize(("first", "second", "is_open"), [("start", "stop", False), ("stop", "start", True)])
def test_of_start_and_stop_the_newer_counts(schedules: Schedules, first: Any, second: Any, is_open: bool) -> None:
    made = schedules.create("09:00", 120)
    for kind in (first, second):
        schedules.add_override(made.id, kind)

    assert (schedules.active_window() is not None) is is_open


def test_an_override_takes_the_place_of_an_older_one_of_its_type(schedules: Schedules) -> None:
    made = schedules.create("09:00", 120)
    for hour in (11, 12):
        schedules.add_override(made.id, "stop", expires_at=MONDAY.replace(hour=hour))
    schedules.add_override(made.id, "start")

    assert [(found.override_type, found.expires_at.hour) for found in schedules.overrides(made.id)] == [
        ("stop", 12),
        ("start", 11),
    ]


def test_without_an_open_window_an_override_needs_an_end(schedules: Schedules) -> None:
    made = schedules.create("20:00", 60)

    with pytest.raises(InvalidArgument, match="no window of the schedule is open"):
        schedules.add_override(made.id, "start")


@pytest.mark.parametrize("kind", ["pause", None, []])
def test_another_type_of_override_is_refused(schedules: Schedules, kind: Any) -> None:
    made = schedules.create("09:00", 120)

    with pytest.raises(InvalidArgument, match="override_type"):
        schedules.add_override(made.id, kind)


def test_expired_overrides_are_purged(schedules: Schedules, clock: Any) -> None:
    made = schedules.create("09:00", 120)
    schedules.add_override(made.id, "stop")
    schedules.add_override(made.id, "start", expires_at=MONDAY.replace(hour=20))
    clock.advance(hours=1)

    assert schedules.purge_overrides() == 1
    (left,) = schedules.overrides(made.id)
    assert left.override_type == "start"
    assert schedules.delete_override(left.id) is True


# --- crashes ---


def test_three_crashes_are_followed_by_a_restart(schedules: Schedules) -> None:
    made = schedules.create("09:00", 60)

    assert [schedules.record_crash(made.id) for _ in range(5)] == [10, 30, 90, None, None]
    assert schedules.get(made.id).crash_count == 5


def test_a_scheduled_start_forgets_the_crashes(schedules: Schedules) -> None:
    made = schedules.create("09:00", 60)
    schedules.record_crash(made.id)

    assert schedules.reset_crashes(made.id).crash_count == 0
    assert schedules.record_crash(made.id) == 10
