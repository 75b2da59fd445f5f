"""The Sovereign Assistant's StateManager: its assistants and threads are as they were, and what it promised holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state_tools import SHARED, contents, say
from state_tools import bot as bot
from state_tools import manager as manager
from state_tools import thread as thread

from peewee_conv import errors
from peewee_conv.compat import state_manager
from peewee_conv.compat.state_manager import (
    Assistant,
    AssistantNotFound,
    MessageNotFound,
    MessageRole,
    StateManager,
    StateManagerException,
    Thread,
    ThreadNotFound,
)

# --- assistants ---


def test_an_assistant_has_what_it_was_given(manager: StateManager) -> None:
    made = manager.create_assistant("Aurora", "You analyse markets.", "gpt-5", "a-1")

    assert (made.id, made.name, made.instructions, made.model) == ("a-1", "Aurora", "You analyse markets.", "gpt-5")
    assert manager.get_assistant("a-1").created_at == made.created_at


@pytest.mark.parametrize("empty", [None, ""])
def test_an_assistant_gets_an_id_and_the_usual_model(manager: StateManager, empty: Any) -> None:
    made = manager.create_assistant("", "You analyse markets.", None, empty)

    assert (len(made.id), made.name, made.model) == (36, "", "gpt-4")


@pytest.mark.parametrize("blank", ["", " \n", None])
def test_blank_instructions_are_refused(manager: StateManager, bot: Assistant, blank: Any) -> None:
    with pytest.raises(StateManagerException, match=r"^Instructions cannot be empty$"):
        manager.create_assistant("Aurora", blank)
    if blank is not None:
        with pytest.raises(StateManagerException, match=r"^Instructions cannot be empty$"):
            manager.update_assistant(bot.id, name="Changed", instructions=blank)

    assert [found.name for found in manager.list_assistants()] == ["Aurora"]


@pytest.mark.parametrize(
    ("name", "instructions", "id"), [(None, "x", None), ("x", 5, None), ("x", "x", "taken"), ("x", "x", 5)]
)
def test_an_assistant_that_cannot_be_kept_is_refused(
    manager: StateManager, name: Any, instructions: Any, id: Any
) -> None:
    manager.create_assistant("Aurora", "You analyse markets.", assistant_id="taken")

    with pytest.raises(StateManagerException) as caught:
        manager.create_assistant(name, instructions, assistant_id=id)

    assert isinstance(caught.value.__cause__, errors.PeeweeConvError)
    assert len(manager.list_assistants()) == 1


def test_update_changes_what_is_given_and_the_time(manager: StateManager, bot: Assistant) -> None:
    changed = manager.update_assistant(bot.id, name="")
    again = manager.update_assistant(bot.id)

    assert (changed.name, changed.instructions, changed.model) == ("", "You analyse markets.", "gpt-4")
    assert bot.updated_at < changed.updated_at < again.updated_at


@pytest.mark.parametrize("missing", [None, "nobody", "", 5, "a\0b"])
def test_a_missing_assistant_is_an_error_of_its_own(manager: StateManager, missing: Any) -> None:
    for ask in (
        manager.get_assistant,
        manager.update_assistant,
        manager.delete_assistant,
        manager.create_thread,
    ):
        with pytest.raises(AssistantNotFound, match=r"^Assistant not found: "):
            ask(missing)


# --- threads ---


@pytest.mark.parametrize(
    "metadata", [{"a": [1, None]}, ["a", 1], "text", 5, True, {"thread_metadata": 1}, {"thread_metadata": [], "b": 1}]
)
def test_metadata_of_any_shape_comes_back(manager: StateManager, bot: Assistant, metadata: Any) -> None:
    made = manager.create_thread(bot.id, thread_metadata=metadata)

    assert made.thread_metadata == manager.get_thread(made.id).thread_metadata == metadata
    with manager.get_session() as session:
        assert session.query(Thread).one().thread_metadata == metadata


@SHARED
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "thread_metadata"]), inner, max_size=2)
        ),
        max_leaves=6,
    )
)
def test_any_json_replaces_the_metadata_and_comes_back(manager: StateManager, thread: Thread, value: Any) -> None:
    before = manager.get_thread(thread.id).thread_metadata

    changed = manager.update_thread(thread.id, value)

    assert changed.thread_metadata == (before if value is None else value)


@pytest.mark.parametrize("empty", [None, {}, [], ""])
def test_empty_metadata_of_a_new_thread_is_an_empty_object(manager: StateManager, bot: Assistant, empty: Any) -> None:
    assert manager.create_thread(bot.id, thread_metadata=empty).thread_metadata == {}


def test_metadata_that_is_no_json_is_refused(manager: StateManager, bot: Assistant, thread: Thread) -> None:
    with pytest.raises(StateManagerException, match="metadata"):
        manager.create_thread(bot.id, thread_metadata={"a": object()})
    with pytest.raises(StateManagerException, match="metadata"):
        manager.update_thread(thread.id, [object()])

    assert [found.id for found in manager.list_threads()] == [thread.id]


def test_update_of_a_thread_keeps_metadata_for_none_and_takes_an_empty_one(
    manager: StateManager, bot: Assistant
) -> None:
    made = manager.create_thread(bot.id, "t-1", {"a": 1})

    kept, emptied = manager.update_thread("t-1"), manager.update_thread("t-1", {})

    assert (kept.thread_metadata, emptied.thread_metadata) == ({"a": 1}, {})
    assert made.updated_at < kept.updated_at < emptied.updated_at


def test_a_thread_id_that_is_taken_is_refused(manager: StateManager, bot: Assistant) -> None:
    manager.create_thread(bot.id, "t-1")

    with pytest.raises(StateManagerException, match="'t-1' already exists"):
        manager.create_thread(bot.id, "t-1")


@pytest.mark.parametrize("missing", [None, "nowhere", "", 5])
def test_a_missing_thread_is_an_error_of_its_own(manager: StateManager, missing: Any) -> None:
    for ask in (
        manager.get_thread,
        manager.update_thread,
        manager.delete_thread,
        manager.get_messages,
        manager.get_thread_context,
        manager.delete_old_messages,
        lambda id: manager.get_messages(id, limit=0),
        lambda id: manager.add_message(id, "user", "x"),
    ):
        with pytest.raises(ThreadNotFound, match=r"^Thread not found: "):
            ask(missing)


def test_threads_are_listed_by_assistant_the_newest_first(manager: StateManager, bot: Assistant) -> None:
    other = manager.create_assistant("Other", "x")
    one, two = manager.create_thread(bot.id), manager.create_thread(bot.id)
    three = manager.create_thread(other.id)
    manager.add_message(one.id, "user", "activity does not count here")

    assert [found.id for found in manager.list_threads(bot.id)] == [two.id, one.id]
    assert [found.id for found in manager.list_threads("")] == [three.id, two.id, one.id]
    assert manager.list_threads("nobody") == []


# --- skip and limit ---


@SHARED
@given(skip=st.none() | st.integers(-2, 8) | st.just(10**12), limit=st.none() | st.integers(-2, 8) | st.just(10**12))
def test_skip_and_limit_cut_as_a_slice_does(
    manager: StateManager, bot: Assistant, thread: Thread, skip: int | None, limit: int | None
) -> None:
    if not thread.messages:
        say(manager, thread, *"abcdef")
        for _ in range(5):
            manager.create_thread(bot.id)
    first = max(0, skip or 0)
    end = None if limit is None or limit < 0 else first + limit

    assert contents(manager.get_messages(thread.id, skip, limit)) == list("abcdef")[first:end]
    everything = [found.id for found in manager.list_threads(limit=None)]
    assert [found.id for found in manager.list_threads(None, skip, limit)] == everything[first:end]
    assert len(everything) == 6


@pytest.mark.parametrize("wrong", ["5", 1.5, True])
def test_a_skip_that_is_no_number_is_refused(manager: StateManager, thread: Thread, wrong: Any) -> None:
    with pytest.raises(StateManagerException, match="skip"):
        manager.get_messages(thread.id, skip=wrong)
    with pytest.raises(StateManagerException, match="limit"):
        manager.list_threads(limit=wrong)


def test_pages_beyond_the_first_thousand_are_reached(manager: StateManager) -> None:
    project = manager.engine.project
    with project.atomic():
        made = [project.assistants.create(str(n), "x").id for n in range(1500)]

    assert [found.id for found in manager.list_assistants(skip=1200, limit=100)] == made[::-1][1200:1300]
    assert len(manager.list_assistants(limit=-1)) == 1500
    assert len(manager.list_assistants()) == 100


# --- names ---


def test_every_name_that_callers_import_is_there() -> None:
    names = "StateManager Assistant Thread Message MessageRole AssistantNotFound ThreadNotFound MessageNotFound"

    assert [
        name for name in [*names.split(), "StateManagerException", "Base"] if not hasattr(state_manager, name)
    ] == []
    assert {kind.__base__ for kind in (AssistantNotFound, ThreadNotFound, MessageNotFound)} == {StateManagerException}
    assert [role.value for role in MessageRole] == ["system", "user", "assistant"]
