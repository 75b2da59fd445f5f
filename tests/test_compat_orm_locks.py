"""What a session of AutoForge's callers locks, when, and for whom."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from orm_tools import column, feature, in_thread, is_locked
from orm_tools import maker as maker
from orm_tools import session as session
from orm_tools import stored as stored

from peewee_conv.compat.feature_database import Feature, SessionMaker, get_database_path, text
from peewee_conv.compat.orm_session import Session
from peewee_conv.errors import DatabaseBusy, FeatureNotFound, ProjectInUse


def test_reading_takes_no_lock_and_waits_for_no_writer(session: Session, stored: Feature, tmp_path: Path) -> None:
    with closing(sqlite3.connect(get_database_path(tmp_path), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE features SET name = 'Log out'")

        assert session.query(Feature).one().name == "Log in"
        assert session.execute(text("SELECT count(*) FROM features")).scalar() == 1


def test_the_first_write_takes_the_lock_until_the_commit(session: Session, tmp_path: Path) -> None:
    session.add(feature())
    session.flush()
    during = is_locked(tmp_path)

    session.commit()

    assert (during, is_locked(tmp_path)) == (True, False)


def test_attributes_read_after_the_commit_lock_nothing(session: Session, stored: Feature, tmp_path: Path) -> None:
    stored.passes = True
    session.commit()

    assert stored.passes is True
    assert not is_locked(tmp_path)


def test_attributes_show_after_the_commit_what_others_have_written(
    maker: SessionMaker, session: Session, stored: Feature
) -> None:
    with maker() as other:
        other.query(Feature).update({"name": "Log out"})
        other.commit()

    assert stored.name == "Log out"


def test_objects_stay_readable_after_the_close(maker: SessionMaker) -> None:
    with maker() as session:
        made = feature()
        session.add(made)
        session.commit()

    assert (made.id, made.to_dict()["name"]) == (1, "Log in")


def test_an_object_whose_row_is_gone_stays_readable(maker: SessionMaker, session: Session, stored: Feature) -> None:
    with maker() as other:
        other.query(Feature).delete()
        other.commit()

    assert stored.name == "Log in"


def test_a_row_that_another_has_changed_since_is_not_overwritten(maker: SessionMaker, session: Session) -> None:
    session.add(feature())
    session.commit()
    seen = session.query(Feature).one()
    with maker() as other:
        other.query(Feature).update({"in_progress": True})
        other.commit()
    seen.in_progress = True

    with pytest.raises(DatabaseBusy, match="somebody has changed <Feature 1> since this session read it"):
        session.commit()


def test_a_row_that_another_has_deleted_is_missing(maker: SessionMaker, session: Session, stored: Feature) -> None:
    stored.name = "Log out"
    with maker() as other:
        other.query(Feature).delete()
        other.commit()

    with pytest.raises(FeatureNotFound, match="feature 1 does not exist"):
        session.commit()


def test_what_is_read_under_the_lock_stays_true(maker: SessionMaker, session: Session, stored: Feature) -> None:
    session.begin_write()
    seen = session.query(Feature).one()

    assert is_locked(session.project.path)
    seen.priority += 1
    session.commit()

    assert seen.priority == 1000


def test_a_session_wanders_between_transactions(session: Session, stored: Feature, tmp_path: Path) -> None:
    def rename() -> None:
        stored.name = "Log out"
        session.commit()

    assert in_thread(rename) is None
    assert column(tmp_path) == ["Log out"]


@pytest.mark.parametrize("use", ["query", "commit", "flush", "execute", "attribute"])
def test_another_thread_in_the_middle_of_a_transaction_gets_one_error(
    session: Session, stored: Feature, tmp_path: Path, use: str
) -> None:
    stored.name = "Log out"
    session.flush()
    second = feature("second")
    session.add(second)
    session.expire_all()
    uses: dict[str, Callable[[], Any]] = {
        "query": lambda: session.query(Feature).all(),
        "commit": session.commit,
        "flush": session.flush,
        "execute": lambda: session.execute("DELETE FROM features"),
        "attribute": lambda: stored.name,
    }

    error = in_thread(uses[use])

    assert isinstance(error, ProjectInUse)
    assert "another thread is in the middle of this transaction" in str(error)
    session.commit()
    assert column(tmp_path) == ["Log out", "second"]


def test_a_commit_of_another_thread_does_not_end_the_transaction(session: Session, tmp_path: Path) -> None:
    session.add(feature())
    session.flush()

    error = in_thread(session.commit)

    assert isinstance(error, ProjectInUse)
    session.commit()
    assert column(tmp_path) == ["Log in"]


def test_another_task_in_the_middle_of_a_transaction_gets_an_error(session: Session, tmp_path: Path) -> None:
    async def read() -> int:
        return session.query(Feature).count()

    async def run() -> object:
        session.add(feature())
        session.flush()
        (error,) = await asyncio.gather(read(), return_exceptions=True)
        session.commit()
        return error

    error = asyncio.run(run())

    assert isinstance(error, DatabaseBusy)
    assert "another task of this thread" in str(error)
    assert column(tmp_path) == ["Log in"]


def test_another_thread_may_end_a_transaction(session: Session, tmp_path: Path) -> None:
    session.add(feature())
    session.flush()

    assert in_thread(session.close) is None
    assert not is_locked(tmp_path)


def test_a_session_left_open_by_a_thread_that_ended_leaves_nothing_locked(maker: SessionMaker, tmp_path: Path) -> None:
    session = maker()

    def write() -> None:
        session.add(feature())
        session.flush()

    in_thread(write)

    assert not is_locked(tmp_path)
    session.close()
    assert column(tmp_path) == []


def test_a_session_that_is_forgotten_leaves_nothing_locked(maker: SessionMaker, tmp_path: Path) -> None:
    gc.disable()
    try:
        session = maker()
        session.add(feature())
        session.flush()
        del session

        assert not is_locked(tmp_path)
    finally:
        gc.enable()


def test_a_second_session_of_a_thread_does_not_wait_for_the_first(maker: SessionMaker, session: Session) -> None:
    session.add(feature())
    session.flush()

    with maker() as other, pytest.raises(DatabaseBusy, match="this thread holds a transaction"):
        other.begin_write()


def test_services_stay_outside_of_an_open_session(session: Session) -> None:
    session.add(feature())
    session.flush()

    assert session.project.features.stats().total == 0
