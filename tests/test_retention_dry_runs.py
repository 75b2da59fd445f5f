"""A dry run of retention tells exactly what would happen, changes nothing and leaves nothing."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retention_tools import Interrupted, contents, ids, talk
from retention_tools import project as project
from retention_tools import talks as talks

from peewee_conv import Project
from peewee_conv.clock import to_text
from peewee_conv.models import Message


def test_a_dry_run_changes_nothing_and_leaves_nothing(project: Project, talks: list[str]) -> None:
    before = sorted(os.listdir(project.database_path().parent))

    told = project.retain(max_conversations=1, prune=1, vacuum=True, dry_run=True)

    assert (told.dry_run, told.conversations_deleted, told.messages_pruned) == (True, 3, 3)
    assert ids(project) == talks
    assert sorted(os.listdir(project.database_path().parent)) == before


def test_a_dry_run_that_fails_leaves_no_copy(project: Project) -> None:
    talk(project, "long", messages=2000)

    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        project.retain(prune=0, dry_run=True, on_progress=interrupt)

    assert [name for name in os.listdir(project.database_path().parent) if "dry-run" in name] == []


def test_the_copy_of_a_dry_run_that_was_killed_is_deleted_by_the_next(project: Project) -> None:
    talk(project, "one")
    old, young = (Path(f"{project.database_path()}.dry-run-{name}") for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)

    project.retain(prune=1, dry_run=True)

    assert (old.exists(), young.exists()) == (False, True)


def test_the_copy_of_a_dry_run_goes_with_the_project(project: Project) -> None:
    talk(project, "one")
    Path(f"{project.database_path()}.dry-run-killed").mkdir()

    project.delete()

    assert list(project.path.iterdir()) == []


CONVERSATIONS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20_000), st.integers(0, 5)), max_size=8)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "prune": st.integers(0, 20),
        "inactive_days": st.integers(1, 12),
        "max_conversations": st.integers(0, 8),
        "max_size_bytes": st.integers(250_000, 1_500_000),
        "purge": st.booleans(),
        "vacuum": st.booleans(),
    },
).filter(lambda rules: any(value is not False for value in rules.values()))


@contextmanager
def aging_project() -> Iterator[tuple[Project, Callable[[int], None]]]:
    """Give a project and what lets days pass in it: Hypothesis does not renew fixtures between its examples."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)

    def pass_days(days: int) -> None:
        nonlocal moment
        moment += timedelta(days=days)

    with tempfile.TemporaryDirectory() as folder:
        project = Project(folder, now=lambda: to_text(moment), durability="normal")
        try:
            yield project, pass_days
        finally:
            project.dispose()


@settings(max_examples=25)
@given(CONVERSATIONS, RULES, st.booleans())
def test_a_dry_run_tells_what_a_run_does_and_the_newest_stay(
    made: list[tuple[int, int, int]], rules: dict[str, Any], is_indexed: bool
) -> None:
    with aging_project() as (project, pass_days):
        for number, (messages, size, days) in enumerate(made):
            pass_days(days)
            talk(project, f"t{number}", messages, min(size, 300_000 // max(messages, 1)))
        if is_indexed:
            project.conversations.search("t0")
        before = ids(project)
        lengths = {id: len(contents(project, id)) for id in before}

        told = project.retain(dry_run=True, **rules)
        done = project.retain(**rules)

        assert told._replace(dry_run=False) == done
        left = ids(project)
        assert left == before[: len(left)]
        assert done.conversations_deleted == len(before) - len(left)
        for id in left:
            keep = min(lengths[id], rules.get("prune", lengths[id]))
            assert contents(project, id) == list(range(lengths[id] - keep, lengths[id]))
        assert project.check() == []
        with project:
            assert Message.select().count() == sum(lengths.values()) - done.messages_deleted - done.messages_pruned
