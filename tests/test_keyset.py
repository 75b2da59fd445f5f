"""Positions of pages: what a page gives out it takes back, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peewee_conv import keyset
from peewee_conv.clock import now_text
from peewee_conv.errors import InvalidArgument, PeeweeConvError

keys = st.integers(1, 2**31 - 1) | st.text(min_size=1)


@settings(deadline=None)
@given(time=st.text(), key=keys)
def test_what_a_page_gives_out_it_takes_back(time: str, key: Any) -> None:
    page = keyset.page(["a", "b"], 1, lambda last: (time, key))

    assert keyset.parse(page.next) == (time, key)


def test_no_position_is_before_everything() -> None:
    assert keyset.parse(None)[0] > now_text()


@settings(deadline=None)
@given(rows=st.lists(st.integers(), max_size=6), limit=st.integers(1, 6))
def test_one_row_too_many_says_that_there_is_a_page_more(rows: list[int], limit: int) -> None:
    page = keyset.page(rows[: limit + 1], limit, lambda last: ("t", last))

    assert page == rows[:limit]
    assert (page.next is not None) == (len(rows) > limit)


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "5",
        "null",
        "[]",
        '["t"]',
        '["t", 1, 2]',
        "[1, 1]",
        '["t", 1.5]',
        '["t", true]',
        '["t", null]',
        '["t", [1]]',
        '["t", NaN]',
        '["t", 9223372036854775808]',
        '["t", ' + "9" * 5000 + "]",
        '["\\ud800", 1]',
        '["t", "\\udfff"]',
        "[" * 100_000,
        5,
        ["t", 1],
        ("t", 1),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_no_page_gave_out_is_refused(after: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected the 'next' of a page"):
        keyset.parse(after)


@settings(deadline=None)
@given(after=st.text())
def test_any_text_is_a_position_or_refused(after: str) -> None:
    try:
        time, _ = keyset.parse(after)
    except PeeweeConvError as error:
        assert isinstance(error, InvalidArgument)  # noqa: PT017
    else:
        assert isinstance(time, str)
