"""Messages: appended one by one and together, read in pages, pruned."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.clock import to_text
from peewee_conv.errors import AlreadyExists, ConversationNotFound, InvalidArgument, InvalidRole
from peewee_conv.models import Conversation


def say(*contents: str, role: str = "user", **more: Any) -> list[dict[str, Any]]:
    return [{"role": role, "content": content, **more} for content in contents]


@pytest.fixture
def talk(project: Project) -> str:
    return project.conversations.create().id


# --- appending ---


def test_an_append_returns_what_is_stored(project: Project, talk: str) -> None:
    said = datetime(2020, 5, 1, tzinfo=UTC)

    message = project.conversations.add_message(
        talk, "tool", "x", token_count=3, metadata={"a": None}, external_id="e-1", created_at=said
    )

    assert project.conversations.messages(talk) == [message]
    assert (message.conversation_id, message.sequence, message.role, message.content) == (talk, 1, "tool", "x")
    assert (message.token_count, message.metadata, message.external_id) == (3, {"a": None}, "e-1")
    assert message.created_at == said


def test_a_plain_append_stores_no_more_than_it_was_given(project: Project, talk: str) -> None:
    single = project.conversations.add_message(talk, "user", "x")
    bulk = project.conversations.add_messages(talk, say("x"))

    assert project.conversations.messages(talk) == [single, *bulk]
    assert (single.token_count, single.metadata, single.external_id) == (None, {}, None)


def test_messages_together_return_what_is_stored(project: Project, talk: str) -> None:
    new = [*say("a", token_count=0), *say("b", metadata={}), *say("c", external_id="e-1", metadata={"k": "v"})]

    stored = project.conversations.add_messages(talk, new)

    assert project.conversations.messages(talk) == stored
    assert [m.token_count for m in stored] == [0, None, None]


def test_any_iterable_of_mappings_will_do(project: Project, talk: str) -> None:
    stored = project.conversations.add_messages(talk, (item for item in say("a", "b")))

    assert [message.content for message in stored] == ["a", "b"]


def test_messages_together_are_all_or_none(project: Project, talk: str) -> None:
    with pytest.raises(InvalidRole, match=r"messages\[1\]: invalid role 'robot'"):
        project.conversations.add_messages(talk, [*say("a"), *say("b", role="robot")])

    assert project.conversations.get(talk).last_sequence == 0


def test_an_iterable_that_breaks_off_leaves_nothing(project: Project, talk: str) -> None:
    def broken() -> Iterator[dict[str, str]]:
        yield {"role": "user", "content": "a"}
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        project.conversations.add_messages(talk, broken())

    assert project.conversations.messages(talk) == []


@pytest.mark.parametrize("messages", [None, 5, {"role": "user", "content": "x"}, [None], ["user"], [("user", "x")]])
def test_what_is_no_list_of_messages_is_refused(project: Project, talk: str, messages: Any) -> None:
    with pytest.raises(InvalidArgument, match="messages"):
        project.conversations.add_messages(talk, messages)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"role": "user"},
        {"content": "x"},
        {"role": "user", "content": "x", "sequence": 1},
        {"role": "user", "content": "x", "now": "x"},
        {"role": "user", "content": "x", "self": "x"},
        {"role": "user", "content": "x", 5: "x"},
    ],
)
def test_unknown_and_missing_keys_are_refused_with_the_place(project: Project, talk: str, message: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"messages\[1\].*keys role and content"):
        project.conversations.add_messages(talk, [*say("a"), message])


def test_a_sequence_is_not_handed_out_twice(project: Project, talk: str) -> None:
    project.conversations.add_messages(talk, say("a", "b"))
    project.conversations.clear(talk)

    assert project.conversations.add_message(talk, "user", "c").sequence == 3


def test_threads_that_append_together_leave_no_gap(project: Project, talk: str) -> None:
    def append() -> None:
        for _ in range(20):
            project.conversations.add_message(talk, "user", "x", token_count=1)
            project.conversations.add_messages(talk, say("y", "z", token_count=2))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    head = project.conversations.get(talk)
    assert [m.sequence for m in project.conversations.messages(talk, limit=1000)] == list(range(1, 241))
    assert (head.message_count, head.token_count) == (240, 400)


def test_the_counts_survive_the_largest_token_counts(project: Project, talk: str) -> None:
    project.conversations.add_messages(talk, say(*["x"] * 2000, token_count=2**31 - 1))
    project.conversations.add_message(talk, "user", "x", token_count=2**31 - 1)

    assert project.conversations.get(talk).token_count == 2001 * (2**31 - 1)


def test_an_append_bumps_the_activity_to_its_time(make_project: Callable[..., Project], clock: Any) -> None:
    service = make_project(now=clock).conversations
    talk = service.create()
    clock.advance(9)

    message = service.add_message(talk.id, "user", "x")

    assert to_text(message.created_at) == to_text(service.get(talk.id).updated_at) == clock.text


def test_what_fails_in_a_transaction_leaves_the_rest(project: Project, talk: str) -> None:
    project.conversations.add_message(talk, "user", "x", external_id="e-1")

    with project.atomic():
        project.conversations.add_message(talk, "user", "y")
        with pytest.raises(AlreadyExists):
            project.conversations.add_messages(talk, [*say("lost"), *say("other", external_id="e-1")])
        with pytest.raises(ConversationNotFound):
            project.conversations.add_message("nowhere", "user", "x")

    assert [message.content for message in project.conversations.messages(talk)] == ["x", "y"]


def test_the_projects_counter_counts_what_is_stored_without_a_count(make_project: Callable[..., Project]) -> None:
    service = make_project(count_tokens=lambda text: len(text.split())).conversations
    talk = service.create()

    service.add_message(talk.id, "user", "two words")
    service.add_messages(talk.id, [*say("one two three"), *say("one", token_count=9)])

    assert [message.token_count for message in service.messages(talk.id)] == [2, 3, 9]


@pytest.mark.parametrize("answer", [-1, 1.5, True, "3", 2**31], ids=repr)
def test_a_counter_that_miscounts_is_refused(make_project: Callable[..., Project], answer: Any) -> None:
    service = make_project(count_tokens=lambda text: answer).conversations
    talk = service.create()

    with pytest.raises(InvalidArgument, match="token_count"):
        service.add_message(talk.id, "user", "x")


# --- retries ---


def test_a_retried_append_returns_the_stored_message(project: Project, talk: str) -> None:
    first = project.conversations.add_message(talk, "user", "x", external_id="e-1", token_count=5)

    again = project.conversations.add_message(talk, "user", "x", external_id="e-1", token_count=7)

    assert again == first
    assert project.conversations.get(talk).token_count == 5


@pytest.mark.parametrize(("role", "content"), [("user", "y"), ("assistant", "x")])
def test_another_message_under_the_same_external_id_is_refused(
    project: Project, talk: str, role: str, content: str
) -> None:
    project.conversations.add_message(talk, "user", "x", external_id="e-1")

    with pytest.raises(AlreadyExists, match="another message with external_id 'e-1' already exists"):
        project.conversations.add_message(talk, role, content, external_id="e-1")

    assert project.conversations.get(talk).last_sequence == 1


def test_an_external_id_is_free_in_another_conversation(project: Project, talk: str) -> None:
    other = project.conversations.create().id
    project.conversations.add_message(talk, "user", "x", external_id="e-1")

    assert project.conversations.add_message(other, "assistant", "y", external_id="e-1").sequence == 1


def test_a_pruned_message_may_come_again(project: Project, talk: str) -> None:
    project.conversations.add_message(talk, "user", "x", external_id="e-1")
    project.conversations.clear(talk)

    assert project.conversations.add_message(talk, "user", "x", external_id="e-1").sequence == 2


def test_a_retried_batch_appends_what_was_missing(project: Project, talk: str) -> None:
    batch = [*say("a", external_id="e-a"), *say("plain"), *say("b", external_id="e-b")]
    first = project.conversations.add_messages(talk, batch[:1])

    stored = project.conversations.add_messages(talk, batch)

    assert [(m.sequence, m.content) for m in stored] == [(1, "a"), (2, "plain"), (3, "b")]
    assert stored[0] == first[0]
    assert project.conversations.messages(talk) == stored


def test_a_batch_may_name_a_message_twice(project: Project, talk: str) -> None:
    stored = project.conversations.add_messages(talk, say("a", "a", external_id="e-1"))

    assert stored[0] == stored[1]
    assert project.conversations.get(talk).message_count == 1


def test_a_batch_that_contradicts_itself_is_refused_whole(project: Project, talk: str) -> None:
    with pytest.raises(AlreadyExists, match="'e-1'"):
        project.conversations.add_messages(talk, say("before", "a", "b", external_id="e-1"))

    assert project.conversations.get(talk).last_sequence == 0


def test_threads_that_retry_together_store_one_message(project: Project, talk: str) -> None:
    answers = []

    def retry() -> None:
        for place in range(25):
            answers.append(project.conversations.add_message(talk, "user", "x", external_id=f"e-{place}"))

    threads = [threading.Thread(target=retry) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stored = project.conversations.messages(talk)
    assert len(answers) == 100
    assert set(answers) == set(stored)
    assert [message.sequence for message in stored] == list(range(1, 26))


def test_a_retry_survives_that_its_message_is_pruned_meanwhile(project: Project, talk: str) -> None:
    done = threading.Event()

    def prune() -> None:
        while not done.is_set():
            project.conversations.clear(talk)

    pruner = threading.Thread(target=prune)
    pruner.start()
    try:
        sequences = [
            project.conversations.add_message(talk, "user", "x", external_id="e-1").sequence for _ in range(300)
        ]
    finally:
        done.set()
        pruner.join()

    assert sequences == sorted(sequences)


# --- reading ---


def test_pages_go_forward(project: Project, talk: str) -> None:
    project.conversations.add_messages(talk, say(*"abcdefg"))

    pages = [[m.content for m in project.conversations.messages(talk, after=n, limit=3)] for n in (0, 3, 6, 7)]

    assert pages == [list("abc"), list("def"), ["g"], []]


def test_pages_go_backward(project: Project, talk: str) -> None:
    project.conversations.add_messages(talk, say(*"abcdefg"))

    pages = [[m.content for m in project.conversations.messages(talk, before=n, limit=3)] for n in (2**32 - 1, 5, 2, 1)]

    assert pages == [list("efg"), list("bcd"), ["a"], []]


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": 0},
        {"limit": 10_001},
        {"limit": True},
        {"after": -1},
        {"after": False},
        {"after": 0.0},
        {"after": 2**32},
        {"before": -1},
        {"before": "5"},
        {"after": 1, "before": 2},
    ],
)
def test_messages_refuses(project: Project, talk: str, arguments: Any) -> None:
    name = "before" if len(arguments) > 1 else next(iter(arguments))

    with pytest.raises(InvalidArgument, match=f"invalid {name} "):
        project.conversations.messages(talk, **arguments)


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 10_000])
def test_iterate_yields_everything_in_order(project: Project, talk: str, batch: int) -> None:
    project.conversations.add_messages(talk, say(*"abcdef"))

    assert [m.content for m in project.conversations.iterate(talk, batch=batch)] == list("abcdef")


@pytest.mark.parametrize("batch", [0, 10_001, None, 1.0], ids=repr)
def test_iterate_refuses_a_batch(project: Project, talk: str, batch: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid batch"):
        project.conversations.iterate(talk, batch=batch)


def test_iterate_lets_others_write_between_two_steps(project: Project, talk: str) -> None:
    project.conversations.add_messages(talk, say(*"abcd"))
    seen = []

    for message in project.conversations.iterate(talk, batch=1):
        seen.append(message.content)
        if message.content == "b":
            project.conversations.prune(talk, 1)
            project.conversations.add_message(talk, "user", "e")

    assert seen == list("abde")


def test_iterate_ends_with_the_conversation(project: Project, talk: str) -> None:
    project.conversations.add_messages(talk, say(*"abcd"))
    steps = project.conversations.iterate(talk, batch=2)
    next(steps)

    project.conversations.delete(talk)

    assert [message.content for message in steps] == ["b"]


# --- pruning ---


@pytest.mark.parametrize(("keep", "gone"), [(0, 5), (2, 3), (5, 0), (9, 0), (2**32, 0)])
def test_prune_keeps_the_newest(project: Project, talk: str, keep: int, gone: int) -> None:
    project.conversations.add_messages(talk, say(*"abcde", token_count=2))

    assert project.conversations.prune(talk, keep) == gone

    left = project.conversations.messages(talk)
    head = project.conversations.get(talk)
    assert "".join(message.content for message in left) == "abcde"[gone:]
    assert (head.message_count, head.token_count, head.last_sequence) == (5 - gone, 2 * (5 - gone), 5)


@pytest.mark.parametrize("keep", [-1, True, 1.0, None, "3", 2**32 + 1], ids=repr)
def test_prune_refuses(project: Project, talk: str, keep: Any) -> None:
    project.conversations.add_messages(talk, say(*"abc"))

    with pytest.raises(InvalidArgument, match="invalid keep"):
        project.conversations.prune(talk, keep)

    assert project.conversations.get(talk).message_count == 3


def test_prune_is_no_activity(project: Project, talk: str) -> None:
    project.conversations.add_messages(talk, say(*"abc"))
    before = project.conversations.get(talk)

    project.conversations.prune(talk, 1)

    assert project.conversations.get(talk).updated_at == before.updated_at


def test_the_last_sequence_is_kept_where_models_see_it(project: Project, talk: str) -> None:
    project.conversations.add_messages(talk, say(*"abc"))
    project.conversations.clear(talk)

    with project:
        head = Conversation.get(Conversation.id == talk)

    assert (head.last_sequence, head.message_count, head.token_count) == (3, 0, 0)
