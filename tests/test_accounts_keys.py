"""Referral keys: made once, shown once, used once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from account_tools import START, Clock, profile, sign_up

from peewee_conv import Project
from peewee_conv.errors import ReferralKeyInvalid, UserNotFound
from peewee_conv.models import ReferralKey
from peewee_conv.sessions import digest


def test_new_key_is_valid(project: Project) -> None:
    key = project.accounts.create_key()

    assert len(key) == 32
    assert project.accounts.is_key_valid(key)


@pytest.mark.parametrize("key", [None, "", "unknown", "x" * 100_000, "\ud800", b"bytes", 7])
def test_what_is_no_key_is_not_valid(project: Project, key: Any) -> None:
    assert project.accounts.is_key_valid(key) is False


def test_only_digest_and_prefix_of_a_key_are_stored(project: Project) -> None:
    key = project.accounts.create_key()

    with project:
        stored = ReferralKey.get()

    assert (stored.key_hash, stored.prefix) == (digest(key), key[:4])
    assert key not in str(stored.__data__)


def test_used_key_is_not_valid(project: Project) -> None:
    key = project.accounts.create_key()
    project.accounts.sign_in(profile(), referral_key=key)

    assert not project.accounts.is_key_valid(key)
    with pytest.raises(ReferralKeyInvalid):
        project.accounts.sign_in(profile("bob"), referral_key=key)


def test_key_stays_used_when_its_user_is_deleted(project: Project) -> None:
    key = project.accounts.create_key()
    project.accounts.delete(project.accounts.sign_in(profile(), referral_key=key).user_id)

    assert not project.accounts.is_key_valid(key)
    with pytest.raises(ReferralKeyInvalid):
        project.accounts.sign_in(profile(), referral_key=key)
    assert [(found.used_by, found.is_used) for found in project.accounts.list_keys()] == [(None, True)]


def test_list_shows_prefix_and_use_of_keys_the_newest_first(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    entry = sign_up(project)
    later = clock.advance(seconds=1)
    key = project.accounts.create_key(created_by=entry.user_id)

    new, old = project.accounts.list_keys()

    assert (new.prefix, new.created_by, new.used_by, new.is_used) == (key[:4], entry.user_id, None, False)
    assert (old.used_by, old.used_at, new.created_at) == (entry.user_id, START, later)
    assert key not in repr(new)


def test_list_pages_through_all_keys(project: Project) -> None:
    prefixes = [project.accounts.create_key()[:4] for _ in range(5)]

    first = project.accounts.list_keys(limit=3)
    second = project.accounts.list_keys(limit=3, after=first.next)

    assert sorted(key.prefix for key in [*first, *second]) == sorted(prefixes)
    assert second.next is None


def test_key_of_a_missing_user_is_not_made(project: Project) -> None:
    with pytest.raises(UserNotFound, match="user 'nobody' does not exist"):
        project.accounts.create_key(created_by="nobody")

    assert project.accounts.list_keys() == []


def test_claim_uses_a_key_up(project: Project) -> None:
    entry, key = sign_up(project), project.accounts.create_key()

    project.accounts.claim_key(key, entry.user_id)

    with pytest.raises(ReferralKeyInvalid):
        project.accounts.claim_key(key, entry.user_id)
    assert not project.accounts.is_key_valid(key)


def test_claim_for_a_missing_user_leaves_the_key_valid(project: Project) -> None:
    key = project.accounts.create_key()

    with pytest.raises(UserNotFound):
        project.accounts.claim_key(key, "nobody")

    assert project.accounts.is_key_valid(key)


def test_32_threads_with_one_key_make_one_user(project: Project) -> None:
    key = project.accounts.create_key()

    def attempt(number: int) -> bool:
        try:
            return project.accounts.sign_in(profile(f"user{number}"), referral_key=key).is_new
        except ReferralKeyInvalid:
            return False

    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(attempt, range(32)))

    assert outcomes.count(True) == 1
    assert [user.name for user in project.accounts.list()] == [f"User{outcomes.index(True)}"]


def test_32_threads_that_sign_one_new_user_in_make_one_user_and_use_one_key(project: Project) -> None:
    keys = [project.accounts.create_key() for _ in range(32)]

    with ThreadPoolExecutor(32) as pool:
        entries = list(pool.map(lambda key: project.accounts.sign_in(profile(), referral_key=key), keys))

    assert [entry.is_new for entry in entries].count(True) == 1
    assert len({entry.user_id for entry in entries}) == 1
    assert sum(project.accounts.is_key_valid(key) for key in keys) == 31
