"""Users: signing up, signing in again, finding, listing, deleting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from account_tools import START, Clock, profile, sign_up

from peewee_conv import Project, search_index
from peewee_conv.database.handle import Handle
from peewee_conv.errors import InvalidArgument, ReferralKeyInvalid, ReferralKeyRequired, UserNotFound
from peewee_conv.models import assistant


def test_new_user_signs_up_with_a_key(project: Project) -> None:
    entry = project.accounts.sign_in(profile(), referral_key=project.accounts.create_key())

    assert entry.is_new
    assert entry.user == project.accounts.get(entry.user_id)
    assert (entry.user.google_id, entry.user.email, entry.user.name, entry.user.avatar_url) == tuple(profile().values())


@pytest.mark.parametrize("key", [None, ""])
def test_new_user_without_a_key_is_refused_and_leaves_nothing(project: Project, key: str | None) -> None:
    with pytest.raises(ReferralKeyRequired, match="pass referral_key="):
        project.accounts.sign_in(profile(), referral_key=key)

    assert project.accounts.list() == []


@pytest.mark.parametrize("key", ["unknown", " ", "x" * 300, "\ud800", b"bytes", 7])
def test_new_user_with_a_wrong_key_is_refused_and_leaves_nothing(project: Project, key: Any) -> None:
    with pytest.raises(ReferralKeyInvalid):
        project.accounts.sign_in(profile(), referral_key=key)

    assert project.accounts.list() == []


def test_refused_sign_up_inside_a_transaction_takes_back_only_itself(project: Project) -> None:
    with project.atomic():
        talk = project.conversations.create()
        with pytest.raises(ReferralKeyInvalid):
            project.accounts.sign_in(profile(), referral_key="unknown")

    assert project.accounts.list() == []
    assert project.conversations.get(talk.id) == talk


def test_known_user_signs_in_without_a_key_and_is_refreshed(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    first = sign_up(project)
    later = clock.advance(days=1)

    again = project.accounts.sign_in({"google_id": first.user.google_id, "email": "new@example.com", "name": "New"})

    assert not again.is_new
    assert again.token != first.token
    assert (again.user.email, again.user.name, again.user.avatar_url) == ("new@example.com", "New", None)
    assert (again.user.created_at, again.user.last_login_at) == (START, later)
    assert project.accounts.get(first.user_id) == again.user


def test_known_user_does_not_use_up_a_key(project: Project) -> None:
    sign_up(project)
    key = project.accounts.create_key()

    project.accounts.sign_in(profile(), referral_key=key)

    assert project.accounts.is_key_valid(key)


def test_clock_that_goes_back_does_not_take_the_last_login_back(
    make_project: Callable[..., Project], clock: Clock
) -> None:
    project = make_project(now=clock)
    sign_up(project)
    clock.advance(days=-1)

    assert project.accounts.sign_in(profile()).user.last_login_at == START


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"google_id": ""}, "profile['google_id']"),
        ({"google_id": None}, "profile['google_id']"),
        ({"email": " "}, "profile['email']"),
        ({"email": "e" * 321}, "profile['email']"),
        ({"name": None}, "profile['name']"),
        ({"name": "\ud800"}, "profile['name']"),
        ({"avatar_url": "a" * 2049}, "profile['avatar_url']"),
        ({"is_admin": True}, "profile"),
        ({"id": "chosen"}, "profile"),
    ],
)
def test_profile_that_is_not_allowed_is_refused(project: Project, change: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        project.accounts.sign_in({**profile(), **change}, referral_key=project.accounts.create_key())

    assert caught.value.argument == argument
    assert project.accounts.list() == []


@pytest.mark.parametrize("given", [None, "ada", [("google_id", "g")], {"google_id": "g"}])
def test_profile_that_is_no_profile_is_refused(project: Project, given: Any) -> None:
    with pytest.raises(InvalidArgument, match="a mapping with google_id, email, name and, if wanted, avatar_url"):
        project.accounts.sign_in(given)


def test_get_raises_and_find_returns_none_for_a_missing_user(project: Project) -> None:
    assert project.accounts.find("nobody") is None
    with pytest.raises(UserNotFound, match="user 'nobody' does not exist"):
        project.accounts.get("nobody")


def test_list_pages_through_all_users_the_newest_first(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    ids = []
    for number in range(5):
        ids.append(sign_up(project, f"user{number}").user_id)
        clock.advance(seconds=number % 2)  # some of them in the same microsecond

    first = project.accounts.list(limit=3)
    second = project.accounts.list(limit=3, after=first.next)

    assert [user.id for user in [*first, *second]] == ids[::-1]
    assert second.next is None


def test_delete_takes_all_that_the_user_has(project: Project) -> None:
    entry, other = sign_up(project), sign_up(project, "bob")
    talk = project.conversations.create(user_id=entry.user_id)
    project.conversations.add_message(talk.id, "user", "a unique word: heliotrope")
    project.conversations.search("heliotrope")
    project.datasets.add(talk.id, "https://example.com/d")
    project.usage.record(entry.user_id, 1, 2, "m", conversation_id=talk.id)

    assert project.accounts.delete(entry.user_id)

    assert not project.accounts.delete(entry.user_id)
    assert project.accounts.validate_session(entry.token) is None
    assert project.conversations.find(talk.id) is None
    assert project.conversations.search("heliotrope") == []
    assert project.usage.total().calls == 0
    assert [user.id for user in project.accounts.list()] == [other.user_id]


def test_delete_leaves_the_search_index_in_step(project: Project) -> None:
    user = sign_up(project).user_id
    for owner in (user, None):
        talk = project.conversations.create(user_id=owner)
        project.conversations.add_message(talk.id, "user", "heliotrope")
    project.conversations.search("heliotrope")

    project.accounts.delete(user)

    assert Handle(project._binding, assistant).read(search_index.is_in_step)


def test_records_show_no_token(project: Project) -> None:
    entry = sign_up(project)
    session = project.accounts.create_session(entry.user_id)

    shown = f"{entry!r} {entry.to_dict()} {session!r} {session.to_dict()}"

    assert entry.token not in shown
    assert session.token not in shown
    assert entry.to_dict()["user"] == entry.user.to_dict()
