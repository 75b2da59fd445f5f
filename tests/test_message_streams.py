"""Messages that are written piece by piece: begun, extended, finished, interrupted, found after a kill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peewee_conv import Project
from peewee_conv.errors import (
    AlreadyExists,
    ConversationNotFound,
    InvalidArgument,
    InvalidContent,
    MessageNotFound,
    MessageStateConflict,
)
from peewee_conv.models import Message as MessageModel
from peewee_conv.records import Message


@pytest.fixture
def talk(project: Project) -> str:
    talk = project.conversations.create().id
    project.conversations.add_message(talk, "user", "How is the market?")
    return talk


def stored(project: Project, talk: str, sequence: int = 2) -> Message:
    (message,) = project.conversations.messages(talk, after=sequence - 1, limit=1)
    return message


def test_pieces_make_the_content(project: Project, talk: str) -> None:
    answer = project.conversations.begin_message(talk, content="The ", metadata={"model": "m"}, external_id="e-2")
    for piece in ("market ", "is\0 ", "calm \U0001f600."):
        assert project.conversations.extend_message(talk, answer.sequence, piece) == stored(project, talk)

    assert stored(project, talk).content == "The market is\0 calm \U0001f600."
    assert (answer.status, answer.metadata, answer.external_id) == ("streaming", {"model": "m"}, "e-2")


def test_what_begins_and_ends_is_what_is_returned(project: Project, talk: str) -> None:
    begun = project.conversations.begin_message(talk, "tool")
    assert begun == stored(project, talk)

    ended = project.conversations.finish_message(talk, 2, content="42", token_count=1, metadata={"a": 1})
    assert ended == stored(project, talk)
    assert (ended.status, ended.content, ended.token_count, ended.metadata) == ("complete", "42", 1, {"a": 1})


def test_an_ordinary_message_is_complete(project: Project, talk: str) -> None:
    (bulk,) = project.conversations.add_messages(talk, [{"role": "user", "content": "x"}])

    assert [bulk.status, *(m.status for m in project.conversations.messages(talk))] == ["complete"] * 3


def test_ending_counts_tokens_and_is_activity(make_project: Callable[..., Project], clock: Any) -> None:
    project = make_project(now=clock, count_tokens=len)
    talk = project.conversations.create().id
    answer = project.conversations.begin_message(talk)
    clock.advance(seconds=5)
    project.conversations.extend_message(talk, answer.sequence, "four")

    assert project.conversations.get(talk).token_count == 0
    assert project.conversations.finish_message(talk, answer.sequence).token_count == 4

    after = project.conversations.get(talk)
    assert (after.token_count, after.message_count) == (4, 1)
    assert after.updated_at == clock.moment


def test_a_count_that_is_given_replaces_the_one_of_an_interruption(make_project: Callable[..., Project]) -> None:
    project = make_project(count_tokens=len)
    talk = project.conversations.create().id
    project.conversations.begin_message(talk, content="half")
    project.conversations.interrupt_message(talk, 1)

    project.conversations.finish_message(talk, 1, token_count=9)

    assert project.conversations.get(talk).token_count == 9
    assert project.check() == []


@pytest.mark.parametrize("verb", ["extend", "finish", "interrupt"])
def test_a_complete_message_does_not_change(project: Project, talk: str, verb: str) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "extend": lambda: project.conversations.extend_message(talk, 1, "!"),
        "finish": lambda: project.conversations.finish_message(talk, 1, content="!"),
        "interrupt": lambda: project.conversations.interrupt_message(talk, 1),
    }
    before = project.conversations.messages(talk)

    with pytest.raises(MessageStateConflict, match="message 1 cannot be changed: it is complete"):
        calls[verb]()

    assert project.conversations.messages(talk) == before


def test_a_slow_writer_goes_on_after_an_interruption(project: Project, talk: str) -> None:
    project.conversations.begin_message(talk, content="The ")
    assert project.conversations.interrupt_message(talk, 2).status == "interrupted"
    assert project.conversations.interrupt_message(talk, 2).status == "interrupted"

    assert project.conversations.extend_message(talk, 2, "market").status == "streaming"
    assert project.conversations.finish_message(talk, 2).content == "The market"


def test_what_is_missing_is_named(project: Project, talk: str) -> None:
    with pytest.raises(MessageNotFound, match=f"message '{talk}/7' does not exist"):
        project.conversations.extend_message(talk, 7, "x")
    with pytest.raises(ConversationNotFound):
        project.conversations.finish_message("nowhere", 1)
    with pytest.raises(ConversationNotFound):
        project.conversations.begin_message("nowhere")


def test_a_second_message_of_the_same_external_id_is_refused(project: Project, talk: str) -> None:
    project.conversations.begin_message(talk, external_id="e-1")

    with pytest.raises(AlreadyExists, match="message with external_id 'e-1'"):
        project.conversations.begin_message(talk, external_id="e-1")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda service, id: service.begin_message(id, "user"), "'assistant', 'tool'"),
        (lambda service, id: service.begin_message(id, content=None), "not text"),
        (lambda service, id: service.extend_message(id, 0, "x"), "sequence"),
        (lambda service, id: service.extend_message(id, "2", "x"), "sequence"),
        (lambda service, id: service.extend_message(id, 2, b"x"), "not text"),
        (lambda service, id: service.finish_message(id, 2, token_count=-1), "token_count"),
        (lambda service, id: service.finish_message(id, 2, metadata=[]), "metadata"),
        (lambda service, id: service.interrupt_stale(-1), "older_than_seconds"),
    ],
    ids=["role", "no text", "sequence 0", "sequence of text", "bytes", "tokens", "metadata", "age"],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    project: Project, talk: str, call: Callable[..., Any], error: str
) -> None:
    project.conversations.begin_message(talk)
    before = project.conversations.messages(talk)

    with pytest.raises(InvalidArgument, match=error):
        call(project.conversations, talk)

    assert project.conversations.messages(talk) == before


def test_pieces_together_stay_within_the_limit(make_project: Callable[..., Project]) -> None:
    project = make_project(max_content_bytes=6)
    talk = project.conversations.create().id
    project.conversations.begin_message(talk, content="four")

    with pytest.raises(InvalidContent, match="at most 6 bytes"):
        project.conversations.extend_message(talk, 1, "éé")

    assert stored(project, talk, 1).content == "four"


# --- what a model sees ---


def test_a_context_leaves_out_what_is_still_being_written(project: Project, talk: str) -> None:
    project.conversations.begin_message(talk, content="half an ans")

    for pins in ((), "system"):
        assert [m.sequence for m in project.conversations.context(talk, pin=pins)] == [1]


@pytest.mark.parametrize(("content", "seen"), [("half an ans", [1, 2]), ("", [1])])
def test_a_context_has_what_was_interrupted_after_its_first_word(
    project: Project, talk: str, content: str, seen: list[int]
) -> None:
    project.conversations.begin_message(talk, content=content)
    project.conversations.interrupt_message(talk, 2)

    for pins in ((), "system"):
        assert [m.sequence for m in project.conversations.context(talk, pin=pins)] == seen


def test_a_conversation_that_only_begins_has_an_empty_context(project: Project) -> None:
    talk = project.conversations.create().id
    project.conversations.begin_message(talk)

    assert project.conversations.context(talk) == []


# --- search ---


def test_a_search_in_the_middle_finds_what_is_there_and_later_the_rest(project: Project, talk: str) -> None:
    project.conversations.begin_message(talk, content="first word")
    assert [hit.message.sequence for hit in project.conversations.search("first")] == [2]

    project.conversations.extend_message(talk, 2, ", second word")
    assert [hit.message.status for hit in project.conversations.search("second")] == ["streaming"]

    project.conversations.finish_message(talk, 2, content="another text")
    assert project.conversations.search("first OR second") == []
    assert [hit.message.sequence for hit in project.conversations.search("another")] == [2]
    assert project.check() == []


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("extend"), st.sampled_from(["red ", "green ", "blue ", ""])),
            st.tuples(st.sampled_from(["search", "finish", "interrupt", "user", "prune"]), st.just("")),
        ),
        max_size=12,
    )
)
def test_search_and_counts_are_in_step_whatever_happens(tmp_path_factory: Any, steps: list[tuple[str, str]]) -> None:
    project = Project(tmp_path_factory.mktemp("streams"), durability="normal", count_tokens=len)
    service = project.conversations
    talk = service.create().id
    sequence = service.begin_message(talk).sequence
    for verb, text in steps:
        if verb == "extend":
            service.extend_message(talk, sequence, text)
        elif verb in ("finish", "interrupt"):
            getattr(service, f"{verb}_message")(talk, sequence)
            if verb == "finish":
                sequence = service.begin_message(talk).sequence
        elif verb == "user":
            service.add_message(talk, "user", "red")
        elif verb == "prune":
            service.prune(talk, 0)
            sequence = service.begin_message(talk).sequence
        else:
            service.search("red")

    with_red = {message.sequence for message in service.iterate(talk) if "red" in message.content}
    assert {hit.message.sequence for hit in service.search("red", limit=1000)} == with_red
    assert project.check() == []
    project.dispose()


# --- after a kill ---


def test_what_nobody_writes_any_more_is_found_by_its_age(make_project: Callable[..., Project], clock: Any) -> None:
    project = make_project(now=clock, count_tokens=len)
    dead, slow = (project.conversations.create().id for _ in range(2))
    project.conversations.begin_message(dead, content="dead")
    project.conversations.begin_message(slow)
    clock.advance(seconds=50)
    project.conversations.extend_message(slow, 1, "slow")
    clock.advance(seconds=10)

    assert project.conversations.interrupt_stale(older_than_seconds=60) == 1

    assert [stored(project, id, 1).status for id in (dead, slow)] == ["interrupted", "streaming"]
    assert project.conversations.get(dead).token_count == 4
    assert project.conversations.interrupt_stale(older_than_seconds=60) == 0


def test_another_user_s_messages_are_not_interrupted(project: Project) -> None:
    key = project.accounts.create_key()
    ada = project.accounts.sign_in({"google_id": "g", "email": "a@b", "name": "Ada"}, key).user.id
    for owner in (ada, None):
        project.conversations.begin_message(project.conversations.create(user_id=owner).id)

    assert project.conversations.for_user(ada).interrupt_stale(0) == 1


def test_an_unfinished_message_leaves_as_interrupted_and_comes_back_so(
    make_project: Callable[..., Project], tmp_path: Any
) -> None:
    from peewee_conv.transfer import export_conversations, import_conversations

    source, target = make_project("a"), make_project("b")
    talk = source.conversations.create().id
    source.conversations.add_message(talk, "user", "x")
    source.conversations.begin_message(talk, content="half")
    export_conversations(source, tmp_path / "talks.jsonl")

    import_conversations(target, tmp_path / "talks.jsonl")

    assert [m.status for m in target.conversations.messages(talk)] == ["complete", "interrupted"]


def test_the_model_has_the_time_of_the_last_piece(make_project: Callable[..., Project], clock: Any) -> None:
    project = make_project(now=clock)
    talk = project.conversations.create().id
    project.conversations.begin_message(talk)
    moment = clock.advance(seconds=7)
    project.conversations.extend_message(talk, 1, "x")

    with project:
        assert MessageModel.get().streamed_at == moment
