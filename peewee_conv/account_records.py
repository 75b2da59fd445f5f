"""The records of accounts, datasets and token usage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .records import Record, column, moment, stored_json


class User(Record):
    """Somebody who signs in, with the profile of the last time."""

    __slots__ = ()
    fields = ("id", "google_id", "email", "name", "avatar_url", "created_at", "last_login_at")

    id: str = column(0)
    google_id: str = column(1)
    email: str = column(2)
    name: str = column(3)
    avatar_url: str | None = column(4)
    created_at: datetime = moment(5)
    last_login_at: datetime = moment(6)


class _WithToken(Record):
    __slots__ = ()

    token: str = column(0)
    user_id: str = column(1)
    expires_at: datetime = moment(2)


class NewSession(_WithToken):
    """A session that has just begun.

    :ivar token: the secret to hand to the user, here and never again. Neither ``repr`` nor ``to_dict`` shows it.
    :ivar expires_at: when it ends unless it is used before.
    """

    __slots__ = ()
    fields = ("user_id", "expires_at")


class SignIn(_WithToken):
    """A sign-in: the user, and the session that it began.

    :ivar token: the secret to hand to the user, here and never again. Neither ``repr`` nor ``to_dict`` shows it.
    :ivar expires_at: when the session ends unless it is used before.
    :ivar is_new: whether the user was made by it.
    """

    __slots__ = ()
    fields = ("user", "is_new", "expires_at")

    is_new: bool = column(3)

    @property
    def user(self) -> User:
        """The user, with the profile just given."""
        return User.of(self[4:])

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, the user as a dictionary of its own; without the token."""
        return {**super().to_dict(), "user": self.user.to_dict()}


class ReferralKey(Record):
    """An invitation for one new user. The key itself was shown when it was made.

    :ivar prefix: the first four characters of the key.
    :ivar used_by: ``None`` too where its user was deleted; :attr:`is_used` stays true.
    """

    __slots__ = ()
    fields = ("id", "prefix", "created_by", "used_by", "created_at", "used_at", "is_used")

    id: str = column(0)
    prefix: str = column(1)
    created_by: str | None = column(2)
    used_by: str | None = column(3)
    created_at: datetime = moment(4)
    used_at: datetime | None = moment(5)

    @property
    def is_used(self) -> bool:
        """Whether somebody signed up with it, ever."""
        return self[5] is not None


class Dataset(Record):
    """A data file that a conversation works with.

    :ivar status: ``loading``, ``ready`` or ``error``.
    :ivar schema: the columns, as they were given; a new list each time.
    :ivar loaded_at: when it was ready last; ``None`` for never.
    """

    __slots__ = ()
    fields = (
        "id",
        "conversation_id",
        "url",
        "name",
        "row_count",
        "column_count",
        "schema",
        "status",
        "error_message",
        "created_at",
        "loaded_at",
    )

    id: str = column(0)
    conversation_id: str = column(1)
    url: str = column(2)
    name: str = column(3)
    row_count: int = column(4)
    column_count: int = column(5)
    status: str = column(7)
    error_message: str | None = column(8)
    created_at: datetime = moment(9)
    loaded_at: datetime | None = moment(10)

    @property
    def schema(self) -> list[Any]:
        """The columns, as they were given."""
        return stored_json(self[6], list)


class TokenUsage(Record):
    """The tokens of one answer.

    :ivar conversation_id: ``None`` where there was none, or it was deleted since.
    :ivar cost: in the currency of the price table; 0 where there was none.
    """

    __slots__ = ()
    fields = (
        "id",
        "user_id",
        "conversation_id",
        "model_name",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cost",
        "timestamp",
    )

    id: str = column(0)
    user_id: str = column(1)
    conversation_id: str | None = column(2)
    model_name: str = column(3)
    input_tokens: int = column(4)
    output_tokens: int = column(5)
    cost: float = column(6)
    timestamp: datetime = moment(7)

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        total: int = self[4] + self[5]
        return total


class UsageTotal(Record):
    """A sum over recorded usage.

    :ivar key: the user id, model name, day (``YYYY-MM-DD``, UTC) or conversation id that was summed over; ``None`` for
        a total of everything, and for usage without a conversation.
    :ivar calls: how many records.
    """

    __slots__ = ()
    fields = ("key", "calls", "input_tokens", "output_tokens", "total_tokens", "cost")

    key: str | None = column(0)
    calls: int = column(1)
    input_tokens: int = column(2)
    output_tokens: int = column(3)
    cost: float = column(4)

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        total: int = self[2] + self[3]
        return total


class RateLimitStatus(Record):
    """Where a user stands in the rolling window.

    :ivar allowed: whether any token is left.
    :ivar usage_percent: of the limit; more than 100 where usage was recorded past it.
    :ivar remaining_tokens: 0 or more.
    :ivar resets_in_seconds: until the oldest usage leaves the window; ``None`` while :attr:`allowed`.
    :ivar warning: whether usage has reached the percentage from which to warn.
    """

    __slots__ = ()
    fields = (
        "allowed",
        "usage_tokens",
        "limit_tokens",
        "usage_percent",
        "remaining_tokens",
        "resets_in_seconds",
        "warning",
    )

    allowed: bool = column(0)
    usage_tokens: int = column(1)
    limit_tokens: int = column(2)
    usage_percent: float = column(3)
    remaining_tokens: int = column(4)
    resets_in_seconds: float | None = column(5)
    warning: bool = column(6)
