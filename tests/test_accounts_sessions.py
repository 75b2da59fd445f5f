"""Sessions: tokens, sliding and absolute expiry, ends; a clock that goes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from account_tools import START, Clock, profile, sign_up
from hypothesis import given
from hypothesis import strategies as st

from peewee_conv import Project
from peewee_conv.clock import to_text
from peewee_conv.errors import InvalidArgument, UserNotFound
from peewee_conv.models import Session
from peewee_conv.periods import shifted
from peewee_conv.services.accounts import Accounts
from peewee_conv.sessions import SessionLimits, digest, due_expiry, first_expiry

TICK = timedelta(microseconds=1)
DAY = 86_400
LIMITS = SessionLimits()


@pytest.fixture
def accounts(make_project: Callable[..., Project], clock: Clock) -> Accounts:
    return make_project(now=clock).accounts


@pytest.fixture
def token(make_project: Callable[..., Project], clock: Clock) -> str:
    return sign_up(make_project(now=clock)).token


def expiries(project: Project) -> list[Any]:
    with project:
        return [session.expires_at for session in Session.select().order_by(Session.id)]


# --- tokens -------------------------------------------------------------------------------------------------------


def test_token_has_256_random_bits(project: Project) -> None:
    entry = sign_up(project)

    tokens = {project.accounts.create_session(entry.user_id).token for _ in range(50)}

    assert len(tokens) == 50
    assert {len(token) for token in tokens} == {43}


def test_only_the_digest_of_a_token_is_stored(project: Project) -> None:
    token = sign_up(project).token

    with project:
        stored = Session.get()

    assert stored.token_hash == digest(token)
    assert token not in str(stored.__data__)


NEAR_MISSES: dict[str, Callable[[str], Any]] = {
    "shorter": lambda token: token[:-1],
    "longer": lambda token: token + "A",
    "other case": lambda token: token.swapcase(),
    "with a space": lambda token: f" {token}",
    "its digest": digest,
    "bytes": lambda token: token.encode(),
    "none": lambda token: None,
    "empty": lambda token: "",
    "a number": lambda token: 7,
    "huge": lambda token: "x" * 100_000,
    "a surrogate": lambda token: "\ud800",
    "a pattern": lambda token: "%",
}


@pytest.mark.parametrize("miss", NEAR_MISSES)
def test_anything_but_the_token_is_nobody(accounts: Accounts, token: str, miss: str) -> None:
    near = NEAR_MISSES[miss](token)

    assert accounts.validate_session(near) is None
    assert accounts.sign_out(near) is False
    assert accounts.validate_session(token) is not None


def test_session_of_a_missing_user_is_not_begun(project: Project) -> None:
    with pytest.raises(UserNotFound, match="user 'nobody' does not exist"):
        project.accounts.create_session("nobody")


# --- expiry -------------------------------------------------------------------------------------------------------


def test_unused_session_ends_after_seven_days_to_the_microsecond(accounts: Accounts, token: str, clock: Clock) -> None:
    clock.moment = START + timedelta(days=7)

    assert accounts.validate_session(token) is None

    clock.moment -= TICK
    assert accounts.validate_session(token) is not None


def test_used_session_slides(accounts: Accounts, token: str, clock: Clock) -> None:
    for _ in range(4):
        clock.advance(days=6)
        assert accounts.validate_session(token) is not None


def test_used_session_ends_after_thirty_days_to_the_microsecond(accounts: Accounts, token: str, clock: Clock) -> None:
    for _ in range(29):
        clock.advance(days=1)
        accounts.validate_session(token)
    clock.moment = START + timedelta(days=30) - TICK

    assert accounts.validate_session(token) is not None

    clock.moment += TICK
    assert accounts.validate_session(token) is None


def test_no_use_sets_an_end_past_the_thirty_days() -> None:
    began, end = to_text(START), to_text(START + timedelta(days=30))
    late = to_text(START + timedelta(days=29))

    assert due_expiry(began, shifted(late, DAY // 2), late, LIMITS) == end


def test_limits_are_the_callers_choice(accounts: Accounts, clock: Clock) -> None:
    short = accounts.with_session_limits(idle_seconds=60, absolute_seconds=90, renew_seconds=0)
    token = short.sign_in(profile(), referral_key=accounts.create_key()).token

    found = []
    for _ in range(4):
        clock.advance(seconds=30)
        found.append(short.validate_session(token) is not None)

    assert found == [True, True, False, False]


def test_lower_limits_hold_for_sessions_that_began_before(accounts: Accounts, token: str, clock: Clock) -> None:
    lower = accounts.with_session_limits(idle_seconds=60, renew_seconds=10)
    lower.validate_session(token)
    clock.advance(seconds=60)

    assert accounts.validate_session(token) is None


def test_lower_absolute_limit_ends_sessions_that_began_before(accounts: Accounts, token: str, clock: Clock) -> None:
    lower = accounts.with_session_limits(absolute_seconds=DAY)
    clock.advance(days=1, microseconds=1)

    assert lower.validate_session(token) is None


@pytest.mark.parametrize(
    ("limits", "argument"),
    [
        ({"idle_seconds": 0}, "idle_seconds"),
        ({"absolute_seconds": 0}, "absolute_seconds"),
        ({"renew_seconds": -1}, "renew_seconds"),
        ({"idle_seconds": 60, "renew_seconds": 61}, "renew_seconds"),
        ({"idle_seconds": 1.5}, "idle_seconds"),
        ({"idle_seconds": 10**12}, "idle_seconds"),
    ],
)
def test_limits_that_make_no_sense_are_refused(project: Project, limits: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        project.accounts.with_session_limits(**limits)

    assert caught.value.argument == argument


# --- reads stay reads ---------------------------------------------------------------------------------------------


def test_validations_write_once_an_hour_at_most(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    token = sign_up(project).token
    seen = set()
    for _ in range(181):  # three hours
        project.accounts.validate_session(token)
        seen.update(expiries(project))
        clock.advance(minutes=1)

    assert sorted(seen) == [START + timedelta(days=7, hours=hours) for hours in range(4)]


def test_validations_within_the_hour_write_nothing(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock, journal_mode="wal")
    token = sign_up(project).token
    log = project.database_path().with_name("assistant.db-wal")
    before = log.stat()

    for _ in range(10):
        clock.advance(minutes=5)
        assert project.accounts.validate_session(token) is not None

    after = log.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_validation_waits_for_no_writer(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    token = sign_up(project).token
    clock.advance(days=1)
    validated: list[Any] = []

    with project.atomic():
        other = threading.Thread(target=lambda: validated.append(project.accounts.validate_session(token)))
        other.start()
        other.join(5)

    assert [user.name for user in validated] == ["Ada"]


# --- a clock that goes back ---------------------------------------------------------------------------------------


def test_session_from_the_future_is_over(accounts: Accounts, token: str, clock: Clock) -> None:
    clock.advance(days=-1)

    assert accounts.validate_session(token) is None


def test_small_step_back_ends_no_session(accounts: Accounts, token: str, clock: Clock) -> None:
    clock.advance(seconds=-2)

    assert accounts.validate_session(token) is not None


def test_clock_that_goes_back_brings_the_end_nearer(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    token = sign_up(project).token
    clock.advance(days=5)
    project.accounts.validate_session(token)
    back = clock.advance(days=-3)

    project.accounts.validate_session(token)

    assert expiries(project) == [back + timedelta(days=7)]


moments = st.integers(-40 * DAY, 40 * DAY).map(lambda seconds: to_text(START + timedelta(seconds=seconds)))


@given(st.lists(moments, max_size=30))
def test_no_order_of_uses_lengthens_a_session_past_its_limits(uses: list[str]) -> None:
    began = to_text(START)
    expires: str | None = first_expiry(began, LIMITS)
    for now in uses:
        assert expires is not None
        due = due_expiry(began, expires, now, LIMITS)
        if due is None:
            continue
        assert now < due <= to_text(START + timedelta(days=30))
        assert due <= max(expires, shifted(now, 7 * DAY))
        expires = due


@given(moments, moments)
def test_use_at_an_earlier_time_never_sets_a_later_end(first: str, second: str) -> None:
    began, (early, late) = to_text(START), sorted((first, second))
    expires = first_expiry(began, LIMITS)

    after_late = due_expiry(began, expires, late, LIMITS)

    if after_late is not None:
        after_early = due_expiry(began, after_late, early, LIMITS)
        assert after_early is None or after_early <= after_late


# --- the end ------------------------------------------------------------------------------------------------------


def test_sign_out_ends_one_session(project: Project) -> None:
    entry = sign_up(project)
    other = project.accounts.create_session(entry.user_id)

    assert project.accounts.sign_out(entry.token)

    assert not project.accounts.sign_out(entry.token)
    assert project.accounts.validate_session(entry.token) is None
    assert project.accounts.validate_session(other.token) == entry.user


def test_sign_out_everywhere_ends_the_sessions_of_one_user(project: Project) -> None:
    ada, bob = sign_up(project), sign_up(project, "bob")
    project.accounts.create_session(ada.user_id)

    assert project.accounts.sign_out_everywhere(ada.user_id) == 2

    assert project.accounts.sign_out_everywhere(ada.user_id) == 0
    assert project.accounts.validate_session(ada.token) is None
    assert project.accounts.validate_session(bob.token) == bob.user


def test_purge_deletes_what_is_over_and_nothing_else(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    entry = sign_up(project)
    clock.advance(microseconds=1)
    later = project.accounts.create_session(entry.user_id)
    clock.moment = START + timedelta(days=7)

    assert project.accounts.purge_expired() == 1

    assert project.accounts.purge_expired() == 0
    assert project.accounts.validate_session(later.token) is not None
