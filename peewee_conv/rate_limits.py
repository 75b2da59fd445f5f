"""Token budgets of a rolling window, and what tokens cost: no database here.

>>> limit = RateLimit(limit_tokens=1000)
>>> now = "2026-01-02T00:00:00.000000Z"
>>> figures(limit, 800, "2026-01-01T12:00:00.000000Z", now).warning
True
>>> cost({"gpt-5": (1.25, 10)}, "gpt-5", 1000, 500)
0.00625
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from .account_records import RateLimitStatus
from .errors import InvalidArgument
from .periods import seconds_between, shifted

#: What a million tokens cost, by model: input, output.
Prices: TypeAlias = Mapping[str, tuple[float, float]]

_MAX_PRICE = 1e9


class RateLimit(NamedTuple):
    """A budget of tokens.

    :param limit_tokens: how many tokens a user may use within any window.
    :param window_seconds: the length of the window.
    :param warning_percent: from which share of the limit on to warn.
    """

    limit_tokens: int = 5_000_000
    window_seconds: int = 86_400
    warning_percent: int = 80


def window_start(limit: RateLimit, now: str) -> str:
    """Return the moment after which usage counts at *now*; what was used at that very moment does not."""
    return shifted(now, -limit.window_seconds)


def leaves_in(limit: RateLimit, timestamp: str, now: str) -> float:
    """Return in how many seconds usage of *timestamp* leaves the window."""
    return seconds_between(shifted(timestamp, limit.window_seconds), now)


def figures(limit: RateLimit, used: int, oldest: str | None, now: str) -> RateLimitStatus:
    """Return the figures of a window.

    :param used: the tokens within it.
    :param oldest: when the first of them were used.
    """
    allowed = used < limit.limit_tokens
    return RateLimitStatus.of(
        (
            allowed,
            used,
            limit.limit_tokens,
            used * 100 / limit.limit_tokens,
            max(limit.limit_tokens - used, 0),
            None if allowed or oldest is None else leaves_in(limit, oldest, now),
            used * 100 >= limit.limit_tokens * limit.warning_percent,
        )
    )


def cost(prices: Prices | None, model_name: str, input_tokens: int, output_tokens: int) -> float:
    """Return what an answer costs; 0 without a price table.

    :raises InvalidArgument: the table has no price for the model, or one that is no price.
    """
    if prices is None:
        return 0.0
    if not isinstance(prices, Mapping) or model_name not in prices:
        raise InvalidArgument("prices", prices, f"a mapping with a price for the model {model_name!r}")
    price = prices[model_name]
    if not isinstance(price, (tuple, list)) or len(price) != 2 or not all(map(_is_price, price)):
        raise InvalidArgument(f"prices[{model_name!r}]", price, "two numbers from 0 to 1e9: per million tokens in, out")
    return (input_tokens * price[0] + output_tokens * price[1]) / 1_000_000


def _is_price(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MAX_PRICE
