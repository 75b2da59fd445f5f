"""AutoForge's features, schedules and overrides: what they hold, and what they are as dictionaries."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from orm_tools import FEATURE_KEYS, feature, schedule
from orm_tools import maker as maker

from peewee_conv import Project
from peewee_conv.compat.feature_database import Base, Feature, Schedule, ScheduleOverride, SessionMaker
from peewee_conv.errors import InvalidArgument


def test_a_feature_is_a_dictionary_of_twelve_keys_in_their_order() -> None:
    found = Feature(name="Log in").to_dict()

    assert list(found) == FEATURE_KEYS
    assert (found["passes"], found["in_progress"], found["needs_human_input"]) == (False, False, False)
    assert (found["id"], found["dependencies"]) == (None, [])


@pytest.mark.parametrize("malformed", ["12", {"a": 1}, [1, "2"], (1,)])
def test_malformed_dependencies_are_shown_as_they_are(malformed: Any) -> None:
    assert Feature(dependencies=malformed).to_dict()["dependencies"] == malformed


@pytest.mark.parametrize(
    ("dependencies", "ids"),
    [(None, []), ([], []), ("12", []), ((1, 2), []), ([3, "4", 5.0, None, True], [3, True]), ({"1": 2}, [])],
    ids=str,
)
def test_safe_dependencies_are_the_whole_numbers_of_a_list(dependencies: Any, ids: list[int]) -> None:
    assert Feature(dependencies=dependencies).get_dependencies_safe() == ids


def test_a_feature_can_be_copied_and_pickled_in_the_middle_of_its_session(maker: SessionMaker) -> None:
    with maker() as session:
        found = feature(steps=["open"])
        session.add(found)
        session.commit()

        for copied in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
            assert copied.to_dict() == found.to_dict()
            copied.name = "Log out"
        session.commit()

        assert session.query(Feature).one().name == "Log in"


def test_a_schedule_is_a_dictionary_with_a_time_without_offset(maker: SessionMaker) -> None:
    with maker() as session:
        session.add(schedule(created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
        session.commit()
        found = session.query(Schedule).one().to_dict()

    assert list(found.items()) == [
        ("id", 1),
        ("project_name", "aurora"),
        ("start_time", "22:00"),
        ("duration_minutes", 60),
        ("days_of_week", 127),
        ("enabled", True),
        ("yolo_mode", False),
        ("model", None),
        ("max_concurrency", 3),
        ("crash_count", 0),
        ("created_at", "2026-01-02T03:04:05"),
    ]


def test_an_unsaved_schedule_has_no_defaults_yet() -> None:
    made = schedule()

    assert (made.enabled, made.days_of_week, made.to_dict()["created_at"]) == (None, None, None)


def test_an_override_is_a_dictionary(maker: SessionMaker) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 600000)  # noqa: DTZ001
    with maker() as session:
        session.add(schedule())
        session.flush()
        session.add(ScheduleOverride(schedule_id=1, override_type="start", expires_at=at, created_at=at))
        session.commit()
        found = session.query(ScheduleOverride).one()

    assert found.expires_at == at
    assert list(found.to_dict().items()) == [
        ("id", 1),
        ("schedule_id", 1),
        ("override_type", "start"),
        ("expires_at", "2026-01-02T03:04:05.600000"),
        ("created_at", "2026-01-02T03:04:05.600000"),
    ]


@pytest.mark.parametrize(("weekday", "is_active"), [(0, True), (1, False), (6, True), (7, False), (-1, False)])
def test_a_schedule_is_active_on_the_days_of_its_bits(weekday: int, is_active: bool) -> None:
    assert schedule(days_of_week=0b1000001).is_active_on_day(weekday) is is_active


def test_the_classes_have_one_base() -> None:
    assert all(issubclass(each, Base) for each in (Feature, Schedule, ScheduleOverride))


# --- where the original fell short ---


def test_an_override_without_its_schedule_is_refused(maker: SessionMaker) -> None:
    with maker() as session:
        session.add(ScheduleOverride(schedule_id=99999, override_type="stop", expires_at=session.now()))

        with pytest.raises(InvalidArgument, match="FOREIGN KEY constraint failed"):
            session.commit()


def test_a_schedule_keeps_its_concurrency_and_its_lack_of_days(maker: SessionMaker) -> None:
    with maker() as session:
        session.add(schedule(max_concurrency=5, days_of_week=0))
        session.commit()
        found = session.query(Schedule).one()

    assert found.max_concurrency == 5
    assert not any(found.is_active_on_day(day) for day in range(7))
    assert Project(session.project.path).schedules.active_window() is None


def test_a_long_chain_of_dependencies_is_no_cycle(maker: SessionMaker) -> None:
    with maker() as session:
        session.add_all(feature(str(id), id=id, dependencies=[id - 1] if id > 1 else None) for id in range(1, 61))
        session.commit()

    assert Project(session.project.path).features.add_dependency(60, 1).dependencies == [1, 59]
