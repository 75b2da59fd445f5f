"""Values as a page shows them.

>>> compact(1_234_567), compact(950)
('1.2 M', '950')
>>> [part.text for part in highlighted("a \\ue000night\\ue001 train")]
['a ', 'night', ' train']
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

#: Put around what a search found, and never seen: no keyboard has them. A content that has them loses them.
MARKS: Final = ("\ue000", "\ue001")
#: Characters of a content that a page shows; the whole of a longer one is a page of its own.
MAX_SHOWN: Final = 20_000

# Three or more of a kind, what stands behind them, and all up to as many or more again, or to the end.
_FENCE = re.compile(r"^((`|~)\2{2,})([^`\n]*)\n(.*?)(?:^\1\2*[ \t]*$\n?|\Z)", re.MULTILINE | re.DOTALL)


class Part(NamedTuple):
    """A piece of text, and how it is shown: ``text``, ``code`` or ``mark``."""

    kind: str
    text: str
    language: str = ""


def highlighted(snippet: str) -> Iterator[Part]:
    """Yield what a search found, and what is between, without the marks; the template escapes both."""
    for place, piece in enumerate(re.split(f"[{''.join(MARKS)}]", snippet)):
        if piece:
            yield Part("mark" if place % 2 else "text", piece)


def parts(content: str) -> Iterator[Part]:
    """Yield the pieces of a message: fenced code, and the text between."""
    end = 0
    for found in _FENCE.finditer(content):
        if content[end : found.start()].strip():
            yield Part("text", content[end : found.start()].strip("\n"))
        yield Part("code", found[4].rstrip("\n"), found[3].strip())
        end = found.end()
    if content[end:].strip() or not end:
        yield Part("text", content[end:].strip("\n"))


def compact(count: float) -> str:
    """Return a number in at most five characters."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size * 0.99995:  # what rounds up to one of the unit
            return f"{count / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{count:g}"


def number(count: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{count:,}"


def minute(moment: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago it was, roughly; the date where that is clearer."""
    seconds = (now - moment).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86_400:
        return f"{seconds // 3600:.0f} h ago"
    return f"{seconds // 86_400:.0f} d ago" if seconds < 7 * 86_400 else f"{moment.astimezone(UTC):%Y-%m-%d}"


def pretty(value: Any) -> str:
    """Return JSON for reading."""
    return json.dumps(value, ensure_ascii=False, indent=2)
