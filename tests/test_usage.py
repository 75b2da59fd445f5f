"""Token usage: records, costs, totals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from account_tools import START, Clock, sign_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peewee_conv import Project
from peewee_conv.errors import ConversationNotFound, InvalidArgument, UserNotFound

PRICES = {"small": (0.15, 0.6), "large": (2.5, 10)}


@pytest.fixture
def user(project: Project) -> str:
    return sign_up(project).user_id


# --- records ------------------------------------------------------------------------------------------------------


def test_record_returns_what_is_stored(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    user = sign_up(project).user_id
    talk = project.conversations.create(user_id=user).id

    stored = project.usage.record(user, 1200, 300, "large", conversation_id=talk, prices=PRICES)

    assert (stored.user_id, stored.conversation_id, stored.model_name) == (user, talk, "large")
    assert (stored.input_tokens, stored.output_tokens, stored.total_tokens) == (1200, 300, 1500)
    assert (stored.cost, stored.timestamp) == (pytest.approx(0.006), START)
    assert project.usage.total().cost == stored.cost


@pytest.mark.parametrize("verb", ["record", "spend"])
def test_usage_of_a_missing_user_is_refused(project: Project, verb: str) -> None:
    with pytest.raises(UserNotFound, match="user 'nobody' does not exist"):
        getattr(project.usage, verb)("nobody", 1, 1, "m")

    assert project.usage.total().calls == 0


@pytest.mark.parametrize("verb", ["record", "spend"])
def test_conversation_of_usage_is_the_users_own_or_nobodys(project: Project, user: str, verb: str) -> None:
    bob = sign_up(project, "bob").user_id
    theirs, open_to_all = project.conversations.create(user_id=bob).id, project.conversations.create().id
    use = getattr(project.usage, verb)

    for missing in (theirs, "nowhere"):
        with pytest.raises(ConversationNotFound):
            use(user, 1, 1, "m", conversation_id=missing)

    assert use(user, 1, 1, "m", conversation_id=open_to_all).conversation_id == open_to_all
    assert project.usage.total().calls == 1


@pytest.mark.parametrize("verb", ["record", "spend"])
@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"user_id": None}, "user_id"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": 1.0}, "input_tokens"),
        ({"output_tokens": True}, "output_tokens"),
        ({"output_tokens": 10**12 + 1}, "output_tokens"),
        ({"model_name": " "}, "model_name"),
        ({"model_name": None}, "model_name"),
        ({"conversation_id": ""}, "conversation_id"),
        ({"prices": {}}, "prices"),
        ({"prices": [("m", (1, 2))]}, "prices"),
        ({"prices": {"m": 1}}, "prices['m']"),
        ({"prices": {"m": (1,)}}, "prices['m']"),
        ({"prices": {"m": (-1, 1)}}, "prices['m']"),
        ({"prices": {"m": (1, float("nan"))}}, "prices['m']"),
        ({"prices": {"m": (1, float("inf"))}}, "prices['m']"),
        ({"prices": {"m": (True, 1)}}, "prices['m']"),
    ],
    ids=ascii,
)
def test_usage_that_is_not_allowed_is_refused(
    project: Project, user: str, verb: str, change: dict[str, Any], argument: str
) -> None:
    given_ = {"user_id": user, "input_tokens": 1, "output_tokens": 1, "model_name": "m", **change}

    with pytest.raises(InvalidArgument) as caught:
        getattr(project.usage, verb)(**given_)

    assert caught.value.argument == argument
    assert project.usage.total().calls == 0


def test_usage_of_the_future_is_refused(project: Project, user: str) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid timestamp .* a time that is not in the future"):
        project.usage.record(user, 1, 1, "m", timestamp=datetime.now(UTC) + timedelta(hours=1))


def test_usage_without_prices_costs_nothing(project: Project, user: str) -> None:
    assert project.usage.record(user, 10**6, 10**6, "large").cost == 0


# --- totals -------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(project: Project) -> dict[str, str]:
    """Usage of two users, two models and two conversations, late in one day and early in the next."""
    ada, bob = sign_up(project).user_id, sign_up(project, "bob").user_id
    talk, other = project.conversations.create(user_id=ada).id, project.conversations.create(user_id=bob).id
    late = datetime(2026, 3, 1, 23, 59, 59, 999999, UTC)
    for user, tokens, model, where, moment in (
        (ada, (100, 10), "large", talk, late),
        (ada, (200, 20), "small", talk, late + timedelta(microseconds=1)),
        (ada, (300, 30), "small", None, late + timedelta(days=3)),
        (bob, (1000, 0), "large", other, late),
    ):
        project.usage.record(user, *tokens, model, conversation_id=where, prices=PRICES, timestamp=moment)
    return {"ada": ada, "bob": bob, "talk": talk, "other": other}


def sums(totals: list[Any]) -> list[tuple[Any, ...]]:
    return [(total.key, total.calls, total.input_tokens, total.output_tokens) for total in totals]


def test_totals_by_user_have_the_largest_first(project: Project, busy: dict[str, str]) -> None:
    assert sums(project.usage.totals("user")) == [(busy["bob"], 1, 1000, 0), (busy["ada"], 3, 600, 60)]


def test_totals_by_model(project: Project, busy: dict[str, str]) -> None:
    large, small = project.usage.totals("model")

    assert sums([large, small]) == [("large", 2, 1100, 10), ("small", 2, 500, 50)]
    assert large.cost == pytest.approx((1100 * 2.5 + 10 * 10) / 1e6)
    assert large.total_tokens == 1110


def test_totals_by_day_split_at_midnight_utc(project: Project, busy: dict[str, str]) -> None:
    assert sums(project.usage.totals("day")) == [
        ("2026-03-01", 2, 1100, 10),
        ("2026-03-02", 1, 200, 20),
        ("2026-03-04", 1, 300, 30),
    ]


def test_totals_by_conversation_of_one_user(project: Project, busy: dict[str, str]) -> None:
    totals = project.usage.totals("conversation", user_id=busy["ada"])

    assert sums(totals) == [(None, 1, 300, 30), (busy["talk"], 2, 300, 30)]


def test_totals_survive_the_deletion_of_a_conversation(project: Project, busy: dict[str, str]) -> None:
    before = project.usage.total()

    project.conversations.delete(busy["talk"])

    assert project.usage.total() == before
    assert sums(project.usage.totals("conversation")) == [(busy["other"], 1, 1000, 0), (None, 3, 600, 60)]


def test_period_has_its_start_and_not_its_end(project: Project, busy: dict[str, str]) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)

    before, after = project.usage.total(until=midnight), project.usage.total(since=midnight)

    assert (before.calls, after.calls) == (2, 2)
    assert project.usage.total(since=midnight, until=midnight).calls == 0


def test_filters_narrow_the_total(project: Project, busy: dict[str, str]) -> None:
    total = project.usage.total(user_id=busy["ada"], model_name="small", conversation_id=busy["talk"])

    assert (total.key, total.calls, total.total_tokens) == (None, 1, 220)


def test_total_of_nothing_is_zero(project: Project) -> None:
    assert project.usage.total().to_dict() == {
        "key": None,
        "calls": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "cost": 0.0,
    }
    assert project.usage.totals("day") == []


@pytest.mark.parametrize("by", ["", "week", "user_id; --", None])
def test_totals_by_anything_else_are_refused(project: Project, by: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected one of user, model, day, conversation"):
        project.usage.totals(by)


@pytest.mark.parametrize("argument", ["since", "until"])
def test_naive_period_is_refused(project: Project, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        project.usage.total(**{argument: datetime(2026, 1, 1)})  # type: ignore[arg-type]  # noqa: DTZ001

    assert caught.value.argument == argument


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(["small", "large"]))))
def test_every_split_adds_up_to_the_total(project: Project, uses: list[tuple[int, int, str]]) -> None:
    user = sign_up(project, f"user{len(project.accounts.list(limit=1000))}").user_id
    for input_tokens, output_tokens, model in uses:
        project.usage.record(user, input_tokens, output_tokens, model)

    total = project.usage.total(user_id=user)

    assert total.total_tokens == sum(use[0] + use[1] for use in uses)
    for by in ("user", "model", "day", "conversation"):
        parts = project.usage.totals(by, user_id=user)  # type: ignore[arg-type]
        assert sum(part.total_tokens for part in parts) == total.total_tokens
        assert sum(part.calls for part in parts) == total.calls == len(uses)
