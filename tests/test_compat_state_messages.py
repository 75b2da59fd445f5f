"""Messages of the Sovereign Assistant's StateManager: roles, order, contexts and pruning."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state_tools import SHARED, contents, say
from state_tools import bot as bot
from state_tools import manager as manager
from state_tools import thread as thread

from peewee_conv.compat.state_manager import (
    Assistant,
    Message,
    MessageRole,
    StateManager,
    StateManagerException,
    Thread,
)


@pytest.mark.parametrize("role", ["user", "USER", "User", MessageRole.USER])
def test_a_role_is_taken_in_any_case(manager: StateManager, thread: Thread, role: Any) -> None:
    said = manager.add_message(thread.id, role, "", 3)

    assert (said.role, said.role.value, said.content, said.token_count) == (MessageRole.USER, "user", "", 3)
    assert (said.thread_id, len(said.id)) == (thread.id, 36)


@pytest.mark.parametrize("role", ["robot", "tool", "", None, 5])
def test_another_role_is_refused(manager: StateManager, thread: Thread, role: Any) -> None:
    with pytest.raises(StateManagerException, match=f"^Invalid role: {role}$"):
        manager.add_message(thread.id, role, "x")


@pytest.mark.parametrize(("content", "tokens"), [(None, 1), ("x", -1), ("x", "5")])
def test_a_message_that_cannot_be_kept_is_refused(
    manager: StateManager, thread: Thread, content: Any, tokens: Any
) -> None:
    with pytest.raises(StateManagerException):
        manager.add_message(thread.id, "user", content, tokens)

    assert thread.messages == []


def test_roles_are_stored_as_the_values_that_were_promised(manager: StateManager, thread: Thread) -> None:
    manager.add_message(thread.id, "SYSTEM", "x")

    assert [said.role for said in manager.engine.project.conversations.messages(thread.id)] == ["system"]
    with manager.get_session() as session:
        assert session.query(Message).filter(Message.role == MessageRole.SYSTEM).count() == 1
        assert session.query(Message).filter(Message.role == "system").count() == 1


def test_messages_of_this_package_show_their_own_roles(manager: StateManager, thread: Thread) -> None:
    said = manager.engine.project.conversations.add_message(thread.id, "tool", "42")

    shown = manager.get_thread_context(thread.id)["messages"][0]

    assert (shown["id"], shown["role"], shown["token_count"]) == (str(said.id), "tool", 0)


def test_a_context_is_plain_and_whole(manager: StateManager, bot: Assistant, thread: Thread) -> None:
    said = say(manager, thread, *map(str, range(150)))

    context = manager.get_thread_context(thread.id)

    assert list(context) == ["thread_id", "assistant_id", "created_at", "updated_at", "messages"]
    assert (context["thread_id"], context["assistant_id"]) == (thread.id, bot.id)
    assert json.loads(json.dumps(context)) == context
    assert context["created_at"] == thread.created_at.isoformat()
    assert [shown["id"] for shown in context["messages"]] == [message.id for message in said]
    assert list(context["messages"][0]) == ["id", "role", "content", "timestamp", "token_count"]


def test_messages_are_in_the_order_in_which_they_were_acknowledged(manager: StateManager, thread: Thread) -> None:
    project = manager.engine.project
    for content, year in (("a", 2030), ("b", 2020), ("c", 2020)):
        project.conversations.add_message(thread.id, "user", content, created_at=datetime(year, 1, 1, tzinfo=UTC))

    assert contents(manager.get_messages(thread.id)) == ["a", "b", "c"]


@SHARED
@given(count=st.integers(0, 6), keep=st.integers(0, 8))
def test_pruning_keeps_the_newest_and_says_how_many_went(
    manager: StateManager, bot: Assistant, count: int, keep: int
) -> None:
    thread = manager.create_thread(bot.id)
    said = say(manager, thread, *map(str, range(count)))

    gone = manager.delete_old_messages(thread.id, keep)

    assert gone == max(0, count - keep)
    assert contents(manager.get_messages(thread.id)) == contents(said[gone:])


def test_pruning_to_less_than_nothing_is_refused(manager: StateManager, thread: Thread) -> None:
    say(manager, thread, *"abcde")

    with pytest.raises(StateManagerException, match="-1"):
        manager.delete_old_messages(thread.id, -1)

    assert contents(manager.get_messages(thread.id)) == list("abcde")
