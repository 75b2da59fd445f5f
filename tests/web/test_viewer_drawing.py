"""The arithmetic behind the pictures, and text as pages show it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peewee_conv.schedule_windows import week_minutes
from peewee_conv.viewer import charts, text

STYLES = Path(charts.__file__).parent / "static" / "viewer.css"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 24 * 60


@given(st.integers(1, 10**15))
def test_a_scale_holds_its_largest_value_and_is_not_much_larger(largest: int) -> None:
    scale = charts.scale_for(largest)

    assert largest <= scale.top <= 2 * largest
    assert scale.ticks[0] == 0
    assert scale.ticks[-1] == scale.top


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=60))
def test_bars_stand_on_the_floor_and_stay_in_the_drawing(values: list[tuple[int, int]]) -> None:
    top = charts.scale_for(max(map(sum, values))).top

    columns = charts.columns([str(at) for at in range(len(values))], values, top)

    for column in columns:
        first, second = column.parts
        assert first.y + first.height == pytest.approx(100, abs=0.01)
        assert second.y + second.height == pytest.approx(first.y, abs=0.01)
        assert second.y >= -0.01
        assert 0 <= first.x <= first.x + first.width <= 100


@given(st.integers(0, DAY - 1), st.integers(1, DAY), st.integers(0, 127))
def test_the_week_shows_every_minute_of_a_schedule(start: int, duration: int, days: int) -> None:
    shown: set[int] = set()
    for stretch in charts.week(start, duration, days):
        first = stretch.day * DAY + round(stretch.start * DAY / 100)
        shown.update(range(first, first + round(stretch.width * DAY / 100)))

    assert shown == week_minutes([(f"{start // 60:02}:{start % 60:02}", duration, days)])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", [("text", "", "")]),
        ("plain", [("text", "plain", "")]),
        ("a\n```py\nx\n\ny\n```\nb", [("text", "a", ""), ("code", "x\n\ny", "py"), ("text", "b", "")]),
        ("```\nnever closed", [("code", "never closed", "")]),
        ("~~~\n```\n~~~", [("code", "```", "")]),
        ("say ``` inline", [("text", "say ``` inline", "")]),
        ("```a\n1\n```\n\n```b\n2\n```", [("code", "1", "a"), ("code", "2", "b")]),
    ],
)
def test_fenced_code_is_found(content: str, expected: list[tuple[str, str, str]]) -> None:
    assert list(text.parts(content)) == expected


@given(st.text(alphabet="`~ab\n ", max_size=200))
def test_no_word_of_a_content_is_lost(content: str) -> None:
    shown = "".join(part.text + part.language for part in text.parts(content))

    assert [shown.count(letter) for letter in "ab"] == [content.count(letter) for letter in "ab"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (7300, "2 h ago"),
        (90_000, "1 d ago"),
        (10**6, "2026-02-17"),
    ],
)
def test_times_of_the_list_are_rough(seconds: int, expected: str) -> None:
    assert text.ago(NOW - timedelta(seconds=seconds), NOW) == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0"), (999, "999"), (1000, "1 k"), (1_250_000, "1.2 M"), (999_999, "1 M"), (5e9, "5 G")]
)
def test_numbers_of_a_chart_are_short(count: float, expected: str) -> None:
    assert text.compact(count) == expected


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as ``#2a50c8``, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_bars_stand_out_from_what_is_behind_them_in_every_theme() -> None:
    styles = STYLES.read_text(encoding="utf-8")
    cards, inputs, outputs = (
        re.findall(rf"--{name}: (#[0-9a-f]{{6}});", styles) for name in ("card", "input", "output")
    )

    assert len(cards) == len(inputs) == len(outputs) == 3
    for card, *bars in zip(cards, inputs, outputs, strict=True):
        for bar in bars:
            dark, light = sorted([luminance(card), luminance(bar)])
            assert (light + 0.05) / (dark + 0.05) >= 3, (card, bar)
