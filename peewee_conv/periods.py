"""Arithmetic on times as they are stored, exact to the microsecond.

>>> shifted("2026-01-02T00:00:00.000000Z", -0.000001)
'2026-01-01T23:59:59.999999Z'
>>> seconds_between("2026-01-02T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z")
86400.0
"""

from __future__ import annotations

from datetime import timedelta

from .clock import from_text, to_text

_FIRST, _LAST = "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"


def shifted(text: str, seconds: float) -> str:
    """Return the time *seconds* later, or earlier; at most the first or last there is."""
    try:
        return to_text(from_text(text) + timedelta(seconds=seconds))
    except OverflowError:
        return _FIRST if seconds < 0 else _LAST


def seconds_between(later: str, earlier: str) -> float:
    """Return how many seconds *later* is after *earlier*; negative if it is before."""
    return (from_text(later) - from_text(earlier)).total_seconds()
