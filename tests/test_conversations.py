"""Conversations: made, found, listed, changed and deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_model import title_of

from peewee_conv import Project
from peewee_conv.clock import to_text
from peewee_conv.errors import (
    AlreadyExists,
    AssistantNotFound,
    ConversationNotFound,
    InvalidArgument,
    LimitReached,
    UserNotFound,
)
from peewee_conv.models import User

HIGHEST = 2**31 - 1
VERBS: dict[str, Callable[[Any, str], Any]] = {
    "get": lambda service, id: service.get(id),
    "update": lambda service, id: service.update(id, title="T"),
    "add_message": lambda service, id: service.add_message(id, "user", "x"),
    "add_messages": lambda service, id: service.add_messages(id, [{"role": "user", "content": "x"}]),
    "add_messages of none": lambda service, id: service.add_messages(id, []),
    "messages": lambda service, id: service.messages(id),
    "iterate": lambda service, id: service.iterate(id),
    "context": lambda service, id: service.context(id),
    "context with pins": lambda service, id: service.context(id, pin=("system", "instructions")),
    "prune": lambda service, id: service.prune(id, 1),
    "clear": lambda service, id: service.clear(id),
}


def add_user(project: Project, id: str) -> None:
    with project:
        User.create(id=id, google_id=id, email="a@b.c", name="A", created_at=NOW, last_login_at=NOW)


NOW = datetime(2026, 1, 1, tzinfo=UTC)


# --- create ---


def test_create_returns_what_get_returns(project: Project) -> None:
    bot = project.assistants.create("Aurora", "You analyse markets.")
    add_user(project, "ada")

    made = project.conversations.create(
        id="c-1", assistant_id=bot.id, user_id="ada", project_name="red", title="T", metadata={"a": [1]}, number=9
    )

    assert made == project.conversations.get("c-1")
    assert (made.number, made.user_id, made.metadata, made.message_count) == (9, "ada", {"a": [1]}, 0)


def test_create_takes_an_earlier_time(project: Project) -> None:
    made = project.conversations.create(created_at=datetime(2020, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))

    assert made.created_at == made.updated_at == datetime(2020, 1, 1, tzinfo=UTC)


def test_an_empty_title_is_none(project: Project) -> None:
    assert project.conversations.create(title="").title is None


def test_an_id_that_is_taken_is_refused(project: Project) -> None:
    project.conversations.create(id="c-1")

    with pytest.raises(AlreadyExists, match="conversation 'c-1' already exists"):
        project.conversations.create(id="c-1")


def test_a_number_that_is_taken_is_refused_by_its_name(project: Project) -> None:
    project.conversations.create(number=7)

    with pytest.raises(AlreadyExists, match="conversation with number 7 already exists"):
        project.conversations.create(number=7)


def test_the_highest_number_keeps_its_messages(project: Project) -> None:
    talk = project.conversations.create(number=HIGHEST)
    project.conversations.add_messages(talk.id, [{"role": "user", "content": str(n)} for n in range(3)])

    assert [m.content for m in project.conversations.messages(talk.id)] == ["0", "1", "2"]
    assert [m.content for m in project.conversations.messages(talk.id, before=3)] == ["0", "1"]
    assert [m.content for m in project.conversations.context(talk.id)] == ["0", "1", "2"]
    assert project.conversations.prune(talk.id, 1) == 2


def test_no_number_is_left_after_the_highest(project: Project) -> None:
    project.conversations.create(number=HIGHEST)

    with pytest.raises(LimitReached, match="limit of 2147483647 conversations reached"):
        project.conversations.create()


def test_a_number_is_not_used_again(project: Project) -> None:
    first = project.conversations.create()
    project.conversations.delete(first.id)

    assert project.conversations.create().number > first.number


def test_owners_must_exist(project: Project) -> None:
    bot = project.assistants.create("Aurora", "You analyse markets.")

    with pytest.raises(AssistantNotFound, match="assistant 'nobody' does not exist"):
        project.conversations.create(assistant_id="nobody")
    with pytest.raises(UserNotFound, match="user 'nobody' does not exist"):
        project.conversations.create(assistant_id=bot.id, user_id="nobody")
    assert project.conversations.list() == []


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("id", ""),
        ("id", "a" * 256),
        ("id", 5),
        ("assistant_id", ""),
        ("user_id", 5),
        ("project_name", "a" * 256),
        ("project_name", "\ud800"),
        ("project_name", b"red"),
        ("title", "a" * 201),
        ("title", "a\0b"),
        ("metadata", [1]),
        ("number", 0),
        ("number", HIGHEST + 1),
        ("number", True),
        ("number", 1.0),
        ("created_at", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("created_at", "2026-01-01"),
    ],
)
def test_create_refuses(project: Project, argument: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=argument) as caught:
        project.conversations.create(**{argument: value})

    assert caught.value.argument == argument
    assert project.conversations.list() == []


# --- get, find, delete ---


@pytest.mark.parametrize("verb", VERBS)
def test_a_missing_conversation_is_an_error_of(project: Project, verb: str) -> None:
    with pytest.raises(ConversationNotFound, match="conversation 'nowhere' does not exist") as caught:
        VERBS[verb](project.conversations, "nowhere")

    assert caught.value.id == "nowhere"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("id", [None, 5, 5.0, b"5", "", ["5"], "a\0b"], ids=repr)
def test_what_is_no_id_is_refused_by(project: Project, verb: str, id: Any) -> None:
    project.conversations.create(id="5")

    with pytest.raises(InvalidArgument, match="conversation_id"):
        VERBS[verb](project.conversations, id)

    assert project.conversations.get("5").message_count == 0


def test_find_and_delete_answer_for_a_missing_one(project: Project) -> None:
    assert project.conversations.find("nowhere") is None
    assert project.conversations.delete("nowhere") is False


def test_delete_takes_the_messages_along(project: Project) -> None:
    talk = project.conversations.create(id="c-1", number=5)
    project.conversations.add_message(talk.id, "user", "alpha")
    project.conversations.search("alpha")

    assert project.conversations.delete("c-1") is True

    again = project.conversations.create(id="c-1", number=5)
    assert project.conversations.messages(again.id) == []
    assert project.conversations.search("alpha") == []


# --- list ---


def test_list_has_the_newest_activity_first(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).conversations
    for id in "abc":
        clock.advance(1)
        service.create(id=id)
    clock.advance(1)
    service.add_message("a", "user", "x")

    assert [talk.id for talk in service.list()] == ["a", "c", "b"]


def test_list_by_creation_ignores_activity(make_project: Callable[..., Project], clock: Any) -> None:
    project = make_project(now=clock)
    first, second, third = (project.conversations.create(title=str(clock.advance(seconds=1))) for _ in range(3))
    clock.advance(seconds=1)
    project.conversations.add_message(first.id, "user", "the newest activity")

    page = project.conversations.list(order="created", limit=2)
    rest = project.conversations.list(order="created", limit=2, after=page.next)

    assert [found.id for found in [*page, *rest]] == [third.id, second.id, first.id]


def test_list_refuses_an_unknown_order(project: Project) -> None:
    with pytest.raises(InvalidArgument, match="'activity', 'created'"):
        project.conversations.list(order="title")  # type: ignore[arg-type]


def test_a_conversation_is_found_by_its_number(project: Project) -> None:
    talk = project.conversations.create(number=77)

    assert project.conversations.find_by_number(77) == talk
    assert project.conversations.find_by_number(78) is None


def test_a_number_of_another_user_finds_nothing(project: Project) -> None:
    ada, bob = (
        project.accounts.sign_in({"google_id": name, "email": name, "name": name}, project.accounts.create_key()).user
        for name in ("ada", "bob")
    )
    talk = project.conversations.create(user_id=ada.id)

    assert project.conversations.for_user(ada.id).find_by_number(talk.number) == talk
    assert project.conversations.for_user(bob.id).find_by_number(talk.number) is None


def test_ties_are_listed_by_number(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).conversations
    for id in "abcde":
        service.create(id=id)

    assert [talk.id for talk in service.list()] == list("edcba")


def test_pages_show_each_conversation_once_while_others_come_in(
    make_project: Callable[..., Project], clock: Any
) -> None:
    service = make_project(now=clock).conversations
    before = [service.create().id for _ in range(10)]

    seen, after = [], None
    while True:
        page = service.list(limit=3, after=after)
        seen += [talk.id for talk in page]
        after = page.next
        clock.advance(1)
        service.create()
        if after is None:
            break

    assert seen == before[::-1]


@pytest.mark.parametrize("name", ["", "red", "a\tb", "re%", "rot und grün 🎈"])
def test_every_project_name_that_is_stored_is_found(project: Project, name: str) -> None:
    talk = project.conversations.create(project_name=name)
    project.conversations.create(project_name="other")
    project.conversations.create()

    assert project.conversations.list(project_name=name) == [talk]


def test_filters_of_a_list_are_combined(project: Project) -> None:
    bot = project.assistants.create("Aurora", "You analyse markets.")
    wanted = project.conversations.create(assistant_id=bot.id, project_name="red")
    project.conversations.create(assistant_id=bot.id)
    project.conversations.create(project_name="red")

    assert project.conversations.list(assistant_id=bot.id, project_name="red") == [wanted]
    assert project.conversations.list(user_id="nobody") == []


@pytest.mark.parametrize("limit", [0, -1, 1001, True, 2.0, "5", None], ids=repr)
def test_list_refuses_a_limit(project: Project, limit: Any) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        project.conversations.list(limit=limit)


# --- update ---


def test_update_changes_what_is_given_alone(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).conversations
    talk = service.create(title="old", project_name="red", metadata={"a": 1})
    clock.advance(5)

    changed = service.update(talk.id, title="new")

    assert (changed.title, changed.project_name, changed.metadata) == ("new", "red", {"a": 1})
    assert to_text(changed.updated_at) == clock.text
    assert changed == service.get(talk.id)


def test_update_with_none_empties(project: Project) -> None:
    bot = project.assistants.create("Aurora", "You analyse markets.")
    talk = project.conversations.create(title="T", project_name="red", assistant_id=bot.id, metadata={"a": 1})

    changed = project.conversations.update(talk.id, title=None, project_name=None, assistant_id=None, metadata=None)

    assert (changed.title, changed.project_name, changed.assistant_id, changed.metadata) == (None, None, None, {})


def test_update_without_changes_counts_as_activity(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).conversations
    talk = service.create()
    clock.advance(1)

    assert service.update(talk.id).updated_at > talk.updated_at


def test_update_refuses_a_missing_assistant_and_changes_nothing(project: Project) -> None:
    talk = project.conversations.create(title="old")

    with pytest.raises(AssistantNotFound, match="'nobody'"):
        project.conversations.update(talk.id, title="new", assistant_id="nobody")

    assert project.conversations.get(talk.id) == talk


def test_activity_never_goes_back_with_the_clock(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).conversations
    talk = service.create()
    clock.advance(-3600)

    service.add_message(talk.id, "user", "x")
    service.add_messages(talk.id, [{"role": "user", "content": "x"}])
    service.update(talk.id, title="T")

    assert service.get(talk.id).updated_at == talk.updated_at


# --- titles ---


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    said=st.lists(
        st.tuples(
            st.sampled_from(["user", "user", "assistant", "system"]),
            st.one_of(st.text(max_size=60), st.text(alphabet="a\0é😀\n\u0301 ", min_size=45, max_size=60)),
        ),
        max_size=4,
    )
)
def test_one_by_one_and_together_give_the_same_title(
    make_project: Callable[..., Project], said: list[tuple[str, str]]
) -> None:
    service = make_project(durability="normal").conversations
    single, bulk = service.create(), service.create()

    for role, content in said:
        service.add_message(single.id, role, content)
    service.add_messages(bulk.id, [{"role": role, "content": content} for role, content in said])

    expected = next((title for title in (title_of(*item) for item in said) if title), None)
    assert (service.get(single.id).title, service.get(bulk.id).title) == (expected, expected)


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("a" * 50, "a" * 50),
        ("a" * 51, "a" * 50 + "..."),
        ("😀" * 51, "😀" * 50 + "..."),
        ("  two\nlines  ", "  two\nlines  "),
        ("before\0after", "before"),
        ("\0after", None),
        ("", None),
    ],
)
def test_the_first_user_message_is_the_title(project: Project, content: str, title: str | None) -> None:
    talk = project.conversations.create()

    project.conversations.add_message(talk.id, "assistant", "not this")
    project.conversations.add_message(talk.id, "user", content)

    assert project.conversations.get(talk.id).title == title


def test_a_title_is_not_replaced(project: Project) -> None:
    talk = project.conversations.create(title="mine")

    project.conversations.add_message(talk.id, "user", "yours")

    assert project.conversations.get(talk.id).title == "mine"


def test_a_title_that_was_taken_away_comes_from_the_next_user_message(project: Project) -> None:
    talk = project.conversations.create(title="mine")
    project.conversations.update(talk.id, title="")

    project.conversations.add_message(talk.id, "user", "yours")

    assert project.conversations.get(talk.id).title == "yours"
