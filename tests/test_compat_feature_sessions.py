"""AutoForge's ``get_db`` and ``atomic_transaction``: who commits, who rolls back, and who waits."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from orm_tools import column, feature, is_locked
from orm_tools import maker as maker

from peewee_conv.compat import feature_database
from peewee_conv.compat.feature_database import Feature, SessionMaker, atomic_transaction, get_db, set_session_maker
from peewee_conv.errors import DatabaseBusy


@pytest.fixture
def global_maker(maker: SessionMaker, monkeypatch: pytest.MonkeyPatch) -> SessionMaker:
    """What ``get_db`` uses, for one test."""
    monkeypatch.setattr(feature_database, "_session_maker", None)
    set_session_maker(maker)
    return maker


def test_without_a_session_maker_there_is_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_database, "_session_maker", None)
    sessions = get_db()

    with pytest.raises(RuntimeError, match=r"^Database not initialized\. Call set_session_maker first\.$"):
        next(iter(sessions))


def test_a_session_of_get_db_commits_nothing_by_itself(global_maker: SessionMaker, tmp_path: Path) -> None:
    for session in get_db():
        session.add(feature())
        session.flush()

    assert column(tmp_path) == []


def test_a_session_of_get_db_is_rolled_back_when_its_user_fails(global_maker: SessionMaker, tmp_path: Path) -> None:
    sessions: Any = get_db()
    session = next(sessions)
    session.add(feature())
    session.flush()

    with pytest.raises(KeyError, match="mine"):
        sessions.throw(KeyError("mine"))

    assert not is_locked(tmp_path)
    assert column(tmp_path) == []


def test_an_atomic_transaction_commits(maker: SessionMaker, tmp_path: Path) -> None:
    with atomic_transaction(maker) as session:
        session.add(feature())

    assert column(tmp_path) == ["Log in"]


def test_an_atomic_transaction_rolls_back_and_raises_what_was_raised(maker: SessionMaker, tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_transaction(maker) as session:
            session.add(feature())
            session.flush()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()

    assert column(tmp_path) == []
    assert not is_locked(tmp_path)


def test_priorities_read_and_given_in_atomic_transactions_are_all_different(
    maker: SessionMaker, tmp_path: Path
) -> None:
    def append(number: int) -> None:
        with atomic_transaction(maker) as session:
            last = session.query(Feature).order_by(Feature.priority.desc()).first()
            session.add(feature(str(number), priority=last.priority + 1 if last else 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(20)))

    assert sorted(column(tmp_path, "priority")) == list(range(1, 21))


def test_of_two_that_claim_what_both_saw_free_one_succeeds(maker: SessionMaker, tmp_path: Path) -> None:
    with maker() as session:
        session.add(feature())
        session.commit()
    first, second = maker(), maker()
    seen = [each.query(Feature).filter_by(in_progress=False).one() for each in (first, second)]
    for each in seen:
        each.in_progress = True

    first.commit()
    with pytest.raises(DatabaseBusy):
        second.commit()
    first.close()
    second.close()


def test_a_reader_does_not_wait_for_a_session_that_reads(maker: SessionMaker) -> None:
    with maker() as first, maker() as second:
        first.query(Feature).all()
        started = time.monotonic()
        second.query(Feature).all()
        second.add(feature())
        second.commit()

        assert time.monotonic() - started < 5
