"""Tokens: how many on each day, by which user, with which model, and what the limit leaves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..account_records import RateLimitStatus, UsageTotal, User
from . import charts, people
from .page import Look, Values

_PERIODS = (7, 30, 90, 365)
_MOST = 20  # users and models that are shown
_LIMIT_IN_SIGHT = 4  # times the largest day: a limit far above would make bars of nothing


class UserRow(NamedTuple):
    """A user's part."""

    user: User | None
    total: UsageTotal
    status: RateLimitStatus | None


def usage(look: Look) -> Values:
    """Gather the sums of a period, and where each user stands today."""
    days = look.query.whole("days", 30, 1, 366)
    user_id, model = look.query.text("user_id"), look.query.text("model")
    since = look.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    given: dict[str, Any] = {"user_id": user_id, "model_name": model, "since": since}
    by_user = look.usage.totals("user", **given)
    by_model = look.usage.totals("model", **given)
    users = [_user_row(look, total) for total in by_user[:_MOST]]
    limit = _limit(look, users)
    return {
        "days": days,
        "periods": sorted({*_PERIODS, days}),
        "given": {"user_id": user_id, "model": model},
        "total": look.usage.total(**given),
        "user_count": len(by_user),
        "daily": _daily(look.usage.totals("day", **given), since, days, limit if user_id else None),
        "users_shown": users,
        "models": by_model[:_MOST],
        "model_rows": charts.rows(
            ((total.key or "", total.total_tokens) for total in by_model[:_MOST]),
            max((total.total_tokens for total in by_model), default=0),
        ),
        "limit": limit,
        **people.to_choose_from(look.project),
    }


def _user_row(look: Look, total: UsageTotal) -> UserRow:
    user = look.project.accounts.find(total.key) if total.key else None
    return UserRow(user, total, look.usage.status(user.id) if user else None)


def _limit(look: Look, users: list[UserRow]) -> int | None:
    """Return the budget of a user in a day; the service says it only for a user."""
    found = [row.status.limit_tokens for row in users if row.status is not None]
    return found[0] if found else look.limit_tokens


def _daily(totals: list[UsageTotal], since: datetime, days: int, limit: int | None) -> Values:
    """Return the chart of the days; those without usage are there too."""
    by_day = {total.key: total for total in totals}
    labels = [f"{since + timedelta(days=place):%Y-%m-%d}" for place in range(days)]
    values = [(by_day[day].input_tokens, by_day[day].output_tokens) if day in by_day else (0, 0) for day in labels]
    largest = max(map(sum, values), default=0)
    is_limit_shown = limit is not None and limit <= _LIMIT_IN_SIGHT * largest
    scale = charts.scale_for(max(largest, limit or 0) if is_limit_shown else largest)
    return {
        "columns": charts.columns(labels, values, scale.top),
        "scale": scale,
        "largest": largest,
        "limit_at": round(100 - 100 * (limit or 0) / scale.top, 3) if is_limit_shown else None,
        "labelled": sorted({0, days // 2, days - 1}),
        "totals": totals,
    }
