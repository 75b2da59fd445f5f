"""Importing JSON Lines: what is stored, what is refused, and doing it again."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.errors import AssistantNotFound, ImportRejected, InvalidArgument
from peewee_conv.transfer import ImportReport, import_conversations
from peewee_conv.transfer_store import _BATCH

Maker = Callable[..., Project]
HELLO = {"id": "c-1", "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]}


def source_of(*conversations: Any) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(one).encode() + b"\n" for one in conversations))


def talk(id: str, *contents: str, **head: Any) -> dict[str, Any]:
    return {"id": id, **head, "messages": [{"role": "user", "content": content} for content in contents]}


def contents_of(project: Project, id: str) -> list[str]:
    return [message.content for message in project.conversations.iterate(id)]


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


# --- what is refused ---

DEEP = '{"a":' * 101 + "1" + "}" * 101
MESSAGES = '"messages": [{"role": "user", "content": "x"}]'
BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"hello", "it is not valid JSON (Expecting value, character 1)"),
    "half a line": (b'{"id": "x", ', "it is not valid JSON"),
    "two values": (b"{} {}", "it is not valid JSON (Extra data, character 4)"),
    "array": (b"[]", "invalid conversation 'list': expected a JSON object"),
    "double key": (b'{"id": "x", "id": "y", "messages": []}', "it is not valid JSON (the key 'id' occurs twice)"),
    "double key in metadata": (f'{{"metadata": {{"a": 1, "a": 2}}, {MESSAGES}}}'.encode(), "the key 'a' occurs twice"),
    "NaN": (f'{{"metadata": {{"a": NaN}}, {MESSAGES}}}'.encode(), "NaN is no number of JSON"),
    "Infinity": (f'{{"metadata": {{"a": -Infinity}}, {MESSAGES}}}'.encode(), "-Infinity is no number of JSON"),
    "overflowing float": (f'{{"metadata": {{"a": 1e999}}, {MESSAGES}}}'.encode(), "invalid metadata"),
    "bad UTF-8": (b'{"id": "\xff"}', "byte 9 is not valid UTF-8"),
    "UTF-16": ('{"id": "x"}'.encode("utf-16"), "byte 1 is not valid UTF-8"),
    "mark in the middle": (b'{"id": "x", "messages": []}\n\xef\xbb\xbf{}', "it is not valid JSON"),
    "deep": (f'{{"metadata": {DEEP}, {MESSAGES}}}'.encode(), "at most 100 levels"),
    "very deep": (b"[" * 200_000, "it is nested too deeply"),
    "long number": (b'{"metadata": {"a": ' + b"9" * 5000 + b"}}", "it is not valid JSON (Exceeds the limit"),
    "no messages": (b'{"id": "x"}', "invalid messages 'NoneType': expected a list of messages"),
    "messages of another type": (b'{"messages": {}}', "invalid messages 'dict': expected a list of messages"),
    "unknown key": (f'{{"idd": 1, {MESSAGES}}}'.encode(), "invalid key of conversation 'idd': expected one of id, "),
    "id of another type": (f'{{"id": 1, {MESSAGES}}}'.encode(), "invalid id 1"),
    "id that is empty": (f'{{"id": "", {MESSAGES}}}'.encode(), "invalid id ''"),
    "title of another type": (f'{{"title": 1, {MESSAGES}}}'.encode(), "invalid title 1"),
    "title too long": (f'{{"title": "{"x" * 201}", {MESSAGES}}}'.encode(), "at most 200 characters"),
    "metadata of another type": (f'{{"metadata": [], {MESSAGES}}}'.encode(), "invalid metadata []"),
    "naive time": (f'{{"created_at": "2026-01-01T00:00:00", {MESSAGES}}}'.encode(), "invalid created_at"),
    "time as a number": (f'{{"created_at": 5, {MESSAGES}}}'.encode(), "invalid created_at 5"),
}
BAD_MESSAGES: dict[str, tuple[str, str]] = {
    "text": ('"x"', "invalid messages[0] 'str'"),
    "no role": ('{"content": "x"}', "messages[0]"),
    "wrong role": ('{"role": "robot", "content": "x"}', "messages[0]: invalid role 'robot'"),
    "no content": ('{"role": "user"}', "messages[0]"),
    "null content": ('{"role": "user", "content": null}', "messages[0]: invalid content"),
    "list of parts": ('{"role": "user", "content": []}', "invalid content (it is a list of parts)"),
    "surrogate": (r'{"role": "user", "content": "\ud800"}', "messages[0]: invalid content (it has a lone surrogate)"),
    "unknown key": ('{"role": "user", "content": "x", "text": 1}', "invalid key of messages[0] 'text'"),
    "key twice": ('{"role": "user", "content": "x", "name": "a", "metadata": {"name": "b"}}', "each key in one place"),
    "negative tokens": ('{"role": "user", "content": "x", "token_count": -1}', "messages[0]: invalid token_count -1"),
    "true as tokens": ('{"role": "user", "content": "x", "token_count": true}', "invalid token_count True"),
    "no time": ('{"role": "user", "content": "x", "created_at": "noon"}', "invalid messages[0].created_at 'noon'"),
    "external id of another type": ('{"role": "user", "content": "x", "external_id": 5}', "invalid external_id 5"),
    "external id twice": (
        '{"role": "user", "content": "x", "external_id": "m"}, {"role": "user", "content": "y", "external_id": "m"}',
        "invalid messages[1].external_id 'm'",
    ),
}
ALL_BAD = BAD | {
    f"message: {name}": (f'{{"messages": [{text}]}}'.encode(), reason) for name, (text, reason) in BAD_MESSAGES.items()
}


@pytest.mark.parametrize("name", ALL_BAD)
def test_bad_line_refuses_the_whole_import_and_says_where(project: Project, name: str) -> None:
    line, reason = ALL_BAD[name]
    good = source_of(HELLO).getvalue()

    with pytest.raises(ImportRejected) as caught:
        import_conversations(project, io.BytesIO(good + line + b"\n"))

    assert reason in str(caught.value)
    assert caught.value.line == 2 + (name == "mark in the middle")
    assert project.conversations.list() == []


def test_same_id_on_two_lines_is_refused(project: Project) -> None:
    with pytest.raises(ImportRejected, match="line 1 has it too"):
        import_conversations(project, source_of(HELLO, HELLO))


def test_errors_tell_no_content(project: Project) -> None:
    with pytest.raises(ImportRejected) as caught:
        import_conversations(project, source_of({"messages": [{"role": "user", "content": ["secret"]}]}))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", ["x" * 2001, "é" * 1001])
def test_content_above_the_limit_of_the_project_is_refused(make_project: Maker, content: str) -> None:
    project = make_project(max_content_bytes=2000)

    with pytest.raises(ImportRejected, match="too large"):
        import_conversations(project, source_of(talk("c-1", content)))


def test_long_line_is_refused_without_being_read_whole(project: Project) -> None:
    class Endless(io.RawIOBase):
        asked = 0

        def readable(self) -> bool:
            return True

        def readline(self, size: int | None = -1, /) -> bytes:
            self.asked += size or 0
            return b" " * (size or 0)

    source = Endless()
    with pytest.raises(ImportRejected, match="longer than 1000 bytes"):
        import_conversations(project, source, max_line_bytes=1000)  # type: ignore[arg-type]

    assert source.asked == 1001


def test_large_source_is_refused(project: Project) -> None:
    with pytest.raises(ImportRejected, match=r"larger than 100 bytes \(max_bytes\)"):
        import_conversations(project, source_of(HELLO), max_bytes=100)


@pytest.mark.parametrize("argument", ["max_bytes", "max_line_bytes"])
def test_limits_are_checked(project: Project, argument: str) -> None:
    with pytest.raises(InvalidArgument, match=argument):
        import_conversations(project, source_of(HELLO), **{argument: 0})


def test_missing_file_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ImportRejected, match="No such file"):
        import_conversations(project, tmp_path / "nothing.jsonl")


def test_folder_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ImportRejected, match=r"Is a directory|Permission denied"):
        import_conversations(project, tmp_path)


@pytest.mark.parametrize("source", [5, None, b"talks.jsonl", "", "a\0b"])
def test_no_source_is_refused(project: Project, source: Any) -> None:
    with pytest.raises(InvalidArgument, match="source"):
        import_conversations(project, source)


def test_text_that_was_decoded_with_surrogates_is_refused(project: Project) -> None:
    with pytest.raises(ImportRejected, match="not valid text"):
        import_conversations(project, io.StringIO('{"id": "\udcff"}'))


def test_open_database_is_never_opened_as_a_source(project: Project) -> None:
    project.conversations.create()

    with pytest.raises(InvalidArgument, match="a database in use"):
        import_conversations(project, project.database_path())


def test_pipe_is_read_once(project: Project) -> None:
    read, write = os.pipe()
    os.write(write, source_of(HELLO).getvalue())
    os.close(write)

    with os.fdopen(read, "rb") as stream:
        import_conversations(project, stream)

    assert contents_of(project, "c-1") == ["Hello", "Hi!"]


def test_rejected_import_leaves_no_file(make_project: Maker, tmp_path: Path) -> None:
    project = make_project("untouched")

    with pytest.raises(ImportRejected):
        import_conversations(project, io.BytesIO(b"{}"))

    assert not (tmp_path / "untouched").exists()


def test_source_of_standard_input_has_a_name(project: Project) -> None:
    stream = io.BytesIO(b"x")
    stream.name = "<stdin>"  # type: ignore[attr-defined]

    with pytest.raises(ImportRejected, match=r"import rejected \(<stdin>, line 1\)"):
        import_conversations(project, stream)
