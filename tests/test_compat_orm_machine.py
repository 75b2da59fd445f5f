"""Any sequence of what a session can do leaves file and objects as a plain model says."""

from __future__ import annotations

import copy
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from orm_tools import feature, is_locked

from peewee_conv.compat.feature_database import Feature, SessionMaker, create_database, dispose_engine, text
from peewee_conv.compat.orm_session import Session

NAMES = st.sampled_from("abc")
PLACES = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("add"), NAMES),
    st.tuples(st.just("rename"), PLACES, NAMES),
    st.tuples(st.just("append"), PLACES, NAMES),
    st.tuples(st.just("delete"), PLACES),
    st.tuples(st.sampled_from(["update_all", "execute"]), NAMES),
    st.tuples(st.sampled_from(["flush", "commit", "rollback", "query", "reopen", "hand_over"])),
)
Row = dict[str, Any]


class Run:
    """A session and its model: which objects there are and what they should show, now and at the last commit."""

    def __init__(self, maker: SessionMaker, path: Path) -> None:
        self.maker, self.path = maker, path
        self.session: Session = maker()
        self.live: list[tuple[Feature, Row]] = []
        self.committed: list[tuple[Feature, Row]] = []

    def step(self, name: str, *args: Any) -> None:
        getattr(self, name)(*args)
        for found, row in self.live:
            assert {key: getattr(found, key) for key in row} == row

    def one(self, place: int) -> tuple[Feature, Row] | None:
        return self.live[place % len(self.live)] if self.live else None

    def add(self, name: str) -> None:
        made = feature(name, steps=[name])
        self.session.add(made)
        self.live.append((made, {"name": name, "steps": [name], "category": "base"}))

    def rename(self, place: int, name: str) -> None:
        if (chosen := self.one(place)) is not None:
            chosen[0].name = chosen[1]["name"] = name

    def append(self, place: int, name: str) -> None:
        if (chosen := self.one(place)) is not None:
            chosen[0].steps.append(name)
            chosen[1]["steps"].append(name)

    def delete(self, place: int) -> None:
        if (chosen := self.one(place)) is not None:
            self.session.flush()
            self.session.delete(chosen[0])
            self.live.remove(chosen)

    def update_all(self, name: str) -> None:
        self.session.flush()
        assert self.session.query(Feature).update({"category": name}) == len(self.live)
        self.all_have(name)

    def execute(self, name: str) -> None:
        self.session.flush()
        self.session.execute(text("UPDATE features SET category = :name"), {"name": name})
        self.all_have(name)

    def all_have(self, category: str) -> None:
        for _, row in self.live:
            row["category"] = category

    def query(self) -> None:
        self.session.flush()
        found = self.session.query(Feature).order_by(Feature.id).all()
        assert [each.id for each in found] == [each.id for each, _ in self.live]
        assert all(each is known for each, (known, _) in zip(found, self.live, strict=True))

    def flush(self) -> None:
        self.session.flush()

    def commit(self) -> None:
        self.session.commit()
        self.committed = [(found, copy.deepcopy(row)) for found, row in self.live]
        self.check_file()

    def rollback(self) -> None:
        self.session.rollback()
        self.live = [(found, copy.deepcopy(row)) for found, row in self.committed]
        self.check_file()

    def reopen(self) -> None:
        """Go on in another session, with objects of its own."""
        self.session.close()
        self.session = self.maker()
        found = self.session.query(Feature).order_by(Feature.id).all()
        rows = [copy.deepcopy(row) for _, row in self.committed]
        self.live = list(zip(found, rows, strict=True))
        self.committed = [(each, copy.deepcopy(row)) for each, row in self.live]

    def hand_over(self) -> None:
        """Go on in another session with the same objects."""
        self.commit()
        self.session.close()
        self.session = self.maker()
        self.session.add_all(found for found, _ in self.live)

    def check_file(self) -> None:
        with closing(sqlite3.connect(self.path / ".peewee_conv" / "features.db")) as connection:
            rows = connection.execute("SELECT name, steps, category FROM features ORDER BY id").fetchall()
        expected = [(row["name"], row["steps"], row["category"]) for _, row in self.committed]
        assert [(name, json.loads(steps), category) for name, steps, category in rows] == expected
        assert not is_locked(self.path)


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=25))
def test_any_sequence_of_operations_does_what_the_model_does(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(create_database(folder)[1], Path(folder))
        for step in steps:
            run.step(*step)
        run.commit()
        run.session.close()
        dispose_engine(folder)
