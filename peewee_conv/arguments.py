"""Checks of what callers pass in. Each returns the value to store, or raises before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from .clock import to_text
from .errors import InvalidArgument, InvalidContent, InvalidRole

ROLES: Final = ("system", "user", "assistant", "tool", "developer")
MAX_TOKENS: Final = 2**53  # token counts stay exact in JSON and JavaScript, and sums of them in 64 bits


class Unset:
    """The default of an argument for which ``None`` is a value: "leave it as it is"."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


def role(value: object) -> str:
    """Return a role of a message."""
    if isinstance(value, str) and value in ROLES:
        return str(value)
    raise InvalidRole(value, ROLES)


def content(value: object, max_bytes: int) -> str:
    """Return the content of a message: any text that UTF-8 can hold, the empty one too."""
    if not isinstance(value, str):
        raise InvalidContent(f"it is {type(value).__name__}, not text", "a str")
    # A character has at most four bytes: only a long text needs to be encoded to know its size.
    if len(value) * 4 > max_bytes and len(_utf8(value)) > max_bytes:
        raise InvalidContent("it is too large", f"at most {max_bytes} bytes of UTF-8")
    if not value.isascii():
        _utf8(value)
    return value


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
    return value


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
    return None if value is None else whole(argument, value, 0, MAX_TOKENS)


def json_object(argument: str, value: object) -> str:
    """Return *value*, a mapping of JSON values, as JSON text. ``None`` is the empty object."""
    if value is None:
        return "{}"
    if not isinstance(value, Mapping):
        raise InvalidArgument(argument, value, "a mapping with string keys and JSON values")
    return _dump(argument, dict(value))


def optional_json_object(argument: str, value: object) -> str | None:
    """Return *value* as JSON text, or ``None`` where it is ``None`` or empty."""
    dumped = json_object(argument, value)
    return None if dumped == "{}" else dumped


def _dump(argument: str, value: dict[Any, Any]) -> str:
    if not all(isinstance(key, str) for key in value):
        raise InvalidArgument(argument, value, "a mapping with string keys and JSON values")
    try:
        dumped = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        dumped.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(argument, "...", f"JSON values only ({error})") from error
    return dumped


def moment(argument: str, value: datetime | None, now: str) -> str:
    """Return an aware time as stored text; *now* where it is ``None``."""
    return now if value is None else to_text(value, argument)
