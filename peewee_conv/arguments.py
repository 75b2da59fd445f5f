"""Checks of what callers pass in. Each returns the value to store, or raises before anything is written."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from .clock import to_text
from .errors import InvalidArgument, InvalidContent, InvalidRole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

ROLES: Final = ("system", "user", "assistant", "tool", "developer")
MAX_TOKENS: Final = 2**53  # of a limit: it stays exact in JSON and JavaScript
MAX_TOKEN_COUNT: Final = 2**31 - 1  # of a message: the sum over all that a conversation can hold stays in 64 bits
MAX_DEPTH: Final = 100  # of nested JSON: every supported Python, SQLite and JSON reader takes more

_ROLES: dict[str, str] = dict(zip(ROLES, ROLES, strict=True))


_JSON_OBJECT = "a mapping with string keys, on every level, and JSON values"


class Unset:
    """The default of an argument for which ``None`` is a value: "leave it as it is"."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


def role(value: object) -> str:
    """Return a role of a message."""
    # The plain text also for the member of an enumeration, whose str() may be something else.
    found = _ROLES.get(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidRole(value, ROLES)
    return found


def content(value: object, max_bytes: int) -> str:
    """Return the content of a message: any text that UTF-8 can hold, the empty one too."""
    if not isinstance(value, str):
        raise InvalidContent(f"it is {type(value).__name__}, not text", "a str")
    # A character has at most four bytes: only a long text needs to be encoded to know its size.
    if len(value) * 4 > max_bytes and len(_utf8(value)) > max_bytes:
        raise InvalidContent("it is too large", f"at most {max_bytes} bytes of UTF-8")
    if not value.isascii():
        _utf8(value)
    return value if type(value) is str else str.__str__(value)


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidContent("it has a lone surrogate", "text that UTF-8 can hold") from error


def text(argument: str, value: object, max_length: int, *, may_be_blank: bool = True) -> str:
    """Return a text of at most *max_length* characters."""
    if not isinstance(value, str) or len(value) > max_length or "\0" in value:
        raise InvalidArgument(argument, value, f"a text of at most {max_length} characters without NUL")
    if not may_be_blank and not value.strip():
        raise InvalidArgument(argument, value, "a text that is not blank")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(argument, value, "text that UTF-8 can hold") from error
    return str.__str__(value)


def optional_text(argument: str, value: object, max_length: int) -> str | None:
    """Return a text of at most *max_length* characters, or ``None``."""
    return None if value is None else text(argument, value, max_length)


def whole(argument: str, value: object, low: int, high: int) -> int:
    """Return a whole number from *low* to *high*; ``True`` and ``1.0`` are none."""
    if type(value) is not int or not low <= value <= high:
        raise InvalidArgument(argument, value, f"a whole number from {low} to {high}")
    return value


def token_count(value: object, argument: str = "token_count") -> int | None:
    """Return a number of tokens, or ``None`` for "not counted"."""
    return None if value is None else whole(argument, value, 0, MAX_TOKEN_COUNT)


def json_object(argument: str, value: object) -> str:
    """Return *value*, a mapping of JSON values, as JSON text. ``None`` is the empty object."""
    if value is None:
        return "{}"
    if not isinstance(value, Mapping):
        raise InvalidArgument(argument, value, _JSON_OBJECT)
    plain = dict(value)
    _check_keys(argument, plain, MAX_DEPTH)
    return _dump(argument, plain)


def optional_json_object(argument: str, value: object) -> str | None:
    """Return *value* as JSON text, or ``None`` where it is ``None`` or empty."""
    dumped = json_object(argument, value)
    return None if dumped == "{}" else dumped


def json_list(argument: str, value: object) -> str:
    """Return *value*, a list of JSON values, as JSON text."""
    if not isinstance(value, list):
        raise InvalidArgument(argument, value, "a list of JSON values")
    _check_keys(argument, value, MAX_DEPTH)
    return _dump(argument, value)


def _check_keys(argument: str, value: object, depth: int) -> None:
    """Refuse keys that ``json.dumps`` would turn into text without a word, and what may not be readable again."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InvalidArgument(argument, "...", _JSON_OBJECT)
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    if not depth:
        raise InvalidArgument(argument, "...", f"JSON values of at most {MAX_DEPTH} levels")
    for item in value:
        _check_keys(argument, item, depth - 1)


def _dump(argument: str, value: dict[str, Any] | list[Any]) -> str:
    try:
        dumped = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        dumped.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(argument, "...", f"JSON values only ({error})") from error
    return dumped


def items(argument: str, value: object, allowed: str) -> list[Any]:
    """Return what *value* iterates over; a text or bytes are refused, though they could be iterated over too."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidArgument(argument, value, allowed)
    return list(value)


def one_of(argument: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return the text *value* if it is one of *allowed*."""
    if not isinstance(value, str) or value not in allowed:
        raise InvalidArgument(argument, value, "one of " + ", ".join(map(repr, allowed)))
    return value


def any_of(argument: str, value: str | Collection[str], allowed: tuple[str, ...]) -> frozenset[str]:
    """Return the set of texts that *value* names: one or several of *allowed*."""
    try:
        given = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:  # nothing to iterate over
        given = ("",)
    found = frozenset(item if isinstance(item, str) else "" for item in given)
    if not found.issubset(allowed):
        raise InvalidArgument(argument, value, "any of " + ", ".join(map(repr, allowed)))
    return found


def marks(value: tuple[str, str]) -> tuple[str, str]:
    """Return the two texts that go before and after a found word."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InvalidArgument("marks", value, "two texts")
    return text("marks", value[0], 100), text("marks", value[1], 100)


def moment(argument: str, value: datetime | None, now: str) -> str:
    """Return an aware time as stored text; *now* where it is ``None``."""
    return now if value is None else to_text(value, argument)
