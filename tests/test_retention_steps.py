"""What a project may forget goes in short transactions, among other writers, and a run that was stopped goes on."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import Any

import pytest
from account_tools import Clock
from retention_tools import Interrupted, contents, talk
from retention_tools import project as project
from retention_tools import talks as talks

from peewee_conv import Project, retention
from peewee_conv.errors import DatabaseCorrupt


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the transactions in which messages went."""
    gone: list[int] = []
    plain = retention._Run._work_off_some

    def watched(self: Any, victims: Any, keep: Any) -> bool:
        before = self._done
        is_done = plain(self, victims, keep)
        gone.append(sum(self._done[1:5]) - sum(before[1:5]))
        return is_done

    monkeypatch.setattr(retention._Run, "_work_off_some", watched)
    return gone


def test_a_long_conversation_goes_in_several_transactions(project: Project, transactions: list[int]) -> None:
    talk(project, "long", messages=3500)

    done = project.retain(max_conversations=0)

    assert (done.conversations_deleted, done.messages_deleted) == (1, 3500)
    assert len(transactions) >= 4
    assert max(transactions) <= 1001


def test_a_long_conversation_is_pruned_in_several_transactions(project: Project, transactions: list[int]) -> None:
    talk(project, "long", messages=3500)

    done = project.retain(prune=100)

    assert (done.conversations_pruned, done.messages_pruned) == (1, 3400)
    assert contents(project, "long") == list(range(3400, 3500))
    assert max(transactions) <= 1001


def test_many_conversations_go_in_several_transactions(project: Project, transactions: list[int]) -> None:
    for number in range(150):
        project.conversations.create(id=str(number))

    assert project.retain(max_conversations=0).conversations_deleted == 150
    assert len(transactions) == 2


def test_what_an_interrupted_run_has_done_is_kept(project: Project) -> None:
    talk(project, "long", messages=3500)

    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        project.retain(prune=100, on_progress=interrupt)

    assert contents(project, "long") == list(range(1000, 3500))
    assert project.check() == []
    assert project.retain(prune=100).messages_pruned == 2400


def test_others_write_meanwhile(project: Project) -> None:
    talk(project, "long", messages=5000)
    seen: list[int] = []

    def append(done: int, total: int) -> None:
        thread = threading.Thread(target=lambda: seen.append(talk_on(project)))
        thread.start()
        thread.join(10)

    project.retain(prune=0, on_progress=append)

    assert len(seen) >= 5
    assert seen == list(range(5001, 5001 + len(seen)))
    assert project.check() == []


def talk_on(project: Project) -> int:
    return project.conversations.add_message("long", "user", "long 0").sequence


def test_progress_counts_what_went(project: Project) -> None:
    talk(project, "long", messages=2500)
    seen: list[tuple[int, int]] = []

    project.retain(max_conversations=0, on_progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (2501, 0)
    assert seen == sorted(seen)


# --- rows that do not go ---

KEEPERS = {
    "ignores": "BEFORE DELETE ON conversations WHEN OLD.id = 'kept' BEGIN SELECT RAISE(IGNORE); END",
    "puts back": "AFTER DELETE ON conversations WHEN OLD.id = 'kept' BEGIN"
    " INSERT INTO conversations (id, created_at, updated_at) VALUES (OLD.id, OLD.created_at, OLD.updated_at); END",
}


@pytest.fixture(params=KEEPERS)
def guarded(request: pytest.FixtureRequest, project: Project, clock: Clock) -> Project:
    """Two old conversations; a trigger of somebody else keeps the second from going."""
    talk(project, "old", messages=1500)
    clock.advance(days=1)
    talk(project, "kept")
    project.dispose()
    with closing(sqlite3.connect(project.database_path())) as connection:
        connection.execute(f"CREATE TRIGGER hidden {KEEPERS[request.param]}")
    clock.advance(days=2)
    return Project(project.path, now=clock)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("rules", [{"inactive_days": 1}, {"max_conversations": 0}, {"max_size_bytes": 1}], ids=str)
def test_a_trigger_that_keeps_a_conversation_ends_the_run_with_an_error(guarded: Project, rules: Any) -> None:
    with pytest.raises(DatabaseCorrupt, match="a conversation is still there after its deletion"):
        guarded.retain(**rules)

    assert contents(guarded, "kept") == [0, 1, 2]
    assert len(guarded.conversations.search("kept")) == 3
    assert [problem.detail for problem in guarded.check()] == ["trigger hidden is not of this schema"]


@pytest.mark.timeout(20)
def test_transactions_before_such_a_conversation_are_kept(guarded: Project) -> None:
    with pytest.raises(DatabaseCorrupt):
        guarded.retain(max_conversations=0)

    assert contents(guarded, "old") == list(range(1000, 1500))
