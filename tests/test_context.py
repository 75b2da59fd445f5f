"""What a model sees: the newest messages that fit, the pins, and calls together with their results."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_model import NaiveMessage, has_all_calls
from naive_model import window as naive_window

from peewee_conv import Project, window
from peewee_conv.errors import ConversationNotFound, InvalidArgument

ROLES = ("system", "user", "assistant", "tool", "developer")
stored = st.lists(st.tuples(st.sampled_from(ROLES), st.integers(0, 9)), max_size=12)
limits = st.one_of(st.none(), st.integers(0, 40))


@pytest.fixture
def talk(project: Project) -> str:
    return project.conversations.create().id


def fill(project: Project, talk: str, roles: str, tokens: int | None = 1) -> None:
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool", "d": "developer"}
    new = [{"role": names[role], "content": role * 8, "token_count": tokens} for role in roles]
    project.conversations.add_messages(talk, new)


def shown(project: Project, talk: str, **limits: Any) -> list[int]:
    return [message.sequence for message in project.conversations.context(talk, **limits)]


# --- the rule, without a database ---


@settings(deadline=None)
@given(rows=stored, most=limits, max_tokens=limits)
def test_the_window_is_the_longest_run_that_keeps_the_rules(
    rows: list[tuple[str, int]], most: int | None, max_tokens: int | None
) -> None:
    newest_first = list(enumerate(rows))[::-1][:most]

    found = window.suffix(newest_first, max_tokens, tokens=lambda row: row[1][1], role=lambda row: row[1][0])

    messages = [NaiveMessage(place, role, "", tokens) for place, (role, tokens) in enumerate(rows, 1)]
    assert [row[0] + 1 for row in found] == [m.sequence for m in naive_window(messages, most, max_tokens)]


@settings(deadline=None)
@given(rows=stored, max_tokens=limits)
def test_the_window_never_exceeds_its_tokens_nor_splits_a_call(
    rows: list[tuple[str, int]], max_tokens: int | None
) -> None:
    found = window.suffix(rows[::-1], max_tokens, tokens=lambda row: row[1], role=lambda row: row[0])

    assert has_all_calls(role for role, _ in found)
    assert max_tokens is None or sum(tokens for _, tokens in found) <= max_tokens


def test_what_does_not_fit_is_the_last_row_that_is_read() -> None:
    read = []

    def rows() -> Any:
        for place in range(9, 0, -1):
            read.append(place)
            yield ("user", place)

    window.suffix(rows(), 17, tokens=lambda row: row[1], role=lambda row: row[0])

    assert read == [9, 8, 7]


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("😀" * 8, 2)])
def test_an_uncounted_text_has_a_token_for_each_four_characters(text: str, tokens: int) -> None:
    assert window.estimate_tokens(text) == tokens


# --- limits ---


def test_the_default_is_the_newest_twenty_oldest_first(project: Project, talk: str) -> None:
    fill(project, talk, "ua" * 15)

    assert shown(project, talk) == list(range(11, 31))


def test_without_bounds_all_of_it_is_shown(project: Project, talk: str) -> None:
    fill(project, talk, "ua" * 15)

    assert shown(project, talk, max_messages=None) == list(range(1, 31))


@pytest.mark.parametrize(
    ("max_tokens", "expected"), [(0, []), (4, []), (5, [3]), (9, [3]), (10, [2, 3]), (15, [1, 2, 3])]
)
def test_tokens_bound_the_window(project: Project, talk: str, max_tokens: int, expected: list[int]) -> None:
    fill(project, talk, "uau", tokens=5)

    assert shown(project, talk, max_tokens=max_tokens) == expected


def test_an_older_message_that_would_fit_does_not_jump_the_queue(project: Project, talk: str) -> None:
    fill(project, talk, "u", tokens=1)
    fill(project, talk, "a", tokens=50)
    fill(project, talk, "u", tokens=1)

    assert shown(project, talk, max_tokens=10) == [3]


def test_messages_without_tokens_fit_into_nothing(project: Project, talk: str) -> None:
    fill(project, talk, "ua", tokens=0)

    assert shown(project, talk, max_tokens=0) == [1, 2]


def test_uncounted_messages_are_estimated(project: Project, talk: str) -> None:
    fill(project, talk, "uau", tokens=None)

    assert shown(project, talk, max_tokens=4) == [2, 3]


def test_a_callable_counts_instead_of_the_stored_counts(project: Project, talk: str) -> None:
    fill(project, talk, "uau", tokens=1)

    assert shown(project, talk, max_tokens=20, count_tokens=len) == [2, 3]


def test_a_callable_may_use_the_project(project: Project, talk: str) -> None:
    fill(project, talk, "uau")

    def count(text: str) -> int:
        return project.conversations.get(talk).message_count

    assert shown(project, talk, max_tokens=7, count_tokens=count) == [2, 3]


# The last ones are what sqlite3 itself raises: they must not be taken for a fault of the database.
@pytest.mark.parametrize(
    "error",
    [
        LookupError("no such encoding"),
        OverflowError("too many"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        sqlite3.OperationalError("the counter's own database is locked"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_callable_comes_out_and_leaves_nothing_open(
    project: Project, talk: str, error: Exception
) -> None:
    fill(project, talk, "suau")

    def fail(text: str) -> int:
        raise error

    for pin in ((), "system"):
        with pytest.raises(type(error)) as caught:
            project.conversations.context(talk, max_tokens=7, pin=pin, count_tokens=fail)
        assert caught.value is error

    assert project.conversations.clear(talk) == 4


@pytest.mark.parametrize("answer", [-1, 1.0, True, "1", None], ids=repr)
def test_a_callable_that_miscounts_is_refused(project: Project, talk: str, answer: Any) -> None:
    fill(project, talk, "u")

    with pytest.raises(InvalidArgument, match="answer of count_tokens"):
        project.conversations.context(talk, max_tokens=7, count_tokens=lambda text: answer)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_messages", 0),
        ("max_messages", -1),
        ("max_messages", True),
        ("max_messages", 2.0),
        ("max_tokens", -1),
        ("max_tokens", False),
        ("max_tokens", "9"),
        ("count_tokens", 5),
        ("pin", None),
        ("pin", 5),
        ("pin", "user"),
        ("pin", ["system", "tool"]),
        ("pin", [["system"]]),
    ],
    ids=repr,
)
def test_context_refuses(project: Project, talk: str, name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid {name} "):
        project.conversations.context(talk, **{name: value})


def test_an_empty_conversation_has_an_empty_window(project: Project, talk: str) -> None:
    assert shown(project, talk) == []
    assert shown(project, talk, pin=("system", "instructions")) == []


def test_the_window_shows_what_was_pruned_no_more(project: Project, talk: str) -> None:
    fill(project, talk, "suauau")
    project.conversations.prune(talk, 2)

    assert shown(project, talk, pin="system") == [5, 6]


# --- calls and results ---


@pytest.mark.parametrize(
    ("roles", "max_messages", "expected"),
    [
        ("uat", 2, [2, 3]),
        ("uat", 1, []),
        ("uattu", 3, [5]),
        ("uattu", 4, [2, 3, 4, 5]),
        ("uatatu", 3, [4, 5, 6]),
        ("uatatu", 4, [4, 5, 6]),
        ("uadtu", 3, [5]),
        ("uautu", 3, [5]),
        ("uautuau", 5, [5, 6, 7]),
        ("tua", 3, [2, 3]),
    ],
)
def test_a_result_is_never_shown_without_its_call(
    project: Project, talk: str, roles: str, max_messages: int, expected: list[int]
) -> None:
    fill(project, talk, roles)

    assert shown(project, talk, max_messages=max_messages) == expected


def test_a_pin_between_call_and_result_does_not_part_them(project: Project, talk: str) -> None:
    fill(project, talk, "uasttu")

    assert shown(project, talk, max_messages=3, pin="system") == [3, 6]
    assert shown(project, talk, max_messages=4, pin="system") == [2, 3, 4, 5, 6]


# --- pins ---


def test_pinned_roles_are_there_whatever_their_age(project: Project, talk: str) -> None:
    fill(project, talk, "sd" + "ua" * 10 + "su")

    assert shown(project, talk, max_messages=2, pin="system") == [1, 22, 23, 24]
    assert shown(project, talk, max_messages=2, pin=["developer"]) == [2, 23, 24]
    assert shown(project, talk, max_messages=2, pin={"system", "developer"}) == [1, 2, 22, 23, 24]


def test_pins_take_their_tokens_first(project: Project, talk: str) -> None:
    fill(project, talk, "suau", tokens=5)

    assert shown(project, talk, max_tokens=12, pin="system") == [1, 4]


def test_pins_that_do_not_fit_leave_an_empty_window(project: Project, talk: str) -> None:
    fill(project, talk, "suau", tokens=5)

    assert shown(project, talk, max_tokens=4, pin="system") == []


def test_instructions_come_first_as_a_message_of_sequence_zero(project: Project) -> None:
    bot = project.assistants.create("Aurora", "You analyse markets.")
    talk = project.conversations.create(assistant_id=bot.id)
    fill(project, talk.id, "sua")

    first, *others = project.conversations.context(talk.id, max_messages=2, pin="instructions")

    assert (first.sequence, first.role, first.content) == (0, "system", "You analyse markets.")
    assert (first.conversation_id, first.metadata, first.created_at) == (talk.id, {}, bot.updated_at)
    assert [message.sequence for message in others] == [2, 3]


def test_instructions_count_towards_the_tokens(project: Project) -> None:
    bot = project.assistants.create("Aurora", "You analyse markets.")
    talk = project.conversations.create(assistant_id=bot.id)
    fill(project, talk.id, "uau", tokens=5)

    assert shown(project, talk.id, max_tokens=11, pin="instructions") == [0, 3]
    assert shown(project, talk.id, max_tokens=4, pin="instructions") == []


def test_instructions_of_an_empty_conversation_are_shown(project: Project) -> None:
    bot = project.assistants.create("Aurora", "You analyse markets.")
    talk = project.conversations.create(assistant_id=bot.id)

    assert shown(project, talk.id, pin=["instructions", "system"]) == [0]


def test_instructions_without_an_assistant_are_nothing(project: Project, talk: str) -> None:
    fill(project, talk, "sua")

    assert shown(project, talk, pin=["instructions", "system"]) == [1, 2, 3]


def test_pins_of_another_conversation_stay_there(project: Project, talk: str) -> None:
    fill(project, project.conversations.create().id, "sdsd")
    fill(project, talk, "u")

    assert shown(project, talk, pin=["system", "developer"]) == [1]


@pytest.mark.parametrize("pin", [(), "system", ("instructions",)])
def test_a_missing_conversation_is_an_error_with_and_without_pins(project: Project, pin: Any) -> None:
    with pytest.raises(ConversationNotFound):
        project.conversations.context("nowhere", pin=pin)


def test_a_window_in_a_transaction_shows_what_was_just_written(project: Project, talk: str) -> None:
    with project.atomic():
        fill(project, talk, "su")

        assert shown(project, talk, pin="system") == [1, 2]


def test_the_projects_counter_is_for_storing_alone(make_project: Callable[..., Project]) -> None:
    service = make_project(count_tokens=lambda text: 100).conversations
    talk = service.create()
    service.add_message(talk.id, "user", "x", token_count=1)

    assert len(service.context(talk.id, max_tokens=1)) == 1
