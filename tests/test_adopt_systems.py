"""Every row of the four source systems is in the project as it was, in its order, or among the rejects."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from adopt_tools import chatdf as chatdf
from adopt_tools import ours, rejected, rejected_ids
from legacy_files import dump
from source_databases import SYSTEMS

from peewee_conv import Project
from peewee_conv.adopt import Adopted, adopt
from peewee_conv.schemas import assistant, features

MakeProject = Callable[..., Project]


#: Of each system: the tables of conversations and messages, the column between them, and those of their times.
TALKS = {
    "autoforge_assistant": ("conversations", "conversation_messages", "conversation_id", "timestamp"),
    "sovereign": ("threads", "messages", "thread_id", "timestamp"),
    "haia": ("conversations", "messages", "conversation_id", "created_at"),
    "chatdf": ("conversations", "messages", "conversation_id", "created_at"),
    "chatdf_head": ("conversations", "messages", "conversation_id", "created_at"),
}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Done(NamedTuple):
    """A source, the project that it was adopted into, and the report."""

    source: Path
    project: Path
    report: Adopted


@pytest.fixture(scope="module")
def adoptions(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Done]:
    """Adopt a source of each system once: these tests only look."""

    @cache
    def adoption(system: str) -> Done:
        folder = tmp_path_factory.mktemp(system)
        size = {"messages": 240} if system in TALKS else {}
        SYSTEMS[system](folder / "old" / f"{system}.db", **size)
        project = Project(folder / "project")
        report = adopt(folder / "old" / f"{system}.db", project)
        project.dispose()
        return Done(folder / "old" / f"{system}.db", project.path, report)

    return adoption


@pytest.fixture
def source(adoptions: Callable[[str], Done], system: str) -> Path:
    return adoptions(system).source


@pytest.fixture
def adopted(adoptions: Callable[[str], Done], system: str) -> Adopted:
    return adoptions(system).report


@pytest.fixture
def target(adoptions: Callable[[str], Done], system: str) -> Project:
    return Project(adoptions(system).project)


talks = pytest.mark.parametrize("system", TALKS, indirect=True)


def schema_of(report: Adopted) -> Any:
    return features if "features" in report.tables else assistant


def test_every_row_is_counted_once(source: Path, adopted: Adopted) -> None:
    for table, counts in adopted.tables.items():
        assert counts.found == len(dump(source, table)) == counts.copied + counts.rejected
        assert counts.rejected == len(rejected(adopted, table))
    assert sum(counts.copied for counts in adopted.tables.values()) > 20


def test_the_project_is_sound_afterwards(target: Project, adopted: Adopted) -> None:
    assert target.check(schema_of(adopted)) == []


@talks
def test_messages_keep_order_role_content_time_and_id(
    source: Path, system: str, target: Project, adopted: Adopted
) -> None:
    table, messages, reference, time = TALKS[system]
    left_out = rejected_ids(adopted, messages)
    assert adopted.tables[messages].copied > 500

    for talk in dump(source, table):
        if talk["id"] in rejected_ids(adopted, table):
            continue
        with closing(sqlite3.connect(source)) as connection:
            found = connection.execute(
                f"SELECT id, role, content, {time} FROM {messages} WHERE {reference} = ? ORDER BY {time}, rowid",
                (talk["id"],),
            ).fetchall()
        assert [
            (m.external_id, m.role, m.content, m.to_dict()["created_at"])
            for m in target.conversations.iterate(str(talk["id"]))
        ] == [
            (str(id), role.lower(), content, ours(at or talk["created_at"]))
            for id, role, content, at in found
            if id not in left_out
        ]


@talks
def test_conversations_keep_their_times_and_ids(source: Path, system: str, target: Project, adopted: Adopted) -> None:
    table = TALKS[system][0]

    for talk in dump(source, table):
        if talk["id"] not in rejected_ids(adopted, table):
            found = target.conversations.get(str(talk["id"])).to_dict()
            assert found["created_at"] == ours(talk["created_at"])
            assert found["updated_at"] == ours(talk["updated_at"] or talk["created_at"])
            assert found["number"] == talk["id"] or isinstance(talk["id"], str)


@talks
def test_conversations_count_what_they_have(target: Project, adopted: Adopted) -> None:
    for talk in target.conversations.list(limit=100):
        messages = list(target.conversations.iterate(talk.id))
        assert talk.message_count == len(messages) == talk.last_sequence
        assert talk.token_count == sum(message.token_count or 0 for message in messages)


@talks
def test_adopted_text_is_found_by_search(target: Project, adopted: Adopted) -> None:
    for word in ("market", "日本"):
        hits = target.conversations.search(word, limit=1000)
        stored = dump(target.database_path(), "messages")

        assert len(hits) == sum(word in row["content"] for row in stored) > 0


# --- AutoForge ---


@pytest.mark.parametrize("system", ["autoforge_assistant"], indirect=True)
def test_titles_and_project_names_of_autoforge_stay(source: Path, target: Project, adopted: Adopted) -> None:
    for talk in dump(source, "conversations"):
        found = target.conversations.get(str(talk["id"]))
        assert found.project_name == "aurora"
        if talk["title"]:
            assert found.title == talk["title"]


@pytest.mark.parametrize("system", ["autoforge_features"], indirect=True)
def test_features_of_autoforge_are_as_an_upgrade_makes_them(
    source: Path, target: Project, adopted: Adopted, make_project: MakeProject
) -> None:
    upgraded = make_project("upgraded")
    (upgraded.path / "features.db").parent.mkdir()
    shutil.copyfile(source, upgraded.path / "features.db")
    upgraded.features.stats()

    for table in ("features", "schedules", "schedule_overrides"):
        assert dump(target.database_path(features), table) == dump(upgraded.path / "features.db", table)


# --- Sovereign Assistant ---


@pytest.mark.parametrize("system", ["sovereign"], indirect=True)
def test_assistants_of_sovereign_keep_every_value(source: Path, target: Project, adopted: Adopted) -> None:
    for row in dump(source, "assistants"):
        times = {name: ours(row[name]) for name in ("created_at", "updated_at")}
        assert target.assistants.get(row["id"]).to_dict() == {**row, **times, "metadata": {}}


@pytest.mark.parametrize("system", ["sovereign"], indirect=True)
def test_threads_of_sovereign_keep_assistant_and_metadata(source: Path, target: Project, adopted: Adopted) -> None:
    expected = {
        "{}": {},
        '{"a": [1, "\\u00e9"]}': {"a": [1, "é"]},
        "[1]": {"thread_metadata": [1]},
        "null": {},
        None: {},
    }

    for row in dump(source, "threads"):
        if row["id"] not in rejected_ids(adopted, "threads"):
            found = target.conversations.get(row["id"])
            assert (found.assistant_id, found.metadata) == (row["assistant_id"], expected[row["thread_metadata"]])


@pytest.mark.parametrize("system", ["sovereign", "haia"], indirect=True)
def test_untitled_conversations_are_titled_by_their_first_user_message(target: Project, adopted: Adopted) -> None:
    for talk in target.conversations.list(limit=100):
        texts = [m.content for m in target.conversations.iterate(talk.id) if m.role == "user" and m.content]
        expected = (texts[0][:50] + "..." if len(texts[0]) > 50 else texts[0]) if texts else None
        assert talk.title == expected


@pytest.mark.parametrize("system", ["sovereign"], indirect=True)
def test_token_counts_of_sovereign_stay(source: Path, target: Project, adopted: Adopted) -> None:
    stored = {row["external_id"]: row["token_count"] for row in dump(target.database_path(), "messages")}

    assert stored == {row["id"]: row["token_count"] for row in dump(source, "messages") if row["id"] in stored}


# --- HAIA ---


@pytest.mark.parametrize("system", ["haia"], indirect=True)
def test_messages_of_a_deleted_conversation_do_not_show_up_in_the_next_one(target: Project, adopted: Adopted) -> None:
    assert [message.content for message in target.conversations.messages("9")] == ["of the next one"]
    assert {row["content"] for row in rejected(adopted, "messages")} == {
        "of a deleted conversation",
        "its conversation is gone",
    }
