"""The unit of work behind AutoForge's callers: what is written when, and what objects show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from orm_tools import column, feature, is_locked, schedule
from orm_tools import maker as maker
from orm_tools import session as session
from orm_tools import stored as stored

from peewee_conv.compat.feature_database import Feature, SessionMaker, get_database_path, text
from peewee_conv.compat.orm_session import Session
from peewee_conv.errors import AlreadyExists, DatabaseGone, InvalidArgument

# --- writing ---


def test_nothing_is_written_before_the_flush(session: Session, tmp_path: Path) -> None:
    session.add(feature())

    assert session.query(Feature).count() == 0
    assert not is_locked(tmp_path)


def test_a_flush_gives_an_id_and_the_defaults(session: Session) -> None:
    made = feature()
    session.add(made)
    before = (made.id, made.priority, made.passes)

    session.flush()

    assert before == (None, None, None)
    assert (made.id, made.priority, made.passes) == (1, 999, False)


def test_others_see_a_flush_only_after_the_commit(session: Session, tmp_path: Path) -> None:
    session.add(feature())
    session.flush()
    before = column(tmp_path)

    session.commit()

    assert (before, column(tmp_path)) == ([], ["Log in"])


def test_a_changed_attribute_is_written_by_the_commit(session: Session, stored: Feature, tmp_path: Path) -> None:
    stored.name = "Log out"
    session.commit()

    assert column(tmp_path) == ["Log out"]


@pytest.mark.parametrize(
    "change",
    [lambda ids: ids.remove(2), lambda ids: ids.append(9), lambda ids: ids.insert(0, 1)],
    ids=["removed", "appended", "inserted"],
)
def test_a_list_changed_in_place_is_written(
    session: Session, stored: Feature, tmp_path: Path, change: Callable[[list[int]], None]
) -> None:
    expected = [2, 3]
    change(expected)

    change(stored.dependencies or [])
    session.commit()

    assert json.loads(column(tmp_path, "dependencies")[0]) == expected


def test_a_list_changed_in_place_is_written_though_nobody_holds_the_object(session: Session, stored: Feature) -> None:
    for each in session.query(Feature):
        each.steps.append("type")
    del each
    session.commit()

    assert session.query(Feature).one().steps == ["open", "type"]


def test_a_truth_in_the_place_of_a_number_is_written(session: Session, tmp_path: Path) -> None:
    made = feature(steps=[1])
    session.add(made)
    session.commit()

    made.steps[0] = True
    session.commit()

    assert column(tmp_path, "steps") == ["[true]"]


def test_no_dependencies_are_stored_as_null_whether_set_or_not(session: Session, tmp_path: Path) -> None:
    session.add_all([feature(), feature(dependencies=None)])
    session.commit()

    assert column(tmp_path, "dependencies") == [None, None]


def test_deleting_an_object_deletes_its_row(session: Session, stored: Feature, tmp_path: Path) -> None:
    session.delete(stored)
    session.commit()

    assert column(tmp_path) == []
    assert stored.name == "Log in"


def test_a_deleted_id_is_not_given_again(session: Session, stored: Feature) -> None:
    session.delete(stored)
    session.commit()
    following = feature()
    session.add(following)
    session.commit()

    assert following.id == 2


def test_an_object_added_after_its_deletion_stays(session: Session, stored: Feature, tmp_path: Path) -> None:
    session.delete(stored)
    session.add(stored)
    session.commit()

    assert column(tmp_path) == ["Log in"]


def test_an_object_of_a_closed_session_is_written_by_another(maker: SessionMaker, tmp_path: Path) -> None:
    with maker() as first:
        made = feature()
        first.add(made)
        first.commit()
    made.name = "Log out"

    with maker() as second:
        second.add(made)
        second.commit()

    assert column(tmp_path) == ["Log out"]


def test_an_object_of_another_open_session_is_refused(maker: SessionMaker, session: Session, stored: Feature) -> None:
    with maker() as other, pytest.raises(InvalidArgument, match="an object of no other open session"):
        other.add(stored)


@pytest.mark.parametrize("wrong", [None, 5, "feature", Feature])
def test_what_is_no_mapped_object_is_refused(session: Session, wrong: Any) -> None:
    for method in (session.add, session.delete, session.refresh):
        with pytest.raises(InvalidArgument, match="an object of a mapped class"):
            method(wrong)


def test_an_object_without_a_row_is_not_deleted(session: Session) -> None:
    with pytest.raises(InvalidArgument, match="an object that this session has read or stored"):
        session.delete(feature())


# --- taking back ---


def test_a_rollback_restores_rows_and_objects(session: Session, stored: Feature, tmp_path: Path) -> None:
    stored.name = "Log out"
    session.flush()
    stored.steps.append("type")

    session.rollback()

    assert (stored.name, stored.steps) == ("Log in", ["open"])
    assert column(tmp_path) == ["Log in"]
    assert not is_locked(tmp_path)


def test_a_rollback_makes_a_new_object_new_again(session: Session) -> None:
    made = feature()
    session.add(made)
    session.flush()

    session.rollback()

    assert (made.id, made.priority, made.name) == (None, None, "Log in")
    assert session.query(Feature).count() == 0


def test_a_rollback_brings_a_deleted_object_back(session: Session, stored: Feature) -> None:
    session.delete(stored)
    session.flush()
    session.rollback()

    stored.name = "Log out"
    session.commit()

    assert session.query(Feature).one() is stored


def test_an_object_that_was_rolled_back_can_be_added_again(session: Session, tmp_path: Path) -> None:
    made = feature()
    session.add(made)
    session.flush()
    session.rollback()

    session.add(made)
    session.commit()

    assert column(tmp_path) == ["Log in"]


def test_closing_takes_back_what_is_not_committed(maker: SessionMaker, tmp_path: Path) -> None:
    with maker() as session:
        session.add(feature())
        session.flush()

    assert column(tmp_path) == []


def test_a_closed_session_leaves_its_objects_as_they_were_committed(maker: SessionMaker, tmp_path: Path) -> None:
    with maker() as session:
        first, second = feature("first"), feature("second")
        session.add_all([first, second])
        session.commit()
        first.name = "once"
        session.flush()
        first.name = "twice"
        session.flush()
        second.steps.append("never flushed")

    assert (first.name, second.steps) == ("first", [])
    assert column(tmp_path) == ["first", "second"]


def test_what_was_to_be_stored_before_a_rollback_can_be_added_again(session: Session, tmp_path: Path) -> None:
    made = feature()
    session.add(made)
    session.rollback()

    session.add(made)
    session.commit()

    assert column(tmp_path) == ["Log in"]


def test_a_new_object_is_new_again_though_a_statement_followed_its_flush(session: Session) -> None:
    made = feature()
    session.add(made)
    session.flush()
    session.execute(text("UPDATE features SET priority = 5"))
    session.rollback()

    session.add(made)

    assert (made.id, made.priority, made.name) == (None, None, "Log in")


def test_a_commit_that_fails_takes_the_objects_back(session: Session, tmp_path: Path) -> None:
    made = feature()
    session.add(made)
    session.flush()
    get_database_path(tmp_path).unlink()

    with pytest.raises(DatabaseGone):
        session.commit()

    assert made.id is None


# --- what the table refuses ---


def test_a_change_of_what_is_deleted_is_not_looked_at(session: Session, stored: Feature, tmp_path: Path) -> None:
    stored.passes = "no truth"
    session.delete(stored)
    session.commit()

    assert column(tmp_path) == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"days_of_week": 200}, "CHECK constraint failed: ck_schedule_days"),
        ({"duration_minutes": 0}, "CHECK constraint failed: ck_schedule_duration"),
        ({"duration_minutes": 1441}, "CHECK constraint failed: ck_schedule_duration"),
        ({"max_concurrency": 6}, "CHECK constraint failed: ck_schedule_concurrency"),
        ({"crash_count": -1}, "CHECK constraint failed: ck_schedule_crash_count"),
        ({"start_time": "24:00"}, "CHECK constraint failed: ck_schedule_start"),
        ({"start_time": None}, "NOT NULL constraint failed: schedules.start_time"),
    ],
)
def test_a_value_that_breaks_a_rule_is_one_error_and_nothing_is_written(
    session: Session, tmp_path: Path, values: dict[str, Any], reason: str
) -> None:
    session.add_all([feature(), schedule(**values)])

    with pytest.raises(InvalidArgument) as caught:
        session.commit()

    assert str(caught.value) == f"invalid value '...': expected what the rules of the table allow ({reason})"
    assert column(tmp_path) == []
    assert not is_locked(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"passes": "yes"},
        {"passes": 2},
        {"priority": "high"},
        {"priority": 1.5},
        {"priority": []},
        {"name": b"Log in"},
        {"name": None},
        {"steps": "open"},
        {"steps": None},
        {"steps": [float("nan")]},
        {"dependencies": "12"},
        {"dependencies": [1, "2"]},
        {"dependencies": [1, 1]},
        {"human_input_request": [1]},
        {"id": "seven"},
        {"priority": 2**64},
        {"name": "\ud800"},
    ],
    ids=str,
)
def test_a_value_of_another_kind_is_refused(session: Session, tmp_path: Path, values: dict[str, Any]) -> None:
    session.add(feature(**values))

    with pytest.raises(InvalidArgument):
        session.commit()

    assert column(tmp_path) == []


def test_the_session_goes_on_after_a_refused_value(session: Session, tmp_path: Path) -> None:
    session.add(schedule(days_of_week=200))
    with pytest.raises(InvalidArgument):
        session.commit()

    session.add(feature())
    session.commit()

    assert column(tmp_path) == ["Log in"]


def test_an_id_that_is_taken_is_refused(session: Session, stored: Feature) -> None:
    session.add(feature(id=1))

    with pytest.raises(AlreadyExists, match="feature 1 already exists"):
        session.commit()


def test_the_id_of_a_row_is_not_changed(session: Session, stored: Feature) -> None:
    stored.id = 5

    with pytest.raises(InvalidArgument, match="invalid id 5: expected the one that the row has"):
        session.commit()


def test_an_unknown_attribute_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid column 'nmae': expected one of Feature: id, priority"):
        Feature(nmae="Log in")
