"""Text for a terminal takes the cells that it is said to take, and never controls the terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from peewee_conv.cli import text

ANY = st.text(max_size=40)


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("", 0),
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("日本", 4),
        ("\uff8a\uff9d", 2),
        ("\uff26", 2),
        ("🙂", 2),
        ("a\u200db", 2),
    ],
)
def test_wide_characters_take_two_cells_and_combining_marks_none(written: str, taken: int) -> None:
    assert text.cells(written) == taken


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("red \x1b[31m", "red \\x1b[31m"),
        ("bell\a null\0 del\x7f", "bell\\x07 null\\x00 del\\x7f"),
        ("c1 \x9b2J", "c1 \\x9b2J"),
        ("turn \u202e around", "turn \\u202e around"),
        ("alone \ud800", "alone \\ud800"),
        ("over\rwritten", "over\\x0dwritten"),
        ("kept\r\nlines\n\ttabs", "kept\nlines\n\ttabs"),
        ("naïve 日本 🙂 سلام", "naïve 日本 🙂 سلام"),
    ],
)
def test_what_controls_a_terminal_is_spelled_out(written: str, shown: str) -> None:
    assert text.harmless(written) == shown


@given(ANY)
def test_harmless_text_has_no_control_character_but_line_breaks_and_tabs(written: str) -> None:
    shown = text.harmless(written)

    assert {c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")} <= {"\n", "\t"}


@given(ANY)
def test_one_line_is_one_line(written: str) -> None:
    shown = text.one_line(written)

    assert len(shown.splitlines()) <= 1
    assert "\t" not in shown


@given(ANY, st.integers(1, 30))
def test_shortened_text_fits(written: str, width: int) -> None:
    assert text.cells(text.shorten(written, width)) <= width


@given(ANY, st.integers(1, 60))
def test_text_that_fits_is_not_shortened(written: str, width: int) -> None:
    assume(text.cells(written) <= width)

    assert text.shorten(written, width) == written


@given(st.text(alphabet="ab 日é", max_size=60), st.integers(2, 20))
def test_wrapped_lines_fit_and_keep_every_letter(written: str, width: int) -> None:
    lines = list(text.wrap(written, width))

    assert all(text.cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == written.replace(" ", "")


def test_lines_break_at_spaces_and_long_words_in_the_middle() -> None:
    assert list(text.wrap("one two three", 8)) == ["one two", "three"]
    assert list(text.wrap("自転車のチェーン", 6)) == ["自転車", "のチェ", "ーン"]
    assert list(text.wrap("  indented code stays", 12)) == ["  indented", "code stays"]


def test_without_a_width_lines_stay_as_they_are() -> None:
    assert list(text.wrap("a" * 500 + "\n\nb", None)) == ["a" * 500, "", "b"]


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (425_984, "426.0 kB"), (3 * 10**15, "3000.0 TB")]
)
def test_sizes_have_the_unit_that_suits_them(count: int, shown: str) -> None:
    assert text.size(count) == shown


def test_one_is_singular_and_thousands_are_separated() -> None:
    assert [text.plural(count, "row") for count in (0, 1, 1000)] == ["0 rows", "1 row", "1,000 rows"]
