"""What a page is asked for, after the question mark of its address: checked, never trusted.

>>> Query({"after": "20", "q": "  night train "}).whole("after", 0, 0, 100)
20
>>> Query({"q": "  night train "}).text("q")
'night train'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import InvalidArgument

_MAX_DIGITS = 12


class Query:
    """The arguments of one request. What is empty counts as left out, as a form sends it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """Return a text, or ``None``."""
        return self._values.get(name, "").strip() or None

    def exact(self, name: str) -> str:
        """Return a text as it is; empty if left out."""
        return self._values.get(name, "")

    def optional_whole(self, name: str, low: int, high: int) -> int | None:
        """Return a whole number, or ``None``.

        :raises InvalidArgument: it is none, or out of range.
        """
        text = self.text(name)
        if text is None:
            return None
        is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        if not is_number or not low <= int(text) <= high:
            raise InvalidArgument(name, text, f"a whole number from {low} to {high}")
        return int(text)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number, *default* if left out."""
        found = self.optional_whole(name, low, high)
        return default if found is None else found

    def choice(self, name: str, allowed: Sequence[str], default: str = "") -> str:
        """Return one of *allowed*, *default* if left out.

        :raises InvalidArgument: it is none of them.
        """
        found = self.text(name)
        if found is not None and found not in allowed:
            raise InvalidArgument(name, found, "one of " + ", ".join(allowed))
        return found or default
