"""The rolling window: exact at both ends, never overrun, and steady when the clock is not."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from account_tools import START, Clock, sign_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peewee_conv import Project
from peewee_conv.database.handle import Handle
from peewee_conv.errors import InvalidArgument, RateLimited, UserNotFound
from peewee_conv.models import assistant
from peewee_conv.services import usage as usage_module
from peewee_conv.services.usage import Usage

TICK = timedelta(microseconds=1)
WINDOW = timedelta(hours=24)


@pytest.fixture
def frozen(make_project: Callable[..., Project], clock: Clock) -> Project:
    return make_project(now=clock)


@pytest.fixture
def user(frozen: Project) -> str:
    return sign_up(frozen).user_id


# --- figures ------------------------------------------------------------------------------------------------------


def test_new_user_has_the_whole_budget(frozen: Project, user: str) -> None:
    assert frozen.usage.status(user).to_dict() == {
        "allowed": True,
        "usage_tokens": 0,
        "limit_tokens": 5_000_000,
        "usage_percent": 0.0,
        "remaining_tokens": 5_000_000,
        "resets_in_seconds": None,
        "warning": False,
    }


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (799, (True, 79.9, 201, None, False)),
        (800, (True, 80.0, 200, None, True)),
        (999, (True, 99.9, 1, None, True)),
        (1000, (False, 100.0, 0, 86_400.0, True)),
        (1500, (False, 150.0, 0, 86_400.0, True)),
    ],
)
def test_figures_of_a_window(frozen: Project, user: str, used: int, expected: tuple[Any, ...]) -> None:
    frozen.usage.record(user, used, 0, "m")

    status = frozen.usage.with_limit(1000).status(user)

    assert expected == (
        status.allowed,
        status.usage_percent,
        status.remaining_tokens,
        status.resets_in_seconds,
        status.warning,
    )


def test_blocked_window_resets_when_its_oldest_usage_leaves(frozen: Project, user: str, clock: Clock) -> None:
    usage = frozen.usage.with_limit(1000)
    usage.record(user, 600, 0, "m")
    clock.advance(hours=1)
    usage.record(user, 600, 0, "m")
    clock.advance(microseconds=1)

    assert usage.status(user).resets_in_seconds == pytest.approx(23 * 3600 - 1e-6, abs=1e-9)


def test_status_of_a_missing_user_is_refused(project: Project) -> None:
    with pytest.raises(UserNotFound):
        project.usage.status("nobody")


def test_users_have_windows_of_their_own(frozen: Project, user: str) -> None:
    frozen.usage.record(user, 100, 0, "m")

    assert frozen.usage.status(sign_up(frozen, "bob").user_id).usage_tokens == 0


@pytest.mark.parametrize(
    ("limit", "argument"),
    [
        ({"limit_tokens": 0}, "limit_tokens"),
        ({"limit_tokens": 1e6}, "limit_tokens"),
        ({"limit_tokens": 2**60}, "limit_tokens"),
        ({"window_seconds": 0}, "window_seconds"),
        ({"window_seconds": 10**9}, "window_seconds"),
        ({"warning_percent": 101}, "warning_percent"),
        ({"warning_percent": 0}, "warning_percent"),
    ],
)
def test_limit_that_makes_no_sense_is_refused(project: Project, limit: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        project.usage.with_limit(**limit)

    assert caught.value.argument == argument


# --- both ends ----------------------------------------------------------------------------------------------------


def test_usage_counts_from_its_very_microsecond(frozen: Project, user: str) -> None:
    frozen.usage.record(user, 7, 0, "m")

    assert frozen.usage.status(user).usage_tokens == 7


@pytest.mark.parametrize(("after", "counted"), [(WINDOW - TICK, 7), (WINDOW, 0), (WINDOW + TICK, 0)])
def test_usage_counts_for_24_hours_to_the_microsecond(
    frozen: Project, user: str, clock: Clock, after: timedelta, counted: int
) -> None:
    frozen.usage.record(user, 7, 0, "m")
    clock.moment += after

    assert frozen.usage.status(user).usage_tokens == counted


def test_window_crosses_midnight(frozen: Project, user: str, clock: Clock) -> None:
    clock.moment = datetime(2026, 3, 1, 23, 59, 59, 999999, UTC)
    frozen.usage.record(user, 7, 0, "m")
    clock.advance(microseconds=1)  # the next day
    frozen.usage.record(user, 1, 0, "m")

    clock.moment = datetime(2026, 3, 2, 23, 59, 59, 999999, UTC)
    assert frozen.usage.status(user).usage_tokens == 1
    clock.advance(microseconds=-1)
    assert frozen.usage.status(user).usage_tokens == 8


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
@pytest.mark.parametrize("hours", [0, 1, 12, 23])
def test_change_of_daylight_saving_changes_no_window(
    frozen: Project, user: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, change: datetime, hours: int
) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        local = (change - timedelta(hours=hours)).astimezone()  # as the wall clock of that zone has it
        clock.moment = local
        frozen.usage.record(user, 7, 0, "m")
        clock.moment = local.astimezone(UTC) + WINDOW - TICK
        within = frozen.usage.status(user).usage_tokens
        clock.moment = clock.moment.astimezone() + TICK
        without = frozen.usage.status(user).usage_tokens
    finally:
        monkeypatch.undo()
        time.tzset()

    assert (within, without) == (7, 0)


steps = st.lists(
    st.tuples(st.integers(0, 3 * 86_400_000_000), st.integers(0, 1000), st.booleans()), min_size=1, max_size=12
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_window_is_the_sum_of_the_last_24_hours(
    frozen: Project, clock: Clock, steps: list[tuple[int, int, bool]]
) -> None:
    clock.moment = START
    name = f"user{len(frozen.accounts.list(limit=1000))}"
    user = sign_up(frozen, name).user_id
    used: list[tuple[datetime, int]] = []
    for microseconds, tokens, at_an_end in steps:
        # Often exactly where an earlier usage leaves the window.
        clock.moment = max(clock.moment, used[0][0] + WINDOW) if at_an_end and used else clock.moment
        clock.moment += timedelta(microseconds=0 if at_an_end else microseconds)
        frozen.usage.record(user, tokens, 0, "m")
        used.append((clock.moment, tokens))

        expected = sum(tokens for moment, tokens in used if moment > clock.moment - WINDOW)
        assert frozen.usage.status(user).usage_tokens == expected


# --- spending -----------------------------------------------------------------------------------------------------


def test_spend_takes_the_last_token_and_not_one_more(frozen: Project, user: str) -> None:
    usage = frozen.usage.with_limit(100)
    usage.spend(user, 60, 40, "m")

    with pytest.raises(RateLimited) as caught:
        usage.spend(user, 0, 1, "m")

    assert (caught.value.limit, caught.value.used, caught.value.retry_after) == (100, 100, 86_400.0)
    assert frozen.usage.total().total_tokens == 100


@pytest.mark.parametrize("tokens", [1, 25, 26, 100])
def test_refused_spend_says_when_there_is_room_enough(frozen: Project, user: str, clock: Clock, tokens: int) -> None:
    usage = frozen.usage.with_limit(100)
    for _ in range(4):
        usage.spend(user, 25, 0, "m")
        clock.advance(hours=1)

    with pytest.raises(RateLimited) as caught:
        usage.spend(user, tokens, 0, "m")

    clock.advance(seconds=caught.value.retry_after, microseconds=-1)
    with pytest.raises(RateLimited):
        usage.spend(user, tokens, 0, "m")
    clock.advance(microseconds=1)
    assert usage.spend(user, tokens, 0, "m").total_tokens == tokens


def test_spend_of_more_than_the_limit_waits_for_the_whole_window(frozen: Project, user: str) -> None:
    with pytest.raises(RateLimited) as caught:
        frozen.usage.with_limit(100, window_seconds=60).spend(user, 101, 0, "m")

    assert (caught.value.used, caught.value.retry_after) == (0, 60.0)


def test_spend_of_nothing_is_allowed_in_a_full_window(frozen: Project, user: str) -> None:
    usage = frozen.usage.with_limit(100)
    usage.spend(user, 100, 0, "m")

    assert usage.spend(user, 0, 0, "m").total_tokens == 0


def test_spend_after_a_record_past_the_limit_is_refused(frozen: Project, user: str) -> None:
    usage = frozen.usage.with_limit(100)
    usage.record(user, 500, 0, "m")

    with pytest.raises(RateLimited) as caught:
        usage.spend(user, 1, 0, "m")

    assert caught.value.used == 500


def test_spend_in_a_transaction_that_fails_is_not_stored(frozen: Project, user: str) -> None:
    def spend_and_fail() -> None:
        with frozen.atomic():
            frozen.usage.spend(user, 1, 0, "m")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spend_and_fail()

    assert frozen.usage.total().calls == 0


def spend_from_threads(usage: Usage, user: str, tokens: list[int]) -> list[int]:
    """Spend from as many threads at once; return the tokens of each that was let through, and 0 for the others."""

    def spend(amount: int) -> int:
        try:
            return usage.spend(user, amount, 0, "m").total_tokens
        except RateLimited:
            return 0

    with ThreadPoolExecutor(len(tokens)) as pool:
        return list(pool.map(spend, tokens))


@pytest.mark.parametrize("group_commit", [True, False])
def test_32_threads_that_spend_the_last_tokens_never_overrun(
    make_project: Callable[..., Project], group_commit: bool
) -> None:
    project = make_project(group_commit=group_commit)
    user = sign_up(project).user_id
    usage = project.usage.with_limit(1000)
    usage.spend(user, 900, 0, "m")

    spent = spend_from_threads(usage, user, [10] * 32)

    assert sorted(spent) == [0] * 22 + [10] * 10
    assert project.usage.total().total_tokens == 900 + sum(spent) == 1000


def test_threads_that_spend_different_amounts_fill_no_more_than_the_limit(project: Project) -> None:
    user = sign_up(project).user_id

    spent = spend_from_threads(project.usage.with_limit(300), user, list(range(1, 33)))

    assert sum(spent) <= 300
    assert project.usage.total().total_tokens == sum(spent)
    assert 300 - sum(spent) < min(amount for amount, done in zip(range(1, 33), spent, strict=True) if not done)


@pytest.mark.parametrize("sql", [usage_module._NEWEST, usage_module._WINDOW, usage_module._FREES_ENOUGH])
def test_window_is_read_from_one_covering_index(frozen: Project, sql: str) -> None:
    params = ("user", "2026", 1)[: sql.count("?")]

    def explain(connection: sqlite3.Connection) -> list[str]:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", params)]

    plan = Handle(frozen._binding, assistant).read(explain)

    assert [step for step in plan if "token_usage" in step] == [
        step for step in plan if "token_usage USING COVERING INDEX idx_token_usage_user_timestamp (user_id=?" in step
    ]
    assert any("idx_token_usage_user_timestamp" in step for step in plan)
    assert not any("TEMP B-TREE" in step for step in plan)


# --- a clock that goes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [TICK, timedelta(hours=1), timedelta(days=400)])
def test_clock_that_goes_back_gives_no_budget_away(frozen: Project, user: str, clock: Clock, back: timedelta) -> None:
    usage = frozen.usage.with_limit(100)
    usage.spend(user, 100, 0, "m")
    clock.moment -= back

    with pytest.raises(RateLimited):
        usage.spend(user, 1, 0, "m")

    assert not usage.status(user).allowed


def test_clock_that_goes_back_does_not_widen_the_window(frozen: Project, user: str, clock: Clock) -> None:
    frozen.usage.record(user, 1, 0, "m")
    clock.advance(hours=24)
    frozen.usage.record(user, 10, 0, "m")
    clock.advance(hours=-12)

    assert frozen.usage.status(user).usage_tokens == 10


def test_block_never_lasts_longer_than_the_window_by_its_own_figures(frozen: Project, user: str, clock: Clock) -> None:
    usage = frozen.usage.with_limit(100)
    usage.record(user, 100, 0, "m")
    clock.advance(days=-30)

    assert usage.status(user).resets_in_seconds == 86_400.0
    with pytest.raises(RateLimited) as caught:
        usage.spend(user, 1, 0, "m")
    assert caught.value.retry_after == 86_400.0
