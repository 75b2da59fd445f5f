"""Token usage: what users spent, on what, at what cost, and how much a rolling window leaves them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from .. import arguments, rate_limits
from ..account_records import RateLimitStatus, TokenUsage, UsageTotal
from ..database.handle import Handle
from ..errors import ConversationNotFound, InvalidArgument, RateLimited, UserNotFound
from ..ids import check_id, new_id
from ..rate_limits import Prices, RateLimit

By = Literal["user", "model", "day", "conversation"]
Row = tuple[Any, ...]

MAX_TOKENS = 10**12  # of one record: the sum of millions of them stays in 64 bits
_MAX_LIMIT = 2**53  # exact in JSON and JavaScript
_MAX_WINDOW = 366 * 86_400
_KEYS = {
    "user": "user_id",
    "model": "model_name",
    "day": "substr(timestamp, 1, 10)",
    "conversation": "conversation_id",
}
_SUMS = "count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), total(cost)"

# A conversation of somebody else is as good as none.
_INSERT = (
    "INSERT INTO token_usage (id, user_id, conversation_id, model_name, input_tokens, output_tokens, cost, timestamp)"
    " SELECT ?, users.id, ?, ?, ?, ?, ?, ? FROM users WHERE users.id = ? AND (? IS NULL OR EXISTS ("
    "SELECT 1 FROM conversations WHERE conversations.id = ? AND (user_id IS NULL OR user_id = users.id)))"
)
_NEWEST = "SELECT max(timestamp) FROM token_usage WHERE user_id = ?"
_WINDOW = (
    "SELECT coalesce(sum(input_tokens + output_tokens), 0), min(timestamp) FROM token_usage"
    " WHERE user_id = ? AND timestamp > ?"
)
# The first moment whose departure, with all before it, leaves room enough.
_FREES_ENOUGH = (
    "SELECT min(timestamp) FROM (SELECT timestamp, sum(input_tokens + output_tokens) OVER (ORDER BY timestamp) AS freed"
    " FROM token_usage WHERE user_id = ? AND timestamp > ?) WHERE freed >= ?"
)


class Usage:
    """The token usage of a project, as ``project.usage``.

    >>> import tempfile
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
    ...     key = project.accounts.create_key()
    ...     profile = {"google_id": "g-1", "email": "ada@example.com", "name": "Ada"}
    ...     ada = project.accounts.sign_in(profile, referral_key=key).user
    ...     spent = project.usage.spend(ada.id, 900, 100, "gpt-5", prices={"gpt-5": (1.25, 10.0)})
    ...     spent.total_tokens, round(spent.cost, 6)
    ...     project.usage.status(ada.id).remaining_tokens
    ...     project.dispose()
    (1000, 0.002125)
    4999000
    True
    """

    def __init__(self, handle: Handle, limit: RateLimit | None = None) -> None:
        self._handle = handle
        self._now = handle.binding.settings.now
        self._limit = limit or RateLimit()

    def with_limit(
        self, limit_tokens: int = 5_000_000, *, window_seconds: int = 86_400, warning_percent: int = 80
    ) -> Usage:
        """Return the same service with another budget, for example that of a user's plan.

        :param limit_tokens: how many tokens a user may use within any window; 1 or more.
        :param window_seconds: the length of the window, 1 second to 366 days.
        :param warning_percent: from which share of the limit on to warn, 1 to 100.
        """
        arguments.whole("limit_tokens", limit_tokens, 1, _MAX_LIMIT)
        arguments.whole("window_seconds", window_seconds, 1, _MAX_WINDOW)
        arguments.whole("warning_percent", warning_percent, 1, 100)
        return Usage(self._handle, RateLimit(limit_tokens, window_seconds, warning_percent))

    def record(
        self,
        user_id: str,
        input_tokens: int,
        output_tokens: int,
        model_name: str,
        *,
        conversation_id: str | None = None,
        prices: Prices | None = None,
        timestamp: datetime | None = None,
    ) -> TokenUsage:
        """Store what an answer used, whether or not the budget had room for it.

        :param input_tokens: 0 to 10^12, as are the output tokens.
        :param conversation_id: where; the conversation is the user's own or nobody's.
        :param prices: model name to the price of a million tokens, input and output; the cost is 0 without.
        :param timestamp: an aware time that is not in the future; now otherwise.
        :raises UserNotFound: the user does not exist.
        :raises ConversationNotFound: the conversation does not exist, or is another user's.
        :raises InvalidArgument: an argument is not allowed, or the price table has no price for the model.
        """
        row = self._checked(user_id, input_tokens, output_tokens, model_name, conversation_id, prices)
        now = self._now()
        moment = arguments.moment("timestamp", timestamp, now)
        if moment > now:
            raise InvalidArgument("timestamp", timestamp, "a time that is not in the future")
        return TokenUsage.of(self._handle.write(_record, (*row, moment)))

    def spend(
        self,
        user_id: str,
        input_tokens: int,
        output_tokens: int,
        model_name: str,
        *,
        conversation_id: str | None = None,
        prices: Prices | None = None,
    ) -> TokenUsage:
        """Store what an answer uses if the budget has room for all of it: one transaction, which no one overruns.

        The arguments are those of :meth:`record`.

        :raises RateLimited: the budget has too little room; nothing is stored. ``retry_after`` says when it will have
            enough, as far as is known now; for more tokens than the whole limit that is never, and it says how long
            the window is.
        """
        row = self._checked(user_id, input_tokens, output_tokens, model_name, conversation_id, prices)
        return TokenUsage.of(self._handle.write(_spend, row, self._limit, self._now))

    def status(self, user_id: str) -> RateLimitStatus:
        """Return where a user stands in the window that ends now.

        Usage counts for exactly ``window_seconds``, to the microsecond.

        :raises UserNotFound: the user does not exist.
        """
        return self._handle.read_snapshot(_status, check_id("user_id", user_id), self._limit, self._now)

    def totals(
        self,
        by: By,
        *,
        user_id: str | None = None,
        conversation_id: str | None = None,
        model_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[UsageTotal]:
        """Return the sums for each user, model, day or conversation; days in their order, others the largest first.

        :param by: ``"user"``, ``"model"``, ``"day"`` (of UTC; days without usage are left out) or
            ``"conversation"`` (usage of deleted ones is kept, all under ``None``).
        :param since: only usage from this aware time on.
        :param until: only usage before it.
        """
        if not isinstance(by, str) or by not in _KEYS:
            raise InvalidArgument("by", by, "one of " + ", ".join(_KEYS))
        where, params = _conditions(user_id, conversation_id, model_name, since, until)
        order = "1" if by == "day" else "sum(input_tokens + output_tokens) DESC, 1"
        sql = f"SELECT {_KEYS[by]}, {_SUMS} FROM token_usage{where} GROUP BY 1 ORDER BY {order}"
        return UsageTotal.all_of(self._handle.read(_rows, sql, params))

    def total(
        self,
        *,
        user_id: str | None = None,
        conversation_id: str | None = None,
        model_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> UsageTotal:
        """Return one sum over everything that the filters let through; the arguments are those of :meth:`totals`."""
        where, params = _conditions(user_id, conversation_id, model_name, since, until)
        return UsageTotal.of(self._handle.read(_rows, f"SELECT NULL, {_SUMS} FROM token_usage{where}", params)[0])

    # --- what the verbs share ---

    def _checked(
        self,
        user_id: str,
        input_tokens: int,
        output_tokens: int,
        model_name: str,
        conversation_id: str | None,
        prices: Prices | None,
    ) -> Row:
        return (
            new_id(),
            check_id("user_id", user_id),
            None if conversation_id is None else check_id("conversation_id", conversation_id),
            arguments.text("model_name", model_name, 255, may_be_blank=False),
            arguments.whole("input_tokens", input_tokens, 0, MAX_TOKENS),
            arguments.whole("output_tokens", output_tokens, 0, MAX_TOKENS),
            rate_limits.cost(prices, model_name, input_tokens, output_tokens),
        )


def _conditions(
    user_id: str | None,
    conversation_id: str | None,
    model_name: str | None,
    since: datetime | None,
    until: datetime | None,
) -> tuple[str, Row]:
    given: dict[str, Any] = {}
    if user_id is not None:
        given["user_id = ?"] = check_id("user_id", user_id)
    if conversation_id is not None:
        given["conversation_id = ?"] = check_id("conversation_id", conversation_id)
    if model_name is not None:
        given["model_name = ?"] = arguments.text("model_name", model_name, 255)
    if since is not None:
        given["timestamp >= ?"] = arguments.moment("since", since, "")
    if until is not None:
        given["timestamp < ?"] = arguments.moment("until", until, "")
    return (" WHERE " + " AND ".join(given) if given else ""), tuple(given.values())


def _rows(connection: sqlite3.Connection, sql: str, params: Row) -> list[Any]:
    return connection.execute(sql, params).fetchall()


def _record(connection: sqlite3.Connection, row: Row) -> Row:
    id, user_id, conversation_id, *others = row
    params = (id, conversation_id, *others, user_id, conversation_id, conversation_id)
    if connection.execute(_INSERT, params).rowcount != 1:
        _check_user(connection, user_id)
        raise ConversationNotFound(conversation_id)
    return row


def _check_user(connection: sqlite3.Connection, user_id: str) -> None:
    if connection.execute("SELECT 1 FROM users WHERE id = ?", (user_id,)).fetchone() is None:
        raise UserNotFound(user_id)


def _window_end(connection: sqlite3.Connection, user_id: str, now: str) -> str:
    """Return the end of the window: now, or the newest usage where the clock was set back since.

    So the window keeps its length, and a clock that is set back forgets nothing that was just used.
    """
    newest = connection.execute(_NEWEST, (user_id,)).fetchone()[0]
    return now if newest is None else max(now, newest)


def _spend(connection: sqlite3.Connection, row: Row, limit: RateLimit, clock: Callable[[], str]) -> Row:
    now = clock()  # here, behind the lock: whoever waited for it does not bring an old time along
    end = _window_end(connection, row[1], now)
    start = rate_limits.window_start(limit, end)
    used, _ = connection.execute(_WINDOW, (row[1], start)).fetchone()
    excess = used + row[4] + row[5] - limit.limit_tokens
    if excess > 0:
        freeing = connection.execute(_FREES_ENOUGH, (row[1], start, excess)).fetchone()[0]
        wait = float(limit.window_seconds) if freeing is None else rate_limits.leaves_in(limit, freeing, end)
        raise RateLimited(limit.limit_tokens, used, wait)
    return _record(connection, (*row, now))


def _status(
    connection: sqlite3.Connection, user_id: str, limit: RateLimit, clock: Callable[[], str]
) -> RateLimitStatus:
    _check_user(connection, user_id)
    end = _window_end(connection, user_id, clock())
    used, oldest = connection.execute(_WINDOW, (user_id, rate_limits.window_start(limit, end))).fetchone()
    return rate_limits.figures(limit, used, oldest, end)
