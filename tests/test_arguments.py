"""Each check returns what is stored, or names the argument and what is allowed."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from peewee_conv import arguments
from peewee_conv.errors import InvalidArgument


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: arguments.whole("limit", 0, 1, 9), "invalid limit 0: expected a whole number from 1 to 9"),
        (
            lambda: arguments.text("name", "abc", 2),
            "invalid name 'abc': expected a text of at most 2 characters without NUL",
        ),
        (lambda: arguments.text("name", " \u2003", 9, may_be_blank=False), "expected a text that is not blank"),
        (lambda: arguments.text("name", "\ud800", 9), "expected text that UTF-8 can hold"),
        (lambda: arguments.any_of("pin", "x", ("a", "b")), "invalid pin 'x': expected any of 'a', 'b'"),
        (lambda: arguments.marks(("a",)), "invalid marks ('a',): expected two texts"),  # type: ignore[arg-type]
        (
            lambda: arguments.json_object("metadata", 5),
            "invalid metadata 5: expected a mapping with string keys, on every level, and JSON values",
        ),
        (
            lambda: arguments.role("robot"),
            "invalid role 'robot': expected one of system, user, assistant, tool, developer",
        ),
        (
            lambda: arguments.content("aaa", 2),
            "invalid content (it is too large): expected at most 2 bytes of UTF-8",
        ),
    ],
)
def test_an_error_says_what_is_allowed(call: Any, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()

    assert text in str(caught.value)


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, 1 + 0j])
def test_whole_numbers_are_int_alone(value: Any) -> None:
    with pytest.raises(InvalidArgument):
        arguments.whole("n", value, 0, 9)


@pytest.mark.parametrize("value", [0, 5, 9])
def test_whole_numbers_include_their_bounds(value: int) -> None:
    assert arguments.whole("n", value, 0, 9) == value


@pytest.mark.parametrize(("value", "text"), [(None, "{}"), ({}, "{}"), ({"ä": [1, None]}, '{"ä":[1,null]}')])
def test_metadata_is_compact_json(value: Any, text: str) -> None:
    assert arguments.json_object("metadata", value) == text


@pytest.mark.parametrize(("value", "text"), [(None, None), ({}, None), ({"a": 1}, '{"a":1}')])
def test_empty_metadata_of_a_message_is_not_stored(value: Any, text: str | None) -> None:
    assert arguments.optional_json_object("metadata", value) == text


def test_a_nul_in_metadata_is_escaped() -> None:
    stored = arguments.json_object("metadata", {"a\0": "\0"})

    assert "\0" not in stored
    assert json.loads(stored) == {"a\0": "\0"}


@pytest.mark.parametrize(
    ("value", "found"), [("a", {"a"}), (["a", "b", "a"], {"a", "b"}), ((), set()), ({"b": 1}, {"b"})]
)
def test_any_of_takes_one_or_several(value: Any, found: set[str]) -> None:
    assert arguments.any_of("pin", value, ("a", "b")) == found


@pytest.mark.parametrize("value", [None, 5, [["a"]], [None], "ab", {"c": 1}], ids=repr)
def test_any_of_refuses_the_rest(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid pin"):
        arguments.any_of("pin", value, ("a", "b"))


def test_a_long_value_is_shortened_in_the_error() -> None:
    with pytest.raises(InvalidArgument) as caught:
        arguments.text("name", "a" * 100_000, 9)

    assert len(str(caught.value)) < 200


def test_unset_says_its_name() -> None:
    assert repr(arguments.UNSET) == "UNSET"


def test_nothing_here_is_half_an_instance() -> None:
    assert isinstance(pickle.loads(pickle.dumps(arguments.UNSET)), arguments.Unset)
