"""Assistants: made, found, listed, changed, and deleted with all that is theirs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.clock import to_text
from peewee_conv.errors import AlreadyExists, AssistantNotFound, InvalidArgument

GIVEN: dict[str, Any] = {"name": "Aurora", "instructions": "You analyse markets."}


def test_create_returns_what_get_returns(project: Project) -> None:
    made = project.assistants.create(**GIVEN, model="gpt-5", id="bot", metadata={"a": 1})

    assert made == project.assistants.get("bot") == project.assistants.find("bot")
    assert (made.name, made.instructions, made.model, made.metadata) == (
        "Aurora",
        "You analyse markets.",
        "gpt-5",
        {"a": 1},
    )


def test_the_model_has_a_default(project: Project) -> None:
    assert project.assistants.create(**GIVEN).model == "gpt-4"


def test_create_takes_an_earlier_time(project: Project) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC)

    made = project.assistants.create(**GIVEN, created_at=moment)

    assert made.created_at == made.updated_at == moment


def test_a_name_may_be_empty_and_need_not_be_unique(project: Project) -> None:
    project.assistants.create("", "x")
    project.assistants.create("", "x")

    assert [bot.name for bot in project.assistants.list()] == ["", ""]


def test_an_id_that_is_taken_is_refused_and_the_old_one_stays(project: Project) -> None:
    first = project.assistants.create(**GIVEN, id="bot")

    with pytest.raises(AlreadyExists, match="assistant 'bot' already exists"):
        project.assistants.create("Other", "Other.", id="bot")

    assert project.assistants.get("bot") == first


REFUSED = [
    ("name", None),
    ("name", "a" * 256),
    ("name", "a\0b"),
    ("name", b"Aurora"),
    ("instructions", ""),
    ("instructions", " \t\n\u2003"),
    ("instructions", None),
    ("instructions", 5),
    ("instructions", "a\0"),
    ("model", ""),
    ("model", None),
    ("model", "a" * 256),
    ("metadata", []),
    ("metadata", {"a": float("nan")}),
]


@pytest.mark.parametrize(("argument", "value"), [*REFUSED, ("id", ""), ("id", 5)])
def test_create_refuses(project: Project, argument: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid {argument}"):
        project.assistants.create(**{**GIVEN, argument: value})

    assert project.assistants.list() == []


@pytest.mark.parametrize(("argument", "value"), REFUSED)
def test_update_refuses_and_changes_nothing(project: Project, argument: str, value: Any) -> None:
    before = project.assistants.create(**GIVEN)
    changes = {"name": "Other", argument: value}

    with pytest.raises(InvalidArgument, match=f"invalid {argument}"):
        project.assistants.update(before.id, **changes)

    assert project.assistants.get(before.id) == before


def test_update_changes_what_is_given_alone(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).assistants
    before = service.create(**GIVEN, metadata={"a": 1})
    clock.advance(5)

    changed = service.update(before.id, model="gpt-5")

    assert changed == service.get(before.id)
    assert (changed.name, changed.model, changed.metadata) == ("Aurora", "gpt-5", {"a": 1})
    assert to_text(changed.updated_at) == clock.text
    assert changed.created_at == before.created_at


def test_update_empties_metadata_with_none(project: Project) -> None:
    bot = project.assistants.create(**GIVEN, metadata={"a": 1})

    assert project.assistants.update(bot.id, metadata=None).metadata == {}


def test_a_change_never_goes_back_with_the_clock(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).assistants
    bot = service.create(**GIVEN)
    clock.advance(-3600)

    assert service.update(bot.id, name="Later").updated_at == bot.updated_at


def test_a_missing_assistant_is_an_error_or_none_or_false(project: Project) -> None:
    with pytest.raises(AssistantNotFound, match="assistant 'nobody' does not exist"):
        project.assistants.get("nobody")
    with pytest.raises(AssistantNotFound):
        project.assistants.update("nobody", name="x")
    assert project.assistants.find("nobody") is None
    assert project.assistants.delete("nobody") is False


@pytest.mark.parametrize("id", [None, 5, "", b"bot"], ids=repr)
def test_what_is_no_id_is_refused(project: Project, id: Any) -> None:
    for verb in (project.assistants.get, project.assistants.find, project.assistants.delete, project.assistants.update):
        with pytest.raises(InvalidArgument, match="invalid assistant_id"):
            verb(id)


def test_delete_takes_conversations_and_messages_along_and_no_others(project: Project) -> None:
    bot, other = (project.assistants.create(**GIVEN).id for _ in range(2))
    talks = [project.conversations.create(assistant_id=id).id for id in (bot, other, None)]
    for talk in talks:
        project.conversations.add_message(talk, "user", "x")

    assert project.assistants.delete(bot) is True

    assert [project.conversations.find(talk) is None for talk in talks] == [True, False, False]
    assert project.conversations.messages(talks[1])


def test_the_newest_is_listed_first_and_ties_by_id(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).assistants
    for id in ("b", "c", "a"):
        service.create(**GIVEN, id=id)
    clock.advance(1)
    service.create(**GIVEN, id="0")

    assert [bot.id for bot in service.list()] == ["0", "c", "b", "a"]


def test_pages_show_each_assistant_once_while_others_come_in(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).assistants
    before = {service.create(**GIVEN).id for _ in range(7)}

    seen, after = [], None
    while True:
        page = service.list(limit=2, after=after)
        seen += [bot.id for bot in page]
        clock.advance(1)
        service.create(**GIVEN)
        after = page.next
        if after is None:
            break

    assert len(seen) == 7
    assert set(seen) == before


@pytest.mark.parametrize("limit", [0, 1001, True, None], ids=repr)
def test_list_refuses_a_limit(project: Project, limit: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid limit"):
        project.assistants.list(limit=limit)
