"""Adopting again: nothing is doubled, nothing is lost, and what is somebody else's stays theirs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import source_databases
from adopt_tools import rejected
from hypothesis import given, settings
from hypothesis import strategies as st
from legacy_files import dump
from source_databases import SYSTEMS

from peewee_conv import Project
from peewee_conv.adopt import Adopted, adopt
from peewee_conv.errors import InvalidArgument
from peewee_conv.schemas import assistant, features

MakeProject = Callable[..., Project]
AT = "2026-01-02 03:04:05.000000"
#: What is made anew in each run, and means nothing.
RANDOM = {"sessions": "id", "referral_keys": "id"}


@pytest.fixture
def haia(tmp_path: Path) -> Path:
    path = tmp_path / "old" / "haia.db"
    source_databases.haia(path)
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def contents(project: Project, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return every row of the project's file, in an order that does not depend on random ids."""
    path = project.database_path(features if "features" in name else assistant)
    with closing(sqlite3.connect(path)) as connection:
        tables = [t for (t,) in connection.execute("SELECT name FROM sqlite_master WHERE sql GLOB 'CREATE TABLE*'")]
    found = {}
    for table in tables:
        if not table.startswith(("message_search", "sqlite", "schema_migration")):
            rows = [{k: v for k, v in row.items() if k != RANDOM.get(table)} for row in dump(path, table)]
            found[table] = sorted(rows, key=repr)
    return found


def files(project: Project) -> list[str]:
    return sorted(os.listdir(project.database_path().parent))


@pytest.mark.parametrize("system", SYSTEMS)
def test_second_run_changes_nothing(tmp_path: Path, project: Project, system: str) -> None:
    SYSTEMS[system](tmp_path / f"{system}.db")
    first = adopt(tmp_path / f"{system}.db", project)
    before, names = contents(project, system), files(project)

    second = adopt(tmp_path / f"{system}.db", project)

    assert second.is_unchanged
    assert (contents(project, system), files(project)) == (before, names)
    for table, counts in first.tables.items():
        assert second.tables[table] == (counts.found, 0, counts.copied, counts.rejected)
    assert (second.rejects, second.noted, second.left) == (first.rejects, first.noted, first.left)


class Interrupted(Exception):
    """What stops an adoption between two transactions."""


@pytest.mark.parametrize("system", SYSTEMS)
def test_runs_that_are_interrupted_make_the_same_as_one(tmp_path: Path, make_project: MakeProject, system: str) -> None:
    source = tmp_path / f"{system}.db"
    SYSTEMS[system](source, **({} if "features" in system else {"talks": 4, "messages": 40}))
    one, several = make_project("one"), make_project("several")
    whole = adopt(source, one)

    for stop in count(2, 9):
        calls = count(1)

        def interrupt(done: int, total: int, calls: Any = calls, stop: int = stop) -> None:
            if next(calls) == stop:
                raise Interrupted

        try:
            last = adopt(source, several, batch=3, on_progress=interrupt)
        except Interrupted:
            continue
        break

    assert contents(several, system) == contents(one, system)
    assert {t: c.already_there + c.copied for t, c in last.tables.items()} == {
        t: c.copied for t, c in whole.tables.items()
    }
    assert several.check(features if "features" in system else assistant) == []


def test_progress_counts_every_row_up_to_the_end(project: Project, haia: Path) -> None:
    seen: list[tuple[int, int]] = []

    report = adopt(haia, project, on_progress=lambda done, total: seen.append((done, total)), batch=10)

    total = sum(counts.found for counts in report.tables.values())
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)
    assert len(seen) > total / 20


def test_what_the_source_got_since_is_added_behind(project: Project, haia: Path) -> None:
    adopt(haia, project)
    project.conversations.add_message("1", "user", "written here")
    before = [message.content for message in project.conversations.iterate("1")]
    later = "2027-01-01 00:00:00.000000"
    change(
        haia,
        f"INSERT INTO messages VALUES (9001, 1, 'user', 'written there', '{later}')",
        f"UPDATE conversations SET updated_at = '{later}' WHERE id = 1",
        f"INSERT INTO conversations VALUES (100, '{later}', '{later}')",
        f"INSERT INTO messages VALUES (9002, 100, 'user', 'a new one', '{later}')",
    )

    report = adopt(haia, project)

    assert (report.tables["conversations"].copied, report.tables["messages"].copied) == (1, 2)
    assert [message.content for message in project.conversations.iterate("1")] == [*before, "written there"]
    assert project.conversations.get("1").updated_at.year == 2027
    assert project.conversations.get("100").title == "a new one"
    assert project.check() == []


def test_pruned_messages_do_not_come_back(project: Project, haia: Path) -> None:
    adopt(haia, project)
    kept = [project.conversations.prune(talk.id, keep) for keep, talk in enumerate(project.conversations.list())]
    before = contents(project, "haia")

    assert adopt(haia, project).is_unchanged
    assert sum(kept) > 100
    assert contents(project, "haia") == before


def test_a_message_that_differs_is_rejected(project: Project, haia: Path) -> None:
    adopt(haia, project)
    change(haia, "UPDATE messages SET content = 'edited' WHERE conversation_id = 9 AND content = 'of the next one'")

    report = adopt(haia, project)

    assert report.tables["messages"].rejected == 3
    assert report.is_unchanged
    assert [message.content for message in project.conversations.messages("9")] == ["of the next one"]


def test_rejects_are_the_same_whatever_the_batches_are(project: Project, haia: Path) -> None:
    adopt(haia, project)
    change(
        haia, "UPDATE messages SET content = 'edited' WHERE id % 2", "UPDATE messages SET role = 'x' WHERE id % 3 = 0"
    )

    reports = [adopt(haia, project, batch=batch) for batch in (2, 7, 500)]

    assert len({report.rejects for report in reports}) == 1
    assert reports[0].tables == reports[2].tables


@pytest.mark.parametrize("others", [b"", b"of other rows"], ids=["the same", "other rows"])
def test_rejects_that_another_process_writes_meanwhile_stay(
    project: Project, haia: Path, monkeypatch: pytest.MonkeyPatch, others: bytes
) -> None:
    change(haia, "UPDATE messages SET role = 'x' WHERE id % 3 = 0")
    written: list[str] = []

    def link(draft: str, path: str) -> None:
        if ".rejected" in path and not written:
            written.append(path)
            Path(path).write_bytes(others or Path(draft).read_bytes())
            raise FileExistsError
        os.rename(draft, path)

    monkeypatch.setattr("peewee_conv.drafts.os.link", link)

    report = adopt(haia, project)

    assert report.rejects is not None
    assert (report.rejects == written[0]) is not bool(others)
    assert len(rejected(report, "messages")) == report.tables["messages"].rejected > 0
    assert Path(written[0]).read_bytes().startswith(others)


# --- conflicts ---


def test_taken_number_goes_on_being_somebody_elses(project: Project, haia: Path) -> None:
    mine = project.conversations.create(title="mine")
    assert mine.number == 1

    report = adopt(haia, project)

    (moved,) = report.moved
    assert (moved.table, moved.id) == ("conversations", "1")
    found = project.conversations.get(moved.here)
    assert found.number == 10  # behind all that kept theirs
    assert found.metadata == {"adopted": {"number": 1}}
    assert found.message_count == sum(row["conversation_id"] == 1 for row in dump(haia, "messages"))
    assert project.conversations.get(mine.id) == mine
    assert project.conversations.get("2").number == 2
    assert project.check() == []


def test_conversation_that_got_another_number_is_known_again(project: Project, haia: Path) -> None:
    project.conversations.create(id="2", number=77)
    first = adopt(haia, project, batch=7)
    before = contents(project, "haia")

    second = adopt(haia, project)

    assert second.is_unchanged
    assert second.moved == first.moved
    assert len(first.moved) == 1
    assert contents(project, "haia") == before


def test_two_databases_of_one_system_have_room_in_one_project(tmp_path: Path, project: Project) -> None:
    for seed in (1, 2):
        source_databases.haia(tmp_path / f"{seed}.db", seed=seed, talks=4, messages=20)
        change(tmp_path / f"{seed}.db", f"UPDATE conversations SET created_at = '2025-0{seed}-01 00:00:00.000000'")
    reports = [adopt(tmp_path / f"{seed}.db", project) for seed in (1, 2)]
    before = contents(project, "haia")

    again = [adopt(tmp_path / f"{seed}.db", project) for seed in (1, 2)]

    assert [len(report.moved) for report in reports] == [0, 5]
    assert len(contents(project, "haia")["conversations"]) == 10
    assert all(report.is_unchanged for report in again)
    assert contents(project, "haia") == before
    assert project.check() == []


def adopted_chatdf(tmp_path: Path, project: Project) -> tuple[Path, Adopted]:
    path = tmp_path / "chatdf.db"
    source_databases.chatdf(path, talks=3, messages=5)
    return path, adopt(path, project)


def test_other_conversation_of_the_same_id_is_rejected_with_all_that_belongs_to_it(
    tmp_path: Path, project: Project, make_project: MakeProject
) -> None:
    path, _ = adopted_chatdf(tmp_path, make_project("first"))
    taken = dump(path, "conversations")[0]["id"]
    project.conversations.create(id=taken, title="mine")

    report = adopt(path, project)

    assert report.tables["conversations"].rejected == 1
    mine = [row for row in dump(path, "messages") if row["conversation_id"] == taken]
    assert report.tables["messages"].rejected == len(mine)
    assert project.datasets.list(taken) == []
    assert project.conversations.get(taken).message_count == 0
    usage = {row["id"]: row["conversation_id"] for row in dump(project.database_path(), "token_usage")}
    assert len(usage) == len(dump(path, "token_usage"))
    assert taken not in usage.values()


def sign_up(project: Project, google_id: str) -> str:
    profile = {"google_id": google_id, "email": "ada@example.com", "name": "Ada"}
    return project.accounts.sign_in(profile, referral_key=project.accounts.create_key()).user.id


def test_user_who_signed_in_here_before_is_the_same_person(tmp_path: Path, project: Project) -> None:
    ada = sign_up(project, "g-1")

    _, report = adopted_chatdf(tmp_path, project)

    assert [(moved.id, moved.here) for moved in report.moved] == [("u-1", ada)]
    assert len(project.conversations.list(user_id=ada)) == 1
    assert project.usage.total(user_id=ada).total_tokens == 60
    assert project.check() == []


def test_other_user_of_the_same_id_gets_nothing(tmp_path: Path, project: Project) -> None:
    sign_up(project, "g-other")
    project.dispose()
    tables = "DELETE FROM sessions", "DELETE FROM referral_keys"
    change(project.database_path(), *tables, "UPDATE users SET id = 'u-1'")
    project = Project(project.path)

    _, report = adopted_chatdf(tmp_path, project)

    assert report.tables["users"].rejected == 1
    assert project.conversations.list(user_id="u-1") == []
    assert project.accounts.validate_session("token-1") is None
    assert project.usage.total(user_id="u-1").total_tokens == 0
    project.dispose()


def test_referral_key_that_was_used_there_since_is_used_here(tmp_path: Path, project: Project) -> None:
    path, _ = adopted_chatdf(tmp_path, project)
    assert project.accounts.is_key_valid("free-key")
    change(path, "UPDATE referral_keys SET used_by = 'u-2', used_at = '2026-01-03T00:00:00' WHERE key = 'free-key'")

    adopt(path, project)

    assert not project.accounts.is_key_valid("free-key")
    assert next(key for key in project.accounts.list_keys() if key.prefix == "free").used_by == "u-2"


@pytest.mark.parametrize("used_there", ["NULL, used_at = NULL", "'u-2', used_at = '2026-01-03T00:00:00'"])
def test_referral_key_that_was_used_here_stays_used(tmp_path: Path, project: Project, used_there: str) -> None:
    path, _ = adopted_chatdf(tmp_path, project)
    project.accounts.sign_in({"google_id": "g", "email": "e@example.com", "name": "n"}, referral_key="free-key")
    before = list(project.accounts.list_keys())
    change(path, f"UPDATE referral_keys SET used_by = {used_there} WHERE key = 'free-key'")

    adopt(path, project)

    assert list(project.accounts.list_keys()) == before


def test_session_that_was_prolonged_there_is_prolonged_here(tmp_path: Path, project: Project) -> None:
    path, _ = adopted_chatdf(tmp_path, project)
    change(path, "UPDATE sessions SET expires_at = '2026-03-01T00:00:00' WHERE id = 'token-1'")

    adopt(path, project)

    assert "2026-03-01T00:00:00.000000Z" in [row["expires_at"] for row in dump(project.database_path(), "sessions")]


def test_feature_that_was_worked_on_here_stays_as_it_is(tmp_path: Path, project: Project) -> None:
    source_databases.autoforge_features(tmp_path / "features.db")
    adopt(tmp_path / "features.db", project)
    project.features.claim(20)

    report = adopt(tmp_path / "features.db", project)

    assert report.is_unchanged
    assert project.features.get(20).in_progress


def test_other_feature_of_the_same_id_is_rejected(tmp_path: Path, project: Project) -> None:
    source_databases.autoforge_features(tmp_path / "features.db")
    mine = project.features.create(category="c", name="mine", description="", steps=[])

    report = adopt(tmp_path / "features.db", project)

    assert report.tables["features"].rejected == 1
    assert project.features.get(mine.id) == mine


@pytest.mark.parametrize("batch", [0, 100_001, "many", True])
def test_batch_that_is_none_is_refused(project: Project, haia: Path, batch: Any) -> None:
    with pytest.raises(InvalidArgument, match="batch"):
        adopt(haia, project, batch=batch)

    assert not project.exists()


# --- any source ---

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
TIMES = st.sampled_from([AT, "2026-01-02 03:04:05", "2026-01-02 03:04:05.000001", "2025-12-31 23:59:59.999999"])
MESSAGES = st.tuples(st.integers(1, 4), st.sampled_from(["user", "assistant", "robot"]), TEXTS, st.none() | TIMES)
TALKS = st.lists(st.tuples(st.integers(1, 4), st.none() | TEXTS, TIMES), max_size=3, unique_by=lambda talk: talk[0])


@settings(max_examples=12)
@given(talks=TALKS, messages=st.lists(MESSAGES, max_size=12), batch=st.integers(1, 5))
def test_any_source_is_copied_in_the_order_of_its_times(
    tmp_path_factory: pytest.TempPathFactory, talks: list[Any], messages: list[Any], batch: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with source_databases.writing(folder / "a.db", source_databases.ASSISTANT, "delete") as connection:
        source_databases.add(connection, "conversations", *((id, "p", title, at, at) for id, title, at in talks))
        source_databases.add(connection, "conversation_messages", *((None, *message) for message in messages))
    project = Project(folder / "project", durability="normal")
    ids = [talk[0] for talk in talks]
    held = [(place, m) for place, m in enumerate(messages, 1) if m[0] in ids and m[1] != "robot"]

    report = adopt(folder / "a.db", project, batch=batch)

    assert report.tables["conversation_messages"] == (len(messages), len(held), 0, len(messages) - len(held))
    for id in ids:
        in_order = sorted((m[3] or "", place) for place, m in held if m[0] == id)
        stored = project.conversations.messages(str(id))
        assert [(message.external_id, message.content) for message in stored] == [
            (str(place), messages[place - 1][2]) for _, place in in_order
        ]
    assert adopt(folder / "a.db", project).is_unchanged
    assert project.check() == [] or not project.database_path().exists()
    project.dispose()
