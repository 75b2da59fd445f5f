"""Engines and sessions of AutoForge's assistant database."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from assistant_tools import contents, together

from peewee_conv.compat.assistant_database import (
    Base,
    Conversation,
    ConversationMessage,
    add_message,
    create_conversation,
    delete_conversation,
    dispose_engine,
    get_conversation,
    get_conversations,
    get_db_path,
    get_engine,
    get_session,
)
from peewee_conv.errors import InvalidArgument

# --- engines ---


def test_one_engine_for_every_spelling_of_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert get_engine(Path("p")) is get_engine(tmp_path / "p") is get_engine(tmp_path / "q" / ".." / "p")


def test_threads_that_ask_at_once_get_one_engine(tmp_path: Path) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        engines = together(lambda _: get_engine(tmp_path), list(range(8)))
    finally:
        sys.setswitchinterval(interval)

    assert len(set(map(id, engines))) == 1


def test_dispose_tells_whether_anything_was_open_and_what_follows_starts_again(tmp_path: Path) -> None:
    assert dispose_engine(tmp_path) is False
    before = get_engine(tmp_path)
    made = create_conversation(tmp_path, "aurora")

    assert (dispose_engine(tmp_path), dispose_engine(tmp_path)) == (True, False)

    assert get_engine(tmp_path) is not before
    assert add_message(tmp_path, made.id, "user", "x") is not None
    assert before.url == f"sqlite:///{get_db_path(tmp_path).as_posix()}"


def test_functions_alone_can_be_disposed_of(tmp_path: Path) -> None:
    create_conversation(tmp_path, "aurora")

    assert dispose_engine(tmp_path) is True


def test_an_engine_goes_on_after_its_disposal(tmp_path: Path) -> None:
    engine = get_engine(tmp_path)
    made = create_conversation(tmp_path, "aurora")

    engine.dispose()

    assert made.messages == []
    assert engine.project.conversations.list() != []


# --- sessions ---


def test_a_session_reads_what_the_functions_wrote(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")
    add_message(tmp_path, made.id, "user", "Hello!")

    with get_session(tmp_path) as session:
        found = session.query(Conversation).filter(Conversation.project_name == "aurora").first()
        messages = session.query(ConversationMessage).filter_by(conversation_id=made.id).all()

    assert found is not None
    assert (found.id, found.title) == (made.id, "Hello!")
    assert [(said.role, said.content) for said in messages] == [("user", "Hello!")]
    assert issubclass(Conversation, Base)


def test_a_session_writes_through_the_services(tmp_path: Path) -> None:
    with get_session(tmp_path) as session:
        talk = Conversation(project_name="aurora")
        session.add(talk)
        session.flush()
        session.add(ConversationMessage(conversation_id=talk.id, role="user", content="Hello!"))
        session.commit()
        assert talk.title == "Hello!"

    assert get_conversations(tmp_path, "aurora")[0]["message_count"] == 1


def test_a_session_takes_earlier_times(tmp_path: Path) -> None:
    then = datetime(2020, 1, 1)  # noqa: DTZ001
    with get_session(tmp_path) as session:
        talk = Conversation(project_name="aurora", created_at=then)
        session.add(talk)
        session.flush()
        session.add(ConversationMessage(conversation_id=talk.id, role="user", content="x", timestamp=then))
        session.commit()

    found = get_conversation(tmp_path, 1)
    assert found is not None
    assert (found["created_at"], found["messages"][0]["timestamp"]) == ("2020-01-01T00:00:00",) * 2


def test_a_change_and_a_message_in_one_flush_are_both_kept(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")

    with get_session(tmp_path) as session:
        found = session.get(Conversation, made.id)
        assert found is not None
        found.title = "Mine"
        session.add(ConversationMessage(conversation_id=made.id, role="user", content="Hello!"))
        session.commit()

    assert [talk["title"] for talk in get_conversations(tmp_path, "aurora")] == ["Mine"]


def test_a_session_that_rolls_back_leaves_nothing(tmp_path: Path) -> None:
    with get_session(tmp_path) as session:
        session.add(Conversation(project_name="aurora"))
        session.flush()
        session.rollback()

    assert get_conversations(tmp_path, "aurora") == []


def test_a_session_deletes_a_conversation_with_its_messages(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")
    add_message(tmp_path, made.id, "user", "x")

    with get_session(tmp_path) as session:
        assert session.query(Conversation).filter(Conversation.id == made.id).delete() == 1
        session.commit()
        assert session.query(ConversationMessage).count() == 0


def test_what_was_returned_can_be_changed_in_a_session(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")

    with get_session(tmp_path) as session:
        session.add(made)
        made.title = "Mine"
        session.commit()

    assert get_conversations(tmp_path, "aurora")[0]["title"] == "Mine"


@pytest.mark.parametrize("name", ["id", "created_at", "updated_at"])
def test_what_the_services_keep_is_not_changed_by_hand(tmp_path: Path, name: str) -> None:
    made = create_conversation(tmp_path, "aurora")
    with get_session(tmp_path) as session:
        found = session.get(Conversation, made.id)
        setattr(found, name, 5 if name == "id" else datetime(2020, 1, 1, tzinfo=UTC))

        with pytest.raises(InvalidArgument, match=name):
            session.commit()


def test_what_was_said_stays_as_it_is(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")
    add_message(tmp_path, made.id, "user", "Hello!")
    with get_session(tmp_path) as session:
        for change in (lambda said: setattr(said, "content", "Bye!"), session.delete):
            change(session.query(ConversationMessage).one())
            with pytest.raises(InvalidArgument):
                session.commit()

    assert contents(tmp_path, made.id) == ["Hello!"]


def test_related_objects_answer_inside_and_after_a_session(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")
    add_message(tmp_path, made.id, "user", "Hello!")

    with get_session(tmp_path) as session:
        found = session.query(Conversation).one()
        inside = [said.content for said in found.messages]
    after = found.messages[0]

    assert (inside, after.content) == (["Hello!"], "Hello!")
    assert after.conversation is not None
    assert after.conversation.id == made.id


def test_related_objects_of_a_session_show_what_is_pending(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")

    with get_session(tmp_path) as session:
        found = session.query(Conversation).one()
        session.add(ConversationMessage(conversation_id=made.id, role="user", content="Hello!"))

        assert [said.content for said in found.messages] == ["Hello!"]


def test_an_object_outlives_its_row(tmp_path: Path) -> None:
    made = create_conversation(tmp_path, "aurora")
    delete_conversation(tmp_path, made.id)

    assert (made.project_name, made.messages, repr(made)) == ("aurora", [], f"<Conversation(id={made.id})>")


def test_an_object_without_a_row_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="this Conversation was never stored"):
        _ = Conversation(project_name="aurora").messages
