"""Which messages a model sees: pure rules over rows, without a database.

>>> newest_first = [(4, "tool", 5), (3, "assistant", 5), (2, "user", 5), (1, "user", 5)]
>>> [row[0] for row in suffix(newest_first, 10, tokens=lambda row: row[2], role=lambda row: row[1])]
[3, 4]
>>> suffix(newest_first, 9, tokens=lambda row: row[2], role=lambda row: row[1])
[]
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from . import arguments
from .errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, TypeVar

    from .records import Message

    Row = TypeVar("Row")
    Method = TypeVar("Method", bound=Callable[..., Any])

#: What can be kept in a window whatever its age.
PINS: Final = ("system", "developer", "instructions")


class CounterFailed(Exception):
    """Internal: carries what a caller's callable raised past those who would take it for a fault of the database."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text that nobody counted: one for each four characters, rounded up."""
    return (len(text) + 3) // 4


def tokens_of(message: Message) -> int:
    """Return the tokens of a message by the rule of :func:`counter`: the stored count, or an estimate."""
    return estimate_tokens(message.content) if message.token_count is None else message.token_count


def counter(count_tokens: Callable[[str], int] | None) -> Callable[[Any], int]:
    """Return what counts the tokens of a stored message: its stored count, or the caller's callable."""
    if count_tokens is None:
        # Not "is None": a damaged file may hold a text in its place.
        return lambda row: row[3] if type(row[3]) is int else estimate_tokens(row[2])
    if not callable(count_tokens):
        raise InvalidArgument("count_tokens", count_tokens, "a callable from text to a number of tokens")

    def count(row: Any) -> int:
        try:
            answer = count_tokens(row[2])
        except Exception as error:
            raise CounterFailed(error) from error
        return arguments.whole("answer of count_tokens", answer, 0, arguments.MAX_TOKENS)

    return count


def lets_through(method: Method) -> Method:
    """Have *method*, which reads with a :func:`counter`, raise the very error that the caller's callable raised."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except CounterFailed as failed:
            error = failed.error
        raise error

    return call  # type: ignore[return-value]


def suffix(
    newest_first: Iterable[Row],
    max_tokens: int | None,
    *,
    tokens: Callable[[Row], int],
    role: Callable[[Row], str],
) -> list[Row]:
    """Return the newest rows that fit into *max_tokens*, oldest first.

    Rows are taken from the newest on until one does not fit; what is older is not even read. A tool's result without
    the call before it, the assistant's, would be refused by every provider: the window has both or neither.
    """
    kept = list(newest_first) if max_tokens is None else _fitting(newest_first, max_tokens, tokens)
    return oldest_first(kept, role=role)


def oldest_first(newest_first: list[Row], *, role: Callable[[Row], str]) -> list[Row]:
    """Turn rows around, in place, without the oldest ones if those are results whose call is not among them."""
    del newest_first[_without_calls(newest_first, role) :]
    newest_first.reverse()
    return newest_first


def _without_calls(newest_first: list[Row], role: Callable[[Row], str]) -> int:
    """Return where the rows begin, newest first, that end with the last result whose call is not among them."""
    border = len(newest_first)
    if "tool" not in map(role, newest_first):  # which runs in C, and is so of most conversations
        return border
    for place in range(border - 1, -1, -1):
        found = role(newest_first[place])
        if found == "assistant":
            break
        if found == "tool":
            border = place
    return border


def _fitting(rows: Iterable[Row], room: int, tokens: Callable[[Row], int]) -> list[Row]:
    kept = []
    for row in rows:
        room -= tokens(row)
        if room < 0:
            break
        kept.append(row)
    return kept
