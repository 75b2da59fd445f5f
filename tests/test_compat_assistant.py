"""AutoForge's assistant database: its functions answer as they did, and what it promised holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import legacy_files
import pytest
from assistant_tools import contents, together
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_model import title_of

from peewee_conv import Project
from peewee_conv.compat import assistant_database
from peewee_conv.compat.assistant_database import (
    Conversation,
    add_message,
    create_conversation,
    delete_conversation,
    get_conversation,
    get_conversations,
    get_db_path,
    get_messages,
    get_session,
    utc_now,
)
from peewee_conv.errors import InvalidArgument, InvalidContent, InvalidRole

MakeProject = Callable[..., Project]


# --- conversations ---


def test_a_new_conversation_is_detached_and_loaded(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora", "Outlook")

    assert (made.id, made.project_name, made.title) == (1, "aurora", "Outlook")
    assert made.created_at.tzinfo is None
    assert made.messages == []  # the original raised DetachedInstanceError


def test_the_parent_folders_are_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"

    create_conversation(folder, "aurora")

    assert get_db_path(folder).is_file()


def test_a_path_alone_makes_nothing(tmp_path: Path) -> None:
    assert get_db_path(tmp_path / "new") == tmp_path.resolve() / "new" / ".peewee_conv" / "assistant.db"
    assert not (tmp_path / "new").exists()


def test_a_conversation_has_these_keys_in_this_order(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")
    added = add_message(tmp_path, made.id, "user", "Hello!")
    found = get_conversation(tmp_path, made.id)

    assert found is not None
    assert list(found) == ["id", "project_name", "title", "created_at", "updated_at", "messages"]
    assert found["messages"] == [added] == get_messages(tmp_path, made.id)
    assert list(added or {}) == ["id", "role", "content", "timestamp"]


def test_a_list_has_counts_and_the_latest_activity_first(make_project: MakeProject, clock: Any) -> None:
    folder = make_project(now=clock).path
    first, second = (create_conversation(folder, "aurora", title) for title in ("one", "two"))
    create_conversation(folder, "other")
    clock.advance(1)
    add_message(folder, first.id, "user", "x")

    found = get_conversations(folder, "aurora")

    assert [(talk["id"], talk["message_count"]) for talk in found] == [(first.id, 1), (second.id, 0)]
    assert list(found[0]) == ["id", "project_name", "title", "created_at", "updated_at", "message_count"]


def test_ties_of_a_list_are_ordered_by_id(make_project: MakeProject, clock: Any) -> None:
    folder = make_project(now=clock).path
    made = [create_conversation(folder, "aurora").id for _ in range(4)]

    assert [talk["id"] for talk in get_conversations(folder, "aurora")] == made[::-1]


def test_a_long_list_is_whole_and_in_order(make_project: MakeProject, clock: Any) -> None:
    project = make_project(now=clock, durability="normal")
    with project.atomic():
        made = [project.conversations.create(project_name="aurora").number for _ in range(1003)]
    clock.advance(1)
    add_message(project.path, made[500], "user", "x")

    found = [talk["id"] for talk in get_conversations(project.path, "aurora")]

    assert found == [made[500], *reversed(made[501:]), *reversed(made[:500])]


def test_a_time_is_naive_and_has_no_fraction_where_that_is_zero(make_project: MakeProject, clock: Any) -> None:
    folder = make_project(now=clock).path
    made = create_conversation(folder, "aurora")
    clock.moment = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
    added = add_message(folder, made.id, "user", "x")

    assert get_conversations(folder, "aurora")[0]["created_at"] == "2026-03-01T12:00:00"
    assert added is not None
    assert added["timestamp"] == "2026-03-01T12:00:00.000005"


@pytest.mark.parametrize("missing", [0, -1, 99, 2**31, 2**40, 2**63 - 1, 2**70, None, "abc", "", b"1", [], 0.5])
def test_a_missing_conversation_is_none_false_or_empty(tmp_path: Path, missing: Any) -> None:
    create_conversation(tmp_path, "aurora")

    assert get_conversation(tmp_path, missing) is None
    assert delete_conversation(tmp_path, missing) is False
    assert add_message(tmp_path, missing, "user", "x") is None
    assert get_messages(tmp_path, missing) == []
    assert get_conversations(tmp_path, "nobody") == []


def test_an_id_as_text_is_found_as_by_sql(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")

    found = get_conversation(tmp_path, str(made.id))  # type: ignore[arg-type]
    assert found is not None
    assert found["id"] == made.id


def test_no_project_name_finds_nothing(make_project: MakeProject) -> None:
    project = make_project()
    project.conversations.create()

    assert get_conversations(project.path, None) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [None, 5, "a" * 256])
def test_a_project_name_that_cannot_be_kept_is_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(InvalidArgument, match="project_name"):
        create_conversation(tmp_path, name)

    with get_session(tmp_path) as session:
        assert session.query(Conversation).count() == 0


@pytest.mark.parametrize(("role", "content"), [("robot", "x"), (None, "x"), ("user", None)])
def test_a_message_that_cannot_be_kept_is_refused(tmp_path: Path, role: Any, content: Any) -> None:
    made = create_conversation(tmp_path, "aurora")

    with pytest.raises((InvalidRole, InvalidContent)):
        add_message(tmp_path, made.id, role, content)

    assert get_messages(tmp_path, made.id) == []


def test_deletion_takes_the_messages_and_never_frees_the_id(tmp_path: Path) -> None:
    first = create_conversation(tmp_path, "aurora")
    add_message(tmp_path, first.id, "user", "secret")

    assert delete_conversation(tmp_path, first.id) is True

    second = create_conversation(tmp_path, "aurora")
    assert (second.id > first.id, get_messages(tmp_path, second.id)) == (True, [])


# --- titles ---


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text(max_size=60)), max_size=4),
    given_title=st.sampled_from([None, "", "Mine"]),
)
def test_the_first_user_message_with_text_titles(
    make_project: MakeProject, said: list[tuple[str, str]], given_title: str | None
) -> None:
    folder = make_project(durability="normal").path
    made = create_conversation(folder, "aurora", given_title)
    for role, content in said:
        add_message(folder, made.id, role, content)

    found = get_conversation(folder, made.id)

    expected = given_title or next((title for title in (title_of(*item) for item in said) if title), None)
    assert found is not None
    assert found["title"] == expected


def test_the_title_is_that_of_the_first_stored_message_also_in_a_race(tmp_path: Path) -> None:
    for _ in range(10):
        made = create_conversation(tmp_path, "aurora")
        together(lambda name, id=made.id: add_message(tmp_path, id, "user", name), ["one", "two"])
        found = get_conversation(tmp_path, made.id)

        assert found is not None
        assert found["title"] == found["messages"][0]["content"]


# --- messages ---


def test_messages_are_in_the_order_of_their_appends_whatever_the_clock(make_project: MakeProject, clock: Any) -> None:
    folder = make_project(now=clock).path
    made = create_conversation(folder, "aurora")
    for text, seconds in (("a", 0), ("b", 0), ("c", -60)):
        clock.advance(seconds)
        add_message(folder, made.id, "user", text)

    assert contents(folder, made.id) == ["a", "b", "c"]


def test_a_long_conversation_is_deleted_without_reading_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="peewee_conv")
    made = create_conversation(tmp_path, "aurora")
    for number in range(50):
        add_message(tmp_path, made.id, "user", str(number))
    caplog.clear()

    assert delete_conversation(tmp_path, made.id)

    deletions = [line for line in caplog.messages if "DELETE FROM conversations" in line]
    readings = [line for line in caplog.messages if "SELECT" in line and "FROM messages" in line]
    assert (len(deletions), readings) == (1, [])


def test_messages_of_many_threads_are_all_there(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")

    added = together(lambda text: add_message(tmp_path, made.id, "user", text), list("abcdefgh"))

    assert sorted(contents(tmp_path, made.id)) == list("abcdefgh")
    assert len({message["id"] for message in added}) == 8


def test_a_long_conversation_is_whole(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")
    service = Project(tmp_path).conversations
    said = [{"role": "user", "content": str(n)} for n in range(10_001)]
    service.add_messages(service.list()[0].id, said)

    assert contents(tmp_path, made.id) == [message["content"] for message in said]
    assert delete_conversation(tmp_path, made.id) is True


def test_messages_of_an_old_file_keep_their_ids_and_new_ones_follow(tmp_path: Path) -> None:
    (tmp_path / ".autoforge").mkdir()
    rows = (
        "INSERT INTO conversations VALUES (7, 'aurora', 'Old', '2025-01-01 00:00:00.000000', '2025-01-01 00:00:00');"
        "INSERT INTO conversation_messages VALUES (41, 7, 'user', 'then', '2025-01-01 00:00:00.000000');"
    )
    legacy_files.make(tmp_path / ".autoforge" / "assistant.db", legacy_files.ASSISTANT + rows)

    added = add_message(tmp_path, 7, "user", "now")

    found = get_conversation(tmp_path, 7)
    assert found is not None
    assert added is not None
    assert [(said["id"], said["content"]) for said in found["messages"]] == [(41, "then"), (added["id"], "now")]
    assert found["messages"][0]["timestamp"] == "2025-01-01T00:00:00"


def test_a_number_as_external_id_of_somebody_else_is_no_message_id(project: Project) -> None:
    talk = project.conversations.create(project_name="aurora")
    made = project.conversations.add_message(talk.id, "user", "x", external_id="5")

    assert [said["id"] for said in get_messages(project.path, talk.number)] == [made.id]


# --- names ---


def test_every_name_that_callers_import_is_there() -> None:
    names = (
        "Base Conversation ConversationMessage get_db_path get_engine dispose_engine get_session create_conversation"
        " get_conversations get_conversation delete_conversation add_message get_messages utc_now _utc_now"
    )

    assert [name for name in names.split() if not hasattr(assistant_database, name)] == []
    assert utc_now().tzinfo is UTC
