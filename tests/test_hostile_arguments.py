"""Arguments that broke an error on its way out: found by fuzzing, each refused like any other wrong argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
from fuzz_values import Bomb, OddZone

from peewee_conv import Project
from peewee_conv.errors import DatabaseGone, InvalidArgument, LimitReached, ReferralKeyInvalid
from peewee_conv.models import Conversation


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "shown"),
    [(10**5000, "<int>"), (nested(20_000), ("<list>", "[[[[")), (Bomb(), "<Bomb>"), ("x" * 10**6, "'xxx")],
    ids=["digits", "levels", "bomb", "long"],
)
def test_a_value_that_cannot_be_shown_is_named_by_its_type(
    project: Project, value: Any, shown: str | tuple[str, ...]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        project.conversations.list(limit=value)

    assert str(caught.value).removeprefix("invalid limit ").startswith(shown)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "zone",
    [OddZone(None), OddZone("x"), OddZone(timedelta(days=2)), OddZone(ValueError), tzinfo()],
    ids=["no answer", "a text", "two days", "an error", "abstract"],
)
def test_a_time_in_a_broken_time_zone_is_refused(project: Project, zone: tzinfo) -> None:
    with pytest.raises(InvalidArgument, match="expected a datetime with a time zone"):
        project.conversations.create(created_at=datetime(2026, 1, 1, tzinfo=zone))


@pytest.mark.parametrize("items", [7, None, "name", {"name": "x"}, Bomb()], ids=lambda value: type(value).__name__)
def test_features_are_made_of_several_mappings(project: Project, items: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid items"):
        project.features.create_many(items)


@pytest.mark.parametrize("by", [{}, [], Bomb(), None, "year"], ids=lambda value: type(value).__name__)
def test_totals_are_by_one_of_four_words(project: Project, by: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid by .*expected one of user, model, day, conversation"):
        project.usage.totals(by)


def test_nothing_is_asked_of_an_argument_but_its_class(project: Project) -> None:
    bomb: Any = Bomb()
    schedule = project.schedules.create("23:00", 60)
    profile = {"google_id": "g", "email": "a@example.com", "name": "Ada"}

    for call in (
        lambda: project.schedules.add_override(schedule.id, bomb),
        lambda: project.features.request_human_input(1, "Which?", [{"id": "a", "label": "A", "type": bomb}]),
        lambda: project.accounts.sign_in(profile, bomb),
        lambda: project.conversations.context("c", pin=[bomb]),
        lambda: project.conversations.for_user("u").list(user_id=bomb),
        lambda: Project("x", durability=bomb),
    ):
        with pytest.raises((InvalidArgument, ReferralKeyInvalid)):
            call()


def test_a_content_that_was_not_wrapped_is_not_shown(project: Project) -> None:
    talk = project.conversations.create()

    for messages in (["a secret"], [{"role": "user", "content": "x", "metadata": {"a": {1: "a secret"}}}]):
        with pytest.raises(InvalidArgument) as caught:
            project.conversations.add_messages(talk.id, messages)  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "append",
    [
        lambda service: service.add_message("talk", "user", "x"),
        lambda service: service.add_messages("talk", [{"role": "user", "content": "x"}]),
        lambda service: service.begin_message("talk"),
    ],
    ids=["one", "several", "a stream"],
)
def test_the_last_number_of_a_conversation_is_a_limit(project: Project, append: Callable[[Any], Any]) -> None:
    talk = project.conversations.create(id="talk")
    with project:
        Conversation.update(last_sequence=2**32 - 2).execute()
    assert project.conversations.add_message("talk", "user", "the last one").sequence == 2**32 - 1

    with pytest.raises(LimitReached, match="limit of 4294967295 messages of a conversation reached: begin another one"):
        append(project.conversations)

    assert project.conversations.get(talk.id).last_sequence == 2**32 - 1


def test_a_link_that_leads_nowhere_is_called_so(project: Project) -> None:
    project.path.joinpath(".peewee_conv").mkdir(parents=True)
    project.database_path().symlink_to("nowhere.db")

    with pytest.raises(DatabaseGone, match="is a link that leads nowhere: mend or delete the link"):
        project.conversations.create()
