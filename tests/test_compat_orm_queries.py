"""Queries of AutoForge's callers, and their own SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from orm_tools import column, feature, schedule
from orm_tools import maker as maker
from orm_tools import session as session
from orm_tools import stored as stored

from peewee_conv.compat import orm_objects
from peewee_conv.compat.feature_database import (
    Feature,
    Schedule,
    ScheduleOverride,
    SessionMaker,
    and_,
    case,
    func,
    or_,
    text,
)
from peewee_conv.compat.orm_results import Result
from peewee_conv.compat.orm_session import Session
from peewee_conv.errors import DatabaseBusy, DatabaseFailure, FeatureNotFound, InvalidArgument, NotFound

# --- the caller's own SQL ---


def test_sql_of_the_caller_runs_with_named_parameters(session: Session, stored: Feature) -> None:
    rows = session.execute(text("SELECT id, name FROM features WHERE id = :id"), {"id": 1})

    assert rows.keys() == ["id", "name"]
    assert rows.mappings() == [{"id": 1, "name": "Log in"}]


def test_any_object_whose_text_is_sql_will_do(session: Session, stored: Feature) -> None:
    class Clause:
        def __str__(self) -> str:
            return "SELECT id, name AS title FROM features"

    row = session.execute(Clause()).fetchone()

    assert row is not None
    assert (row.id, row.title, tuple(row), row._asdict()) == (1, "Log in", (1, "Log in"), {"id": 1, "title": "Log in"})


def test_results_are_taken_one_by_one_or_all_at_once(session: Session) -> None:
    session.add_all([feature("a"), feature("b"), feature("c")])
    session.commit()
    result = session.execute("SELECT name FROM features ORDER BY id")

    assert (result.fetchone(), result.scalar(), result.fetchall(), result.first()) == (("a",), "b", [("c",)], None)
    assert session.execute("SELECT name FROM features ORDER BY id").scalars() == ["a", "b", "c"]


def test_what_is_left_of_a_result_answers_as_in_sqlalchemy(session: Session) -> None:
    session.add_all([feature("a"), feature("b")])
    session.commit()

    def names(more: str = "") -> Result:
        return session.execute(f"SELECT name FROM features {more} ORDER BY id")

    assert names().scalars().all() == ["a", "b"]
    assert (names().scalars().first(), names("WHERE 0").scalars().first()) == ("a", None)
    assert (names().mappings().first(), names("WHERE 0").mappings().one_or_none()) == ({"name": "a"}, None)
    assert names("WHERE id = 2").scalars().one() == names("WHERE id = 2").scalar_one() == "b"
    assert names().fetchmany(5) == [("a",), ("b",)]
    with pytest.raises(InvalidArgument):
        names().scalar_one()


def test_one_claims_a_feature_and_the_other_does_not(maker: SessionMaker, session: Session, stored: Feature) -> None:
    claim = text("UPDATE features SET in_progress = 1 WHERE id = :id AND passes = 0 AND in_progress = 0")
    first = session.execute(claim, {"id": 1}).rowcount
    session.commit()

    with maker() as other:
        second = other.execute(claim, {"id": 1}).rowcount

    assert (first, second) == (1, 0)
    assert stored.in_progress is True


def test_objects_show_at_once_what_sql_of_the_session_has_changed(session: Session, stored: Feature) -> None:
    stored.name = "Log out"

    session.execute(text("UPDATE features SET priority = 7, name = 'x'"))

    assert (stored.priority, stored.name) == (7, "Log out")
    session.commit()
    assert stored.name == "Log out"


def test_sql_is_refused_while_something_pending_rests_on_an_older_row(
    maker: SessionMaker, session: Session, stored: Feature
) -> None:
    stored.name = "Log out"
    with maker() as other:
        other.query(Feature).update({"priority": 1})
        other.commit()

    with pytest.raises(DatabaseBusy, match="somebody has changed"):
        session.execute(text("DELETE FROM features"))


def test_times_are_bound_as_they_are_stored(session: Session) -> None:
    session.add(schedule(created_at=datetime(2026, 1, 2, 3, 4, 5)))  # noqa: DTZ001
    session.commit()
    found = session.execute(
        "SELECT id FROM schedules WHERE created_at = :at", {"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}
    )

    assert found.scalar() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "-- all of it\nCOMMIT",
        "/* all\nof it */ COMMIT",
        " begin immediate",
        "ROLLBACK",
        "SAVEPOINT x",
        "ATTACH 'x.db' AS x",
        "VACUUM",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA main.foreign_keys=0",
        "PRAGMA foreign_keys(0)",
        "PRAGMA/**/foreign_keys=0",
        "PRAGMA main . foreign_keys = 0",
        'PRAGMA "foreign_keys" = 0',
        "PRAGMA foreign_keys -- off\n = 0",
        "; COMMIT",
        "/* nothing else */ ;\n-- nothing\n COMMIT",
        "\ufeffCOMMIT",
    ],
)
def test_statements_about_transactions_and_settings_are_refused(session: Session, statement: str) -> None:
    with pytest.raises(InvalidArgument, match="no transaction or setting"):
        session.execute(text(statement))


def test_the_columns_of_a_table_can_be_asked_for(session: Session) -> None:
    assert len(session.execute(text("PRAGMA table_info(features)")).all()) == 12
    assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1


@pytest.mark.parametrize(
    ("statement", "params"),
    [("SELEC 1", None), ("SELECT nothing FROM features", None), ("SELECT :id", {}), ("SELECT 1; SELECT 2", None)],
)
def test_wrong_sql_is_an_error_of_ours(session: Session, statement: str, params: Any) -> None:
    with pytest.raises(DatabaseFailure):
        session.execute(statement, params)


@pytest.mark.parametrize("params", [[1], (1,), "id", 5])
def test_parameters_without_names_are_refused(session: Session, params: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected a mapping, for the :named"):
        session.execute("SELECT ?", params)


def test_a_parameter_of_no_kind_of_sqlite_is_refused(session: Session) -> None:
    with pytest.raises(InvalidArgument, match="invalid ids <class 'list'>: expected None, a number"):
        session.execute("SELECT :ids", {"ids": [1]})


# --- queries ---


@pytest.fixture
def several(session: Session) -> Session:
    session.add_all(
        [
            feature("a", priority=3, passes=True),
            feature("b", priority=1, category="web"),
            feature("c", priority=1, dependencies=[1]),
        ]
    )
    session.commit()
    return session


@pytest.mark.parametrize(
    ("criterion", "names"),
    [
        (lambda: Feature.passes == True, "a"),  # noqa: E712
        (lambda: Feature.passes == False, "bc"),  # noqa: E712
        (lambda: ~Feature.passes, "bc"),
        (lambda: Feature.passes.is_(False), "bc"),
        (lambda: Feature.id.in_([1, 3]), "ac"),
        (lambda: Feature.id.in_([]), ""),
        (lambda: Feature.id.not_in([1, 3]), "b"),
        (lambda: Feature.dependencies.is_(None), "ab"),
        (lambda: Feature.dependencies != None, "c"),  # noqa: E711
        (lambda: Feature.dependencies.is_not(None), "c"),
        (lambda: Feature.dependencies.isnot(None), "c"),
        (lambda: Feature.id.notin_([1, 3]), "b"),
        (lambda: Feature.name.ilike("B"), "b"),
        (lambda: Feature.dependencies == [1], "c"),
        (lambda: Feature.priority < 3, "bc"),
        (lambda: Feature.priority >= 3, "a"),
        (lambda: Feature.priority.between(2, 4), "a"),
        (lambda: Feature.name.like("B"), "b"),
        (lambda: Feature.category.contains("EB"), "b"),
        (lambda: Feature.category.startswith("%"), ""),
        (lambda: Feature.priority == Feature.id, ""),
        (lambda: Feature.priority + 1 == 4, "a"),
        (lambda: (Feature.passes == True) | (Feature.name == "c"), "ac"),  # noqa: E712
        (lambda: or_(Feature.name == "a", Feature.name == "b"), "ab"),
        (lambda: and_(Feature.priority == 1, Feature.name != "b"), "c"),
        (lambda: Feature.id == "2", "b"),
        (lambda: Feature.id == "two", ""),
    ],
    ids=range(27),
)
def test_expressions_select_what_they_say(several: Session, criterion: Callable[[], Any], names: str) -> None:
    found = several.query(Feature).filter(criterion()).order_by(Feature.id)

    assert "".join(each.name for each in found) == names
    assert found.count() == len(names)


def test_rows_come_in_the_order_and_number_asked_for(several: Session) -> None:
    ordered = several.query(Feature).order_by(Feature.priority.asc()).order_by(Feature.id.desc())

    assert [each.name for each in ordered] == ["c", "b", "a"]
    assert [each.name for each in ordered.offset(1).limit(1)] == ["b"]
    assert [each.name for each in ordered.offset(1)] == ["b", "a"]
    assert [each.name for each in several.query(Feature).order_by("priority", Feature.id.desc())] == ["c", "b", "a"]


def test_one_row_is_one_object_whatever_reads_it(several: Session) -> None:
    first = several.query(Feature).filter_by(name="a").first()

    assert first is several.get(Feature, 1)
    assert first is several.query(Feature).get(1)


def test_columns_come_as_rows_with_names(several: Session) -> None:
    rows = several.query(Feature.id, Feature.passes.label("done"), Feature.dependencies).order_by(Feature.id).all()

    assert rows == [(1, True, None), (2, False, None), (3, False, [1])]
    assert (rows[0].id, rows[0].done) == (1, True)
    with pytest.raises(AttributeError, match="the row has no 'name', but: id, done, dependencies"):
        _ = rows[0].name


def test_functions_count_and_sum(several: Session) -> None:
    passing = func.sum(case((Feature.passes == True, 1), else_=0)).label("passing")  # noqa: E712
    row = several.query(func.count(Feature.id).label("total"), passing).one()

    assert (row.total, row.passing) == (3, 1)
    assert several.query(func.max(Feature.priority)).scalar() == 3
    assert several.query(Feature.priority, func.count()).group_by(Feature.priority).all() == [(1, 2), (3, 1)]
    assert several.query(Feature.priority).distinct().count() == 2


def test_a_query_of_one_row_says_when_there_is_none_or_more(several: Session) -> None:
    everything = several.query(Feature)

    assert everything.filter(Feature.id == 9).one_or_none() is None
    assert everything.filter(Feature.id == 9).scalar() is None
    with pytest.raises(NotFound):
        everything.filter(Feature.id == 9).one()
    with pytest.raises(InvalidArgument, match="one row, but there are more"):
        everything.one_or_none()


def test_many_rows_are_changed_and_deleted_by_one_statement(several: Session, tmp_path: Path) -> None:
    first = several.get(Feature, 1)
    changed = several.query(Feature).filter(Feature.priority == 1).update({Feature.priority: Feature.priority + 4})
    deleted = several.query(Feature).filter_by(passes=True).delete()
    several.commit()

    assert (changed, deleted) == (2, 1)
    assert column(tmp_path, "priority") == [5, 5]
    assert first is not None


def test_deleting_schedules_in_any_way_deletes_their_overrides(session: Session) -> None:
    for delete in (
        lambda: session.delete(session.query(Schedule).one()),
        lambda: session.query(Schedule).delete(),
        lambda: session.execute(text("DELETE FROM schedules")),
    ):
        made = schedule()
        session.add(made)
        session.flush()
        session.add(ScheduleOverride(schedule_id=made.id, override_type="stop", expires_at=session.now()))
        session.commit()

        delete()
        session.commit()

        assert session.query(ScheduleOverride).count() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda session: session.query(),
        lambda session: session.query("Feature"),
        lambda session: session.query(Feature, Schedule),
        lambda session: session.query(Feature).filter(True),
        lambda session: session.query(Feature).filter_by(nmae="a"),
        lambda session: session.query(Feature).order_by("id desc"),
        lambda session: session.query(Feature.id).order_by("id"),
        lambda session: session.query(Feature).group_by("nmae"),
        lambda session: session.query(Feature).limit(-1),
        lambda session: session.query(Feature).limit(1).delete(),
        lambda session: session.query(Feature.id).delete(),
        lambda session: session.query(Feature).update({"nmae": 1}),
        lambda session: session.query(Feature).update({"passes": "yes"}),
        lambda session: session.query(Schedule).filter(Schedule.created_at < "yesterday"),
    ],
    ids=range(14),
)
def test_a_query_that_makes_no_sense_is_refused(session: Session, wrong: Callable[[Session], Any]) -> None:
    with pytest.raises(InvalidArgument):
        wrong(session)


def test_a_refresh_reads_the_row_again(session: Session, stored: Feature) -> None:
    stored.name = "Log out"

    session.refresh(stored)

    assert stored.name == "Log in"


def test_a_refresh_of_a_row_that_is_gone_says_so(maker: SessionMaker, session: Session, stored: Feature) -> None:
    with maker() as other:
        other.query(Feature).delete()
        other.commit()

    with pytest.raises(FeatureNotFound):
        session.refresh(stored)


def test_with_autoflush_a_query_sees_what_is_pending(maker: SessionMaker) -> None:
    plain = maker()
    from peewee_conv.schemas import features as schema

    with Session(plain.project, schema, autoflush=True) as session:
        session.add(feature())

        assert session.query(Feature).count() == 1


class Careful(orm_objects.Base):
    """A class whose rows a service writes."""

    table = Feature.table
    by_row = True
    id = Feature.id
    name = Feature.name

    @classmethod
    def insert_row(cls, session: Session, values: dict[str, Any]) -> Any:
        return session.project.features.create(values["name"]).id

    @classmethod
    def delete_row(cls, session: Session, key: Any) -> None:
        session.project.features.delete(key)


def test_a_class_may_leave_its_rows_to_a_service_that_joins_the_transaction(
    session: Session, stored: Feature, tmp_path: Path
) -> None:
    stored.dependencies = [1]
    session.commit()
    made = Careful(name="by the service")
    session.add(made)
    session.flush()
    before = column(tmp_path)
    session.commit()

    assert (made.id, before, column(tmp_path)) == (2, ["Log in"], ["Log in", "by the service"])
    assert session.query(Careful).filter(Careful.id == 2).update({"name": "x"}) == 1
    assert session.query(Careful).delete() == 2
    session.commit()
    assert column(tmp_path) == []
