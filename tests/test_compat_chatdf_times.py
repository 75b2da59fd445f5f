"""Times in the caller's own SQL: which parameters they are, and what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peewee_conv.compat.chatdf_times import shown, stored, time_parameters
from peewee_conv.errors import InvalidArgument


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT 1", set()),
        ("SELECT * FROM users WHERE id = ?", set()),
        ("SELECT * FROM token_usage WHERE user_id = ? AND timestamp > ?", {1}),
        ("SELECT * FROM token_usage WHERE timestamp>=?2 AND user_id = ?1", {1}),
        ("UPDATE sessions SET expires_at=:end WHERE id = :id", {"end"}),
        ('UPDATE conversations SET title = ?, "updated_at" = @now WHERE id = ?', {"now"}),
        ("SELECT 'created_at = ?' FROM users WHERE name = ? -- created_at = ?", set()),
        ("SELECT /* created_at = ? */ 1 FROM referral_keys WHERE used_at IS NOT ?", {0}),
        ("INSERT INTO conversations (id, created_at, updated_at) VALUES (?, ?, ?)", {1, 2}),
        ("insert into users (created_at, n) values (?, 1), (?, coalesce(?, 2))", {0, 1}),
        ("INSERT INTO users (n, created_at) VALUES (max(?, ?), ?)", {2}),
        ("INSERT INTO users (created_at) VALUES (max(?, ?))", set()),
        ("INSERT INTO users VALUES (?, ?)", set()),
        ("INSERT INTO users (created_at) SELECT ?", set()),
        ("INSERT INTO main.users (id, created_at) VALUES (?, ?)", {1}),
        ("INSERT INTO [users] AS u (id, [created_at]) VALUES (?, ?)", {1}),
        ("WITH old (id) AS (VALUES (1)) INSERT INTO users (id, created_at) VALUES (?, ?)", {1}),
        ("SELECT 1 FROM users WHERE created_at NOT BETWEEN ? AND ? AND id = ?", {0, 1}),
        ("SELECT 1 FROM users WHERE age BETWEEN ? AND ? AND [created_at] < ? AND `used_at` = ?", {2, 3}),
        ("INSERT INTO notes (id, created_at) VALUES (?, ?)", set()),
        ('SELECT "?" FROM users WHERE created_at = ?', {0}),
        ("INSERT INTO users (id, n) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET used_at = ?", {2}),
    ],
)
def test_parameters_that_stand_for_times_are_found(sql: str, parameters: set[Any]) -> None:
    assert time_parameters(sql) == parameters


@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-01T12:00:00",
        "2026-03-01 12:00:00",
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00+01:00",
        datetime(2026, 3, 1, 12),  # noqa: DTZ001 - naive on purpose
        datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_a_time_is_stored_in_utc_in_one_form(moment: Any) -> None:
    sql = "UPDATE users SET created_at = ?"

    assert stored(sql, [moment]) == ("2026-03-01T12:00:00.000000Z",)
    assert stored("UPDATE users SET created_at = :at", {"at": moment, "n": 1}) == {
        "at": "2026-03-01T12:00:00.000000Z",
        "n": 1,
    }


@pytest.mark.parametrize("moment", ["yesterday", 5, b"2026-03-01"])
def test_what_is_no_time_is_refused(moment: Any) -> None:
    with pytest.raises(InvalidArgument, match="ISO 8601"):
        stored("UPDATE users SET created_at = ?", (moment,))


def test_no_time_stays_no_time() -> None:
    assert stored("UPDATE users SET used_at = ?", (None,)) == (None,)


@given(st.datetimes())
def test_a_stored_time_is_shown_as_it_was_given(moment: datetime) -> None:
    (text,) = stored("UPDATE users SET created_at = ?", (moment.isoformat(),))

    assert shown(["created_at"], (text,)) == (moment.isoformat(),)


def test_only_columns_of_times_are_shown_otherwise() -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    row = (moment, moment, None, None, "late")

    assert shown(["content", "used_at", "title", "name", "loaded_at"], row) == (
        moment,
        "2026-03-01T00:00:00",
        "",
        None,
        "late",
    )


@given(st.text(alphabet="?:@$'\"-/*(),=<> \nabVALUESINTOcreated_at0"))
def test_no_text_makes_the_search_for_parameters_fail(sql: str) -> None:
    assert time_parameters(sql) is not None
