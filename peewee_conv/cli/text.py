"""Text for a terminal: how many cells it takes, cut to fit, wrapped, and made harmless.

>>> cells("日本"), cells("né")
(4, 2)
>>> shorten("自転車のチェーン", 9)
'自転車の…'
>>> harmless("red \\x1b[31m")
'red \\\\x1b[31m'
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

ELLIPSIS = "…"
# What a terminal obeys rather than shows: control codes, and marks that turn the direction of the text around.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKS = re.compile(r"[\s\x1c-\x1f\x85\u2028\u2029]+")


def cells(text: str) -> int:
    """Return how many columns of a terminal *text* takes: two for wide characters, none for combining marks."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def harmless(text: str) -> str:
    """Return *text* with what would control the terminal spelled out; line breaks and tabs stay."""
    return _UNSAFE.sub(_spell, text.replace("\r\n", "\n"))


def _spell(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Return *text* on one line, harmless: each run of white space is one space."""
    return harmless(_BREAKS.sub(" ", text).strip())


def shorten(text: str, width: int) -> str:
    """Return *text* if it fits into *width* cells, else its beginning with an ellipsis."""
    if cells(text) <= width:
        return text
    return text[: _fitting(text, width - 1)].rstrip() + ELLIPSIS


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill *text* up to *width* cells with spaces, on the left where *right* aligns it there."""
    filling = " " * (width - cells(text))
    return filling + text if right else text + filling


def wrap(text: str, width: int | None) -> Iterator[str]:
    """Yield the lines of *text*, each of at most *width* cells; ``None`` keeps them as long as they are."""
    for line in text.expandtabs(4).split("\n"):
        rest = line
        while width is not None and cells(rest) > width:
            fitting = max(1, _fitting(rest, width))
            space = rest.rfind(" ", 1, fitting + 1)
            cut = space if space > 0 and rest[:space].strip() else fitting
            yield rest[:cut].rstrip()
            rest = rest[cut:].lstrip(" ")
        yield rest


def _fitting(text: str, width: int) -> int:
    """Return how many characters of *text* fit into *width* cells."""
    taken = 0
    for place, character in enumerate(text):
        taken += _cells_of(character)
        if taken > width:
            return place
    return len(text)


def size(count: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    amount, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = "B"
    while amount >= 1000 and (larger := next(units, None)):
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def plural(count: int, noun: str) -> str:
    """Return ``"1 message"``, ``"2 messages"``, ``"1,000 messages"``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
