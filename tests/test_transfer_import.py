"""Importing JSON Lines: what is stored, and doing it again."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from import_tools import HELLO, Maker, contents_of, source_of, talk

from peewee_conv import Project
from peewee_conv.errors import AssistantNotFound, ImportRejected
from peewee_conv.transfer import ImportReport, import_conversations
from peewee_conv.transfer_store import _BATCH

# --- what is stored ---


def test_import_stores_conversations_and_messages_in_their_order(project: Project) -> None:
    report = import_conversations(project, source_of(HELLO, talk("c-2", "a", "b")))

    assert report == ImportReport("<BytesIO>", 2, 4, 2, 0, 0, 4)
    assert contents_of(project, "c-1") == ["Hello", "Hi!"]
    assert [m.sequence for m in project.conversations.messages("c-2")] == [1, 2]
    assert project.conversations.get("c-1").message_count == 2


def test_import_reads_a_path(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_bytes(source_of(HELLO).getvalue())

    report = import_conversations(project, path)

    assert (report.source, report.conversations_added) == (str(path), 1)


@pytest.mark.parametrize("text", [f"\ufeff{json.dumps(HELLO)}", f"\n{json.dumps(HELLO)}\r\n \n", json.dumps(HELLO)])
@pytest.mark.parametrize("form", [lambda text: io.BytesIO(text.encode()), io.StringIO])
def test_byte_order_mark_and_blank_lines_are_nothing(project: Project, text: str, form: Callable[[str], Any]) -> None:
    import_conversations(project, form(text))

    assert contents_of(project, "c-1") == ["Hello", "Hi!"]


def test_empty_source_imports_nothing(project: Project) -> None:
    report = import_conversations(project, io.BytesIO(b""))

    assert report.conversations == 0
    assert report.is_unchanged


def test_every_field_is_stored(project: Project) -> None:
    message = {
        "role": "tool",
        "content": "42",
        "token_count": 7,
        "metadata": {"a": [1, None]},
        "external_id": "m-1",
        "created_at": "2026-01-02T03:04:05+01:00",
    }
    head = {"title": "T", "project_name": "P", "created_at": "2025-01-01T00:00:00Z", "metadata": {"k": 1}}

    import_conversations(project, source_of({"id": "c-1", **head, "messages": [message]}))

    stored, conversation = project.conversations.messages("c-1")[0], project.conversations.get("c-1")
    assert stored.to_dict() | message | {"created_at": "2026-01-02T02:04:05.000000Z"} == stored.to_dict()
    assert (conversation.title, conversation.project_name, conversation.metadata) == ("T", "P", {"k": 1})
    assert conversation.created_at.isoformat() == "2025-01-01T00:00:00+00:00"
    assert conversation.token_count == 7


def test_untitled_conversation_is_titled_by_its_first_user_message(project: Project) -> None:
    import_conversations(project, source_of(HELLO))

    assert project.conversations.get("c-1").title == "Hello"


def test_title_null_stays_no_title(project: Project) -> None:
    import_conversations(project, source_of({**HELLO, "title": None}))

    assert project.conversations.get("c-1").title is None


def test_title_null_stays_no_title_when_a_message_is_added(project: Project) -> None:
    import_conversations(project, source_of(talk("c-1", "a", title=None)))

    import_conversations(project, source_of(talk("c-1", "a", "b", title=None)))

    assert project.conversations.get("c-1").title is None


def test_what_chat_completions_say_besides_goes_into_the_metadata(project: Project) -> None:
    calls = [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"role": "assistant", "content": None, "tool_calls": calls, "refusal": None, "metadata": {"k": 1}}

    import_conversations(project, source_of({"id": "c-1", "tools": [{"type": "function"}], "messages": [message]}))

    stored = project.conversations.messages("c-1")[0]
    assert (stored.content, stored.metadata) == ("", {"k": 1, "tool_calls": calls})
    assert project.conversations.get("c-1").metadata == {"tools": [{"type": "function"}]}


def test_conversation_takes_the_time_of_its_first_message(project: Project) -> None:
    message = {"role": "user", "content": "x", "created_at": "2020-05-05T05:05:05Z"}

    import_conversations(project, source_of({"id": "c-1", "messages": [message]}))

    assert project.conversations.get("c-1").updated_at.year == 2020


def test_new_conversations_get_the_owners_that_the_caller_names(project: Project) -> None:
    bot = project.assistants.create(name="A", instructions="Do.", model="m")

    import_conversations(project, source_of(HELLO), assistant_id=bot.id)

    assert project.conversations.get("c-1").assistant_id == bot.id


def test_unknown_assistant_is_refused_before_anything_is_written(project: Project) -> None:
    with pytest.raises(AssistantNotFound):
        import_conversations(project, source_of(HELLO), assistant_id="nobody")

    assert project.conversations.list() == []


def test_import_counts_tokens_as_the_project_does(make_project: Maker) -> None:
    project = make_project(count_tokens=len)

    import_conversations(project, source_of(HELLO))

    assert project.conversations.get("c-1").token_count == 8


def test_imported_messages_are_found_by_search(project: Project) -> None:
    import_conversations(project, source_of(talk("c-1", "a platypus appears")))

    assert [hit.message.conversation_id for hit in project.conversations.search("platypus")] == ["c-1"]


def test_progress_ends_with_everything_done(project: Project) -> None:
    seen: list[tuple[int, int]] = []

    import_conversations(
        project, source_of(*(talk(f"c-{n}", "a") for n in range(3))), on_progress=lambda *at: seen.append(at)
    )

    assert seen[-1] == (3, 3)


def test_import_of_several_transactions_is_whole(project: Project) -> None:
    talks = [talk(f"c-{n}", *map(str, range(50))) for n in range(_BATCH // 50 * 2 + 3)]

    report = import_conversations(project, source_of(*talks))

    assert report.messages_added == len(talks) * 50
    assert project.check() == []


# --- doing it again ---


def test_importing_twice_changes_nothing_and_says_so(project: Project) -> None:
    import_conversations(project, source_of(HELLO, talk("c-2", "a")))
    before = project.conversations.list()

    report = import_conversations(project, source_of(HELLO, talk("c-2", "a")))

    assert report.is_unchanged
    assert (report.conversations_unchanged, report.messages_added) == (2, 0)
    assert project.conversations.list() == before


def test_conversations_without_an_id_are_not_stored_twice(project: Project) -> None:
    nameless = {"messages": [{"role": "user", "content": "same"}]}
    import_conversations(project, source_of(nameless, nameless))

    report = import_conversations(project, source_of(nameless, nameless))

    assert report.is_unchanged
    assert len(project.conversations.list()) == 2


def test_missing_tail_is_appended(project: Project) -> None:
    import_conversations(project, source_of(talk("c-1", "a", "b")))

    report = import_conversations(project, source_of(talk("c-1", "a", "b", "c", "d")))

    assert (report.conversations_extended, report.messages_added) == (1, 2)
    assert contents_of(project, "c-1") == ["a", "b", "c", "d"]


def test_conversation_that_went_on_since_is_unchanged(project: Project) -> None:
    import_conversations(project, source_of(talk("c-1", "a")))
    project.conversations.add_message("c-1", "user", "b")

    report = import_conversations(project, source_of(talk("c-1", "a")))

    assert report.is_unchanged
    assert contents_of(project, "c-1") == ["a", "b"]


def test_title_and_metadata_that_were_changed_since_stay(project: Project) -> None:
    import_conversations(project, source_of(HELLO))
    project.conversations.update("c-1", title="Renamed", metadata={"k": 1})

    import_conversations(project, source_of(HELLO))

    assert project.conversations.get("c-1").title == "Renamed"
    assert project.conversations.get("c-1").metadata == {"k": 1}


def with_message(**fields: Any) -> dict[str, Any]:
    message = {"role": "user", "content": "b", "token_count": 1, "external_id": "m", "metadata": {"k": True}}
    return {"id": "c-1", "messages": [{"role": "user", "content": "a"}, message | fields]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("content", "B"),
        ("role", "assistant"),
        ("token_count", 2),
        ("external_id", "other"),
        ("metadata", {"k": 1}),
        ("created_at", "2020-01-01T00:00:00Z"),
    ],
)
def test_other_message_is_refused_and_named(project: Project, field: str, value: Any) -> None:
    import_conversations(project, source_of(with_message()))

    with pytest.raises(ImportRejected) as caught:
        import_conversations(project, source_of(talk("new", "x"), with_message(**{field: value})))

    reason = f"conversation 'c-1' is stored with another {field} in messages[1]"
    assert str(caught.value) == f"import rejected (<BytesIO>, line 2): {reason}; nothing was written"
    assert project.conversations.find("new") is None


def test_metadata_with_its_keys_in_another_order_is_the_same(project: Project) -> None:
    import_conversations(project, source_of(with_message(metadata={"a": 1, "b": 2})))

    assert import_conversations(project, source_of(with_message(metadata={"b": 2, "a": 1}))).is_unchanged


def test_fields_that_the_source_leaves_out_are_not_compared(project: Project) -> None:
    import_conversations(project, source_of(with_message()))

    assert import_conversations(project, source_of(talk("c-1", "a", "b"))).is_unchanged


def test_external_id_of_another_stored_message_is_refused(project: Project) -> None:
    first = {"role": "user", "content": "a"}
    import_conversations(project, source_of({"id": "c-1", "messages": [first | {"external_id": "m"}]}))

    with pytest.raises(ImportRejected, match=r"external_id of messages\[1\] in another message"):
        import_conversations(
            project,
            source_of({"id": "c-1", "messages": [first, {"role": "user", "content": "b", "external_id": "m"}]}),
        )


def test_conversation_of_another_user_is_refused(project: Project) -> None:
    with project.atomic() as _, project:
        from peewee_conv.models import User

        for id in ("u-1", "u-2"):
            now = "2026-01-01T00:00:00.000000Z"
            User.insert(id=id, google_id=id, email=id, name=id, created_at=now, last_login_at=now).execute()
    import_conversations(project, source_of(HELLO), user_id="u-1")

    with pytest.raises(ImportRejected, match="belongs to another user"):
        import_conversations(project, source_of(talk("c-1", "Hello")), user_id="u-2")


def test_change_by_somebody_else_during_the_import_is_refused_with_what_was_stored(project: Project) -> None:
    talks = [talk(f"c-{n}", *map(str, range(50))) for n in range(_BATCH // 50 * 2)]

    def meddle(done: int, total: int) -> None:
        if project.conversations.find(talks[-1]["id"]) is None:
            import_conversations(project, source_of(talk(talks[-1]["id"], "something else")))

    with pytest.raises(ImportRejected) as caught:
        import_conversations(project, source_of(*talks), on_progress=meddle)

    assert str(caught.value).endswith(f"{caught.value.stored} conversations were stored before")
    assert len(project.conversations.list(limit=1000)) == caught.value.stored + 1
