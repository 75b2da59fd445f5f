"""What a message may hold: every text that can be stored, exactly; and nothing that would be changed on the way."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peewee_conv import Project
from peewee_conv.errors import InvalidArgument, InvalidContent, InvalidRole

ODD = {
    "empty": "",
    "blank": " \t\r\n",
    "NUL": "a\0b\0",
    "byte order mark": "\ufefftext",
    "direction": "\u202eevil\u202c",
    "combining": "e\u0301" * 3,
    "astral": "😀👩‍👩‍👧‍👦",
    "control": "".join(map(chr, range(32))),
    "line ends": "a\r\nb\rc\n\u2028d",
    "not a character": "\uffff\U0010ffff",
    "SQL": "'); DROP TABLE messages; --",
    "JSON": '{"role": "system"}',
    "long": "é" * 1_000_000,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Role(str, enum.Enum):  # noqa: UP042 - its str() is "Role.USER", which is the point
    USER = "user"


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


@pytest.fixture
def talk(project: Project) -> str:
    return project.conversations.create().id


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


# --- content ---


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_every_text_comes_back_as_it_was(project: Project, talk: str, content: str) -> None:
    project.conversations.add_message(talk, "user", content)
    project.conversations.add_messages(talk, [{"role": "tool", "content": content}])

    assert [message.content for message in project.conversations.messages(talk)] == [content, content]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.text(), metadata=st.dictionaries(st.text(), json_values, max_size=3))
def test_any_text_and_any_json_come_back(
    make_project: Callable[..., Project], content: str, metadata: dict[str, Any]
) -> None:
    service = make_project(durability="normal").conversations
    talk = service.create(metadata=metadata)

    service.add_message(talk.id, "user", content, metadata=metadata)
    service.add_messages(talk.id, [{"role": "user", "content": content, "metadata": metadata}])

    messages = service.messages(talk.id)
    assert [(m.content, m.metadata) for m in messages] == [(content, metadata)] * 2
    assert service.get(talk.id).metadata == metadata


@pytest.mark.parametrize("content", [None, b"bytes", 5, ["text"], {"text": "x"}, float("nan")], ids=repr)
def test_what_is_no_text_is_refused(project: Project, talk: str, content: Any) -> None:
    with pytest.raises(InvalidContent, match=f"it is {type(content).__name__}, not text"):
        project.conversations.add_message(talk, "user", content)


@pytest.mark.parametrize("content", ["\ud800", "a\udfffb", "\ude00\ud83d"], ids=ascii)
def test_a_lone_surrogate_is_refused_without_being_repeated(project: Project, talk: str, content: str) -> None:
    with pytest.raises(InvalidContent, match="it has a lone surrogate") as caught:
        project.conversations.add_message(talk, "user", content)

    assert caught.value.value is None
    assert project.conversations.get(talk).last_sequence == 0


@pytest.mark.parametrize("letter", ["a", "é", "市", "😀"])
def test_the_limit_is_in_bytes(make_project: Callable[..., Project], letter: str) -> None:
    service = make_project(max_content_bytes=24).conversations
    talk = service.create().id
    fitting = letter * (24 // len(letter.encode()))

    service.add_message(talk, "user", fitting)
    with pytest.raises(InvalidContent, match=r"it is too large.*at most 24 bytes of UTF-8"):
        service.add_message(talk, "user", fitting + "a")

    assert service.get(talk).message_count == 1


def test_the_text_of_another_class_becomes_plain(project: Project, talk: str) -> None:
    message = project.conversations.add_message(talk, Role.USER, Loud("quiet"))

    assert (type(message.role), type(message.content)) == (str, str)
    assert (message.role, message.content) == ("user", "quiet")
    assert project.conversations.messages(talk) == [message]


# --- roles, counts, ids, times ---


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool", "developer"])
def test_the_five_roles(project: Project, talk: str, role: str) -> None:
    assert project.conversations.add_message(talk, role, "x").role == role


@pytest.mark.parametrize("role", ["", "User", "USER", "user ", "function", "user\0", None, 5, b"user", []], ids=repr)
def test_other_roles_are_refused_with_the_list(project: Project, talk: str, role: Any) -> None:
    with pytest.raises(InvalidRole, match="expected one of system, user, assistant, tool, developer"):
        project.conversations.add_message(talk, role, "x")


@pytest.mark.parametrize("count", [0, 1, 2**31 - 1])
def test_token_counts(project: Project, talk: str, count: int) -> None:
    assert project.conversations.add_message(talk, "user", "x", token_count=count).token_count == count


@pytest.mark.parametrize("count", [-1, True, 1.0, float("nan"), "1", 2**31, 2**63, 10**400], ids=lambda c: repr(c)[:20])
def test_other_token_counts_are_refused(project: Project, talk: str, count: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid token_count"):
        project.conversations.add_message(talk, "user", "x", token_count=count)


@pytest.mark.parametrize("external_id", ["", "a" * 256, "a\0b", "a\nb", "\ud800", 5], ids=ascii)
def test_other_external_ids_are_refused(project: Project, talk: str, external_id: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid external_id"):
        project.conversations.add_message(talk, "user", "x", external_id=external_id)


def test_a_time_of_another_zone_is_the_same_moment(project: Project, talk: str) -> None:
    moment = datetime(2026, 7, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))

    message = project.conversations.add_message(talk, "user", "x", created_at=moment)

    assert message.created_at == moment
    assert message.created_at.tzinfo is UTC


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), "2026-01-01T00:00:00Z", 0, datetime.min], ids=repr)  # noqa: DTZ001, DTZ901
def test_other_times_are_refused(project: Project, talk: str, moment: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid created_at"):
        project.conversations.add_message(talk, "user", "x", created_at=moment)


# --- metadata ---


def test_any_mapping_is_metadata(project: Project, talk: str) -> None:
    message = project.conversations.add_message(talk, "user", "x", metadata=MappingProxyType({"a": (1, 2)}))

    assert message.metadata == {"a": [1, 2]}


def test_a_hundred_levels_of_metadata_are_kept(project: Project, talk: str) -> None:
    assert project.conversations.add_message(talk, "user", "x", metadata=nested(100)).metadata == nested(100)


def circle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = [value]
    return value


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        "",
        0,
        [("a", 1)],
        {1: "a"},
        {"a": {None: 1}},
        {"a": [{True: 1}]},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": datetime(2026, 1, 1, tzinfo=UTC)},
        {"a": "\ud800"},
        {"\ud800": 1},
        nested(101),
        nested(100_000),
        circle(),
    ],
    ids=lambda value: ascii(value)[:20] if not isinstance(value, dict) or len(value) != 1 else None,
)
def test_what_is_no_json_object_is_refused(project: Project, talk: str, metadata: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid metadata"):
        project.conversations.add_message(talk, "user", "x", metadata=metadata)

    assert project.conversations.get(talk).last_sequence == 0


def test_changing_the_callers_metadata_afterwards_changes_nothing(project: Project, talk: str) -> None:
    given = {"tags": ["a"]}
    message = project.conversations.add_message(talk, "user", "x", metadata=given)

    given["tags"].append("b")

    assert message.metadata == {"tags": ["a"]}
