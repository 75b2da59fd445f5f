"""Records: immutable, comparable, portable, and independent of the database they came from."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.records import Assistant, Conversation, Message, Page, Record, SearchHit

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KINDS = ("assistant", "conversation", "message", "hit")


@pytest.fixture
def records(project: Project) -> dict[str, Any]:
    service = project.conversations
    bot = project.assistants.create("Aurora", "You analyse markets.", metadata={"k": [1]}, created_at=MOMENT)
    talk = service.create(assistant_id=bot.id, project_name="red", created_at=MOMENT)
    message = service.add_message(talk.id, "user", "the market", token_count=2, created_at=MOMENT)
    return {
        "assistant": bot,
        "conversation": service.get(talk.id),
        "message": message,
        "hit": service.search("market")[0],
    }


@pytest.fixture(params=KINDS)
def record(request: pytest.FixtureRequest, records: dict[str, Any]) -> Any:
    return records[request.param]


def values_of(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.fields}


# --- immutable ---


def test_no_attribute_can_be_set(record: Any) -> None:
    for name in (*record.fields, "anything"):
        with pytest.raises(AttributeError):
            setattr(record, name, "x")


def test_no_attribute_can_be_deleted(record: Any) -> None:
    for name in record.fields:
        with pytest.raises(AttributeError):
            delattr(record, name)


def test_metadata_is_a_new_dictionary_each_time(records: dict[str, Any]) -> None:
    records["assistant"].metadata["k"].append(2)

    assert records["assistant"].metadata == {"k": [1]}


# --- equal by value ---


def test_a_record_is_equal_to_what_is_read_again(project: Project, records: dict[str, Any]) -> None:
    talk = records["conversation"]

    assert talk == project.conversations.get(talk.id)
    assert hash(talk) == hash(project.conversations.get(talk.id))
    assert len({talk, project.conversations.get(talk.id)}) == 1


def test_a_record_differs_from_a_later_state(project: Project, records: dict[str, Any]) -> None:
    before = records["conversation"]
    after = project.conversations.update(before.id, title="new")

    assert before != after
    assert len({before, after}) == 2


def test_a_record_is_no_tuple_to_whoever_compares(record: Any) -> None:
    assert record != tuple(record)
    assert Message.of(range(8)) != Assistant.of(range(8))


# --- portable ---


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_record_survives_a_pickle(record: Any, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(record, protocol))

    assert (again, type(again)) == (record, type(record))
    assert values_of(again) == values_of(record)


def test_a_record_survives_a_copy(record: Any) -> None:
    assert copy.copy(record) == copy.deepcopy(record) == record


def test_a_dictionary_of_a_record_is_ready_for_json(record: Any) -> None:
    plain = record.to_dict()

    assert list(plain) == list(record.fields)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_times_have_one_width_with_and_without_a_fraction(project: Project) -> None:
    times = [
        project.conversations.create(created_at=moment).to_dict()["created_at"]
        for moment in (MOMENT, MOMENT.replace(microsecond=600))
    ]

    assert times == ["2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:05.000600Z"]


def test_a_hit_has_the_dictionary_of_its_message(records: dict[str, Any]) -> None:
    plain = records["hit"].to_dict()

    assert plain["message"] == records["message"].to_dict()
    assert (plain["snippet"], plain["title"]) == ("the [market]", "the market")


def test_a_message_knows_its_sequence_from_its_key(records: dict[str, Any]) -> None:
    message, talk = records["message"], records["conversation"]

    assert (message.id >> 32, message.sequence) == (talk.number, 1)


def test_a_record_is_shown_with_its_names_and_long_values_shortened() -> None:
    message = Message.of(
        ("c-1", 1 << 32 | 7, "user", "x" * 500, None, None, None, "2026-01-01T00:00:00.000000Z", "complete")
    )

    assert repr(message).startswith("Message(")
    assert "role='user'" in repr(message)
    assert "sequence=7" in repr(message)
    assert len(repr(message)) < 400


# --- independent ---


def test_records_are_usable_after_delete_and_dispose(project: Project, records: dict[str, Any]) -> None:
    before = {kind: values_of(record) for kind, record in records.items()}

    project.assistants.delete(records["assistant"].id)
    project.dispose()

    assert {kind: values_of(record) for kind, record in records.items()} == before


def test_records_are_usable_in_another_thread_and_after_the_scope(project: Project) -> None:
    with project:
        talk = project.conversations.create(title="T")
        project.conversations.add_message(talk.id, "user", "x")
        messages = project.conversations.messages(talk.id)
    seen: list[Any] = []

    thread = threading.Thread(target=lambda: seen.extend([talk.title, messages[0].to_dict()["content"]]))
    thread.start()
    thread.join()

    assert seen == ["T", "x"]


# --- pages ---


@pytest.fixture
def page(project: Project) -> Iterator[Page[Conversation]]:
    for _ in range(3):
        project.conversations.create()
    return project.conversations.list(limit=2)


def test_a_page_is_a_list_with_a_position(project: Project, page: Page[Conversation]) -> None:
    assert [len(page), len(project.conversations.list(after=page.next))] == [2, 1]
    assert project.conversations.list(after=page.next).next is None


def test_a_page_survives_pickles_and_copies(page: Page[Conversation]) -> None:
    for again in (pickle.loads(pickle.dumps(page)), copy.copy(page), copy.deepcopy(page)):
        assert (list(again), again.next) == (list(page), page.next)


def test_every_kind_of_record_names_all_its_values(records: dict[str, Any]) -> None:
    assert [type(records[kind]) for kind in KINDS] == [Assistant, Conversation, Message, SearchHit]
    assert all(len(set(record.fields)) == len(record.fields) for record in records.values())
