"""Pages by key: each page starts where the one before ended, so that its cost does not grow with its number."""

from __future__ import annotations

import json
from collections.abc import Callable

from .errors import InvalidArgument
from .records import Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

FIRST = ("~", "~")  # sorts after every stored time: a descending list starts here


def parse(after: str | None) -> tuple[str, Any]:
    """Return the position that ``Page.next`` stands for: a time and the tiebreak.

    :raises InvalidArgument: *after* was not made by a page of such a list.
    """
    if after is None:
        return FIRST
    try:
        time, key = json.loads(after)
        f"{time}{key}".encode()  # a lone surrogate
    except (TypeError, ValueError, RecursionError):
        raise InvalidArgument("after", after, "the 'next' of a page") from None
    if not isinstance(time, str) or not (isinstance(key, str) or (type(key) is int and abs(key) < 2**63)):
        raise InvalidArgument("after", after, "the 'next' of a page")
    return time, key


def parse_numbers(after: str | None) -> tuple[int, int]:
    """Return the position in an ascending list by two numbers.

    :raises InvalidArgument: *after* was not made by a page of such a list.
    """
    if after is None:
        return -(2**63), -(2**63)
    try:
        first, second = json.loads(after)
    except (TypeError, ValueError, RecursionError):
        raise InvalidArgument("after", after, "the 'next' of a page") from None
    if type(first) is not int or type(second) is not int:
        raise InvalidArgument("after", after, "the 'next' of a page")
    return first, second


def page(rows: list[T], limit: int, position: Callable[[T], tuple[Any, Any]]) -> Page[T]:
    """Return the first *limit* of *rows*; one row more says that another page follows."""
    if len(rows) <= limit:
        return Page(rows, None)
    kept = rows[:limit]
    return Page(kept, json.dumps(position(kept[-1])))
