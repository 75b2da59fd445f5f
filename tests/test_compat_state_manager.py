"""The Sovereign Assistant's StateManager: its fourteen operations answer as they did, and what it promised holds."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peewee_conv import Project, errors
from peewee_conv.compat import state_manager
from peewee_conv.compat.state_manager import (
    Assistant,
    AssistantNotFound,
    Message,
    MessageNotFound,
    MessageRole,
    StateManager,
    StateManagerException,
    Thread,
    ThreadNotFound,
)

SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def manager() -> Iterator[StateManager]:
    made = StateManager("sqlite:///:memory:")
    yield made
    made.engine.dispose()


@pytest.fixture
def bot(manager: StateManager) -> Assistant:
    return manager.create_assistant("Aurora", "You analyse markets.")


@pytest.fixture
def thread(manager: StateManager, bot: Assistant) -> Thread:
    return manager.create_thread(bot.id)


def say(manager: StateManager, thread: Thread, *contents: str) -> list[Message]:
    return [manager.add_message(thread.id, "user", content) for content in contents]


def contents(messages: list[Message]) -> list[str]:
    return [message.content for message in messages]


# --- where it is ---


def test_the_default_file_is_made_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    manager = StateManager()

    assert manager.database_url == "sqlite:///data/sovereign_assistant.db"
    assert (tmp_path / "data" / "sovereign_assistant.db.project" / ".peewee_conv" / "assistant.db").is_file()
    manager.engine.dispose()


def test_the_environment_names_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/deep/talks.db")
    manager = StateManager()

    assert manager.engine.project == Project(tmp_path / "deep" / "talks.db.project")
    manager.engine.dispose()


def test_an_old_file_of_that_name_is_not_mistaken_for_nothing(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE TABLE assistants (id VARCHAR(36) PRIMARY KEY)")
    before = old.read_bytes()

    with pytest.raises(StateManagerException, match="peewee-conv adopt") as caught:
        StateManager(f"sqlite:///{old}")

    assert isinstance(caught.value.__cause__, errors.ForeignDatabase)
    assert (old.read_bytes(), os.listdir(tmp_path)) == (before, ["old.db"])


def test_an_old_file_is_no_hindrance_once_there_is_a_project(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    StateManager(url).create_assistant("Aurora", "You analyse markets.", assistant_id="a-1")
    (tmp_path / "old.db").write_bytes(b"old")

    assert StateManager(url).get_assistant("a-1").name == "Aurora"


def test_an_empty_file_of_that_name_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()

    assert StateManager(f"sqlite:///{tmp_path}/new.db").list_assistants() == []


@pytest.mark.parametrize("url", ["postgresql://u:secret@h/d", "talks.db", "sqlite:///file:x?mode=memory"])
def test_another_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StateManagerException, match="invalid database_url") as caught:
        StateManager(url)

    assert "secret" not in str(caught.value)


def test_a_database_in_memory_is_private_and_goes_with_its_disposal() -> None:
    one, other = StateManager("sqlite:///:memory:"), StateManager("sqlite:///:memory:")
    folder = one.engine.project.path
    one.create_assistant("Aurora", "You analyse markets.")

    assert other.list_assistants() == []
    one.engine.dispose()
    other.engine.dispose()

    assert not folder.exists()
    with pytest.raises(StateManagerException):
        one.list_assistants()
    assert not folder.exists()


def test_a_database_in_memory_goes_with_the_process() -> None:
    program = (
        "from peewee_conv.compat.state_manager import StateManager; sm = StateManager('sqlite:///:memory:');"
        "sm.create_assistant('A', 'I'); print(sm.engine.project.path)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert not Path(done.stdout.strip()).exists()


def test_a_database_in_memory_serves_every_thread(manager: StateManager, thread: Thread) -> None:
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda content: manager.add_message(thread.id, "user", content), "abcd"))

    assert sorted(contents(said)) == sorted(contents(manager.get_messages(thread.id))) == list("abcd")


def test_a_file_is_opened_again_after_a_disposal(tmp_path: Path) -> None:
    manager = StateManager(f"sqlite:///{tmp_path}/talks.db")
    bot = manager.create_assistant("Aurora", "You analyse markets.")
    manager.engine.dispose()

    assert manager.get_assistant(bot.id).threads == bot.threads == []


def test_echo_logs_statements_without_their_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="peewee_conv")  # and back in the end
    caplog.handler.setLevel("DEBUG")

    StateManager(f"sqlite:///{tmp_path}/talks.db", echo=True).create_assistant("Aurora", "Sesame.")

    assert "INSERT INTO assistants" in caplog.text
    assert "Sesame" not in caplog.text


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


# --- messages ---


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


# --- names ---


def test_every_name_that_callers_import_is_there() -> None:
    names = "StateManager Assistant Thread Message MessageRole AssistantNotFound ThreadNotFound MessageNotFound"

    assert [
        name for name in [*names.split(), "StateManagerException", "Base"] if not hasattr(state_manager, name)
    ] == []
    assert {kind.__base__ for kind in (AssistantNotFound, ThreadNotFound, MessageNotFound)} == {StateManagerException}
    assert [role.value for role in MessageRole] == ["system", "user", "assistant"]
