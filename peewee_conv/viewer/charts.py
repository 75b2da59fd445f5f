"""Geometry of the charts: plain numbers in, percentages of the drawing out; the template draws them.

Everything is in percent of the drawing's width and height, so that a chart fits any screen and its labels keep their
size.

>>> scale_for(830)
Scale(top=1000, ticks=(0, 500, 1000))
>>> [bar.parts[0].height for bar in columns(["Mon", "Tue"], [(50,), (100,)], 100)]
[50.0, 100.0]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_GAP = 0.24  # of a column's room
_ROUND = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
_DAY = 24 * 60  # minutes


class Scale(NamedTuple):
    """The values of an axis: its end, and where lines cross the chart."""

    top: int
    ticks: tuple[int, ...]


class Block(NamedTuple):
    """One rectangle."""

    x: float
    y: float
    width: float
    height: float
    value: int


class Column(NamedTuple):
    """One upright bar of one or more blocks, the first at its foot."""

    label: str
    centre: float
    parts: tuple[Block, ...]


class Row(NamedTuple):
    """One bar that lies; *share* is its length."""

    label: str
    value: int
    share: float


class Stretch(NamedTuple):
    """A part of one day, in percent of the day."""

    day: int
    start: float
    width: float


def scale_for(largest: float) -> Scale:
    """Return the smallest round scale that *largest* fits into."""
    if largest <= 0:
        return Scale(1, (0, 1))
    size = 10 ** math.floor(math.log10(largest))
    top = next(math.ceil(size * factor) for factor in _ROUND if size * factor >= largest)
    return Scale(top, (0, top // 2, top) if top % 2 == 0 else (0, top))


def columns(labels: Sequence[str], values: Sequence[Sequence[int]], top: float) -> list[Column]:
    """Return one bar for each label, of the blocks that its values ask for."""
    room = 100 / max(len(labels), 1)
    found = []
    for place, (label, parts) in enumerate(zip(labels, values, strict=True)):
        x, width = (place + _GAP / 2) * room, (1 - _GAP) * room
        found.append(Column(label, (place + 0.5) * room, tuple(_stacked(parts, x, width, top))))
    return found


def _stacked(values: Iterable[int], x: float, width: float, top: float) -> Iterable[Block]:
    below = 0.0
    for value in values:
        height = 100 * value / top
        yield Block(round(x, 3), round(100 - below - height, 3), round(width, 3), round(height, 3), value)
        below += height


def rows(pairs: Iterable[tuple[str, int]], top: float) -> list[Row]:
    """Return one lying bar for each pair; what is more than *top* fills the whole width."""
    return [Row(label, value, round(min(100.0, 100 * value / top), 3) if top else 0.0) for label, value in pairs]


def week(start_minute: int, duration_minutes: int, days_of_week: int) -> list[Stretch]:
    """Return where in a week a schedule is active, cut at midnight; what crosses Sunday's goes on with Monday.

    >>> week(23 * 60, 120, 0b1)
    [Stretch(day=0, start=95.833, width=4.167), Stretch(day=1, start=0.0, width=4.167)]
    """
    found = []
    for day in range(7):
        if days_of_week >> day & 1:
            today = min(duration_minutes, _DAY - start_minute)
            found.append(_stretch(day, start_minute, today))
            if duration_minutes > today:
                found.append(_stretch((day + 1) % 7, 0, duration_minutes - today))
    return found


def _stretch(day: int, start: int, minutes: int) -> Stretch:
    return Stretch(day, round(100 * start / _DAY, 3), round(100 * minutes / _DAY, 3))
