"""ChatDF's accounts and token budget: what its documents promise, also where ChatDF did not keep it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chatdf_tools import Chat, Clock, count, sign_up, talk_of, user_id, userinfo
from chatdf_tools import chat as chat

from peewee_conv.compat import chatdf
from peewee_conv.compat.chatdf import Connection, Settings
from peewee_conv.errors import PeeweeConvError

# --- signing in -------------------------------------------------------------------------------------------------------


def test_a_new_user_with_a_key_is_let_in(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[dict[str, Any], dict[str, Any] | None]:
        answer = await sign_up(db)
        return answer, await chatdf.validate_session(db, answer["session_token"])

    answer, user = chat(body)
    assert answer == {**answer, "is_new_user": True, "error": None}
    assert list(answer) == ["session_token", "is_new_user", "error", "user_id"]
    assert user == {
        "id": answer["user_id"],
        "email": "ada@example.com",
        "name": "Ada",
        "avatar_url": "https://example.com/ada.png",
    }


@pytest.mark.parametrize(
    ("key", "error"),
    [(None, "referral_key_required"), ("", "referral_key_required"), ("unknown", "invalid_referral_key")],
)
def test_a_new_user_without_a_good_key_is_told_why_and_nothing_is_stored(
    chat: Chat, key: str | None, error: str
) -> None:
    async def body(db: Connection) -> tuple[dict[str, Any], int]:
        answer = await chatdf.google_callback(userinfo=userinfo(), referral_key=key, db=db)
        return answer, await count(db, "users")

    assert chat(body) == ({"session_token": None, "is_new_user": False, "error": error, "user_id": None}, 0)


def test_a_known_user_needs_no_key_keeps_an_offered_one_and_has_the_profile_refreshed(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[bool, bool, str]:
        first = await sign_up(db)
        key = await db.accounts.create_key()
        again = await chatdf.google_callback(userinfo={**userinfo(), "name": "Ada L."}, referral_key=key, db=db)
        assert again["user_id"] == first["user_id"]
        user = await chatdf.validate_session(db, again["session_token"])
        assert user is not None
        return again["is_new_user"], await chatdf.validate_referral_key(db, key), user["name"]

    assert chat(body) == (False, True, "Ada L.")


def test_five_sign_ups_at_once_with_one_key_make_one_user(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[list[str | None], int, int]:
        key = await db.accounts.create_key()
        profiles = [userinfo(f"user-{n}") for n in range(5)]
        answers = await asyncio.gather(
            *(chatdf.google_callback(userinfo=profile, referral_key=key, db=db) for profile in profiles)
        )
        return [answer["error"] for answer in answers], await count(db, "users"), await count(db, "sessions")

    errors, users, sessions = chat(body)
    assert sorted(map(str, errors)) == ["None", *["invalid_referral_key"] * 4]
    assert (users, sessions) == (1, 1)


def test_a_key_stays_used_when_its_user_is_deleted(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[bool, bool]:
        key = await db.accounts.create_key()
        before = await chatdf.validate_referral_key(db, key)
        await chatdf.google_callback(userinfo=userinfo(), referral_key=key, db=db)
        await db.execute("DELETE FROM users")
        await db.commit()
        return before, await chatdf.validate_referral_key(db, key)

    assert chat(body) == (True, False)


@pytest.mark.parametrize("key", ["", None, "unknown"])
def test_what_is_no_key_is_not_valid(chat: Chat, key: str | None) -> None:
    assert chat(lambda db: chatdf.validate_referral_key(db, key)) is False


def test_a_key_is_marked_as_used_once(chat: Chat) -> None:
    async def body(db: Connection) -> list[object]:
        ada, ben = await user_id(db, "ada"), await user_id(db, "ben")
        key = await db.accounts.create_key()
        marks = (chatdf.mark_key_used(db, key, user) for user in (ada, ben))
        return [type(each) for each in await asyncio.gather(*marks, return_exceptions=True)]

    assert chat(body) in ([type(None), chatdf.ConflictError], [chatdf.ConflictError, type(None)])


def test_a_cancelled_sign_up_leaves_nothing_or_all_of_it(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[int, int, int]:
        key = await db.accounts.create_key()
        callback = chatdf.google_callback(userinfo=userinfo(), referral_key=key, db=db)
        task = asyncio.create_task(callback)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        used = int((await db.fetchone("SELECT count(*) FROM referral_keys WHERE used_at IS NOT NULL"))[0])
        return await count(db, "users"), await count(db, "sessions"), used

    assert chat(body) in ((0, 0, 0), (1, 1, 1))


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_ends_when_it_is_deleted(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[bool, Any]:
        token = await chatdf.create_session(db, await user_id(db))
        found = await chatdf.validate_session(db, token)
        await chatdf.delete_session(db, token)
        await chatdf.delete_session(db, token)
        return found is not None, await chatdf.validate_session(db, token)

    assert chat(body) == (True, None)


@pytest.mark.parametrize("token", ["", None, "unknown"])
def test_what_is_no_token_is_nobodys(chat: Chat, token: str | None) -> None:
    assert chat(lambda db: chatdf.validate_session(db, token)) is None


def test_a_session_of_nobody_is_refused(chat: Chat) -> None:
    with pytest.raises(chatdf.NotFoundError, match=r"^User not found$"):
        chat(lambda db: chatdf.create_session(db, "nobody"))


@pytest.mark.parametrize(("days", "settings"), [(7, None), (2, Settings(session_duration_days=2))])
def test_the_use_of_a_session_prolongs_it_by_the_duration_of_the_settings(
    chat: Chat, clock: Clock, days: int, settings: Settings | None
) -> None:
    async def body(db: Connection) -> list[bool]:
        token = (await sign_up(db))["session_token"]
        found = []
        for wait in (days * 0.9, days * 0.9, days * 1.0):
            clock.advance(days=wait)
            found.append(await chatdf.validate_session(db, token) is not None)
        return found

    assert chat(body, now=clock, settings=settings) == [True, True, False]


def test_any_object_with_the_attributes_serves_as_settings(chat: Chat) -> None:
    class AppSettings:
        token_limit = 1000
        database_url = "sqlite:///chatdf.db"

    async def body(db: Connection) -> tuple[int, int]:
        return (await chatdf.check_limit(db, await user_id(db))).limit_tokens, db.settings.session_duration_days

    assert chat(body, settings=AppSettings()) == (1000, 7)


def test_validating_a_session_writes_once_an_hour_at_most(chat: Chat, clock: Clock) -> None:
    async def expiry(db: Connection) -> str:
        return str((await db.fetchone("SELECT expires_at FROM sessions"))["expires_at"])

    async def body(db: Connection) -> list[str]:
        token = (await sign_up(db))["session_token"]
        seen = [await expiry(db)]
        for minutes in (10, 40, 10):
            clock.advance(minutes=minutes)
            await chatdf.validate_session(db, token)
            seen.append(await expiry(db))
        return seen

    first = "2026-03-08T12:00:00"
    assert chat(body, now=clock) == [first, first, first, "2026-03-08T13:00:00"]


@pytest.mark.parametrize("verb", ["start", "sign_in"])
def test_sessions_that_are_over_are_purged(chat: Chat, clock: Clock, verb: str) -> None:
    async def body(db: Connection) -> int:
        await sign_up(db)
        clock.advance(days=8)
        if verb == "start":
            await chatdf.init_db(db)
            return await count(db, "sessions") + 1
        await sign_up(db, "ben")
        return await count(db, "sessions")

    assert chat(body, now=clock) == 1


def test_one_index_keeps_the_google_id_of_users_unique(chat: Chat) -> None:
    async def body(db: Connection) -> list[tuple[str, bool]]:
        indexes = [(row["name"], bool(row["unique"])) for row in await db.fetchall("PRAGMA index_list(users)")]
        return [(name, u) for name, u in indexes if "google_id" in str(await columns_of(db, name))]

    async def columns_of(db: Connection, index: str) -> list[str]:
        return [row["name"] for row in await db.fetchall(f"PRAGMA index_info({index})")]

    assert chat(body) == [("idx_users_google_id", True)]


# --- the token budget -------------------------------------------------------------------------------------------------


def test_the_status_of_a_user_who_used_some(chat: Chat) -> None:
    async def body(db: Connection) -> dict[str, Any]:
        user = await user_id(db)
        await chatdf.record_usage(db, user, await talk_of(db, user), 3_000_000, 1_000_000)
        return (await chatdf.check_limit(db, user)).model_dump()

    assert chat(body) == {
        "allowed": True,
        "usage_tokens": 4_000_000,
        "limit_tokens": 5_000_000,
        "usage_percent": 80.0,
        "remaining_tokens": 1_000_000,
        "resets_in_seconds": None,
        "warning": True,
    }


def test_usage_counts_for_24_hours_and_not_to_midnight(chat: Chat, clock: Clock) -> None:
    async def body(db: Connection) -> list[tuple[bool, int | None]]:
        user = await user_id(db)
        await chatdf.record_usage(db, user, None, 5_000_000, 0, model_name="gemini-2.5-pro")
        seen = []
        for hours in (13, 10.5, 0.5):
            clock.advance(hours=hours)
            status = await chatdf.check_limit(db, user)
            seen.append((status.allowed, status.resets_in_seconds))
        return seen

    assert chat(body, now=clock) == [(False, 11 * 3600), (False, 1800), (True, None)]


def test_the_limit_of_the_settings_counts(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[bool, int]:
        user = await user_id(db)
        await chatdf.record_usage(db, user, None, 600, 400)
        status = await chatdf.check_limit(db, user)
        return status.allowed, status.remaining_tokens

    assert chat(body, settings=Settings(token_limit=1000)) == (False, 0)


def test_usage_of_nobody_is_refused_and_leaves_no_transaction_open(chat: Chat) -> None:
    async def body(db: Connection) -> int:
        with pytest.raises(chatdf.NotFoundError, match=r"^User not found$"):
            await chatdf.record_usage(db, "nobody", None, 1, 1)
        await asyncio.create_task(user_id(db))  # another task finds the lock free
        return await count(db, "token_usage")

    assert chat(body, busy_timeout_ms=100) == 0


def test_the_budget_of_nobody_is_not_found(chat: Chat) -> None:
    with pytest.raises(chatdf.NotFoundError):
        chat(lambda db: chatdf.check_limit(db, "nobody"))


def test_usage_keeps_its_model_and_costs_nothing(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[Any, ...]:
        user = await user_id(db)
        await chatdf.record_usage(db, user, None, 1, 2)
        return tuple(await db.fetchone("SELECT model_name, input_tokens, output_tokens, cost FROM token_usage"))

    assert chat(body) == ("gemini-2.5-flash", 1, 2, 0.0)


# --- exceptions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        chatdf.NotFoundError("Conversation not found"),
        chatdf.ForbiddenError("Not authorized"),
        chatdf.ConflictError("Generation already in progress"),
        chatdf.RateLimitError("Daily token limit exceeded", resets_in_seconds=60),
    ],
)
def test_exceptions_have_their_message_and_belong_to_the_tree(error: Any) -> None:
    assert error.message == str(error)
    assert isinstance(error, PeeweeConvError)
