"""Exporting: the same content to the byte, in a stable order, whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peewee_conv import Project
from peewee_conv.errors import AlreadyExists, ConversationNotFound, ImportRejected, InvalidArgument
from peewee_conv.feature_transfer import export_features
from peewee_conv.records import Conversation, Message
from peewee_conv.transfer import (
    _PAGE,
    ExportReport,
    export_conversations,
    export_markdown,
    import_conversations,
    import_markdown,
)
from peewee_conv.transfer_lines import Limits
from peewee_conv.transfer_markdown import chunks, conversations

Maker = Callable[..., Project]


@pytest.fixture
def filled(project: Project) -> Project:
    """A project with three conversations; the first one has the newest activity."""
    for id in ("c", "b", "a"):
        project.conversations.create(id=id)
        project.conversations.add_message(id, "user", f"Hello from {id}")
    project.conversations.add_message("c", "assistant", "Hi\u2028 \U0001f600\0", token_count=3, external_id="m")
    return project


def exported(project: Project, **options: Any) -> bytes:
    stream = io.BytesIO()
    export_conversations(project, stream, **options)
    return stream.getvalue()


def as_markdown(project: Project, *args: Any) -> bytes:
    stream = io.BytesIO()
    export_markdown(project, stream, *args)
    return stream.getvalue()


# --- JSON Lines ---


def test_export_is_in_the_order_of_the_numbers(filled: Project) -> None:
    lines = [json.loads(line) for line in exported(filled).split(b"\n")[:-1]]

    assert [line["id"] for line in lines] == ["c", "b", "a"]


def test_export_has_the_shape_of_chat_completions(filled: Project) -> None:
    line = json.loads(exported(filled, conversation_ids=["a"]))

    assert [(message["role"], message["content"]) for message in line["messages"]] == [("user", "Hello from a")]
    assert list(line) == ["id", "title", "created_at", "messages"]


def test_export_of_some_ids_has_each_once(filled: Project) -> None:
    lines = exported(filled, conversation_ids=["a", "c", "a"]).split(b"\n")[:-1]

    assert [json.loads(line)["id"] for line in lines] == ["c", "a"]


def test_export_tells_no_owners(filled: Project) -> None:
    bot = filled.assistants.create(name="secret bot", instructions="secret", model="m")
    filled.conversations.update("a", assistant_id=bot.id)

    assert b"secret" not in exported(filled)
    assert bot.id.encode() not in exported(filled)


def test_export_of_nothing_is_empty(project: Project) -> None:
    assert exported(project) == b""


def test_export_reports_what_it_wrote(filled: Project, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    report = export_conversations(filled, tmp_path / "x.jsonl", on_progress=lambda *at: seen.append(at))

    assert report == ExportReport(3, 4)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_export_then_import_is_identity(filled: Project, make_project: Maker) -> None:
    other = make_project("other")

    import_conversations(other, io.BytesIO(exported(filled)))

    assert exported(other) == exported(filled)


def test_importing_an_export_into_its_own_project_changes_nothing(filled: Project) -> None:
    filled.conversations.update("a", title=None)
    filled.conversations.prune("c", 1)

    assert import_conversations(filled, io.BytesIO(exported(filled))).is_unchanged


def test_null_in_the_metadata_survives(project: Project, make_project: Maker) -> None:
    project.conversations.create(id="c", metadata={"tools": None})
    project.conversations.add_message("c", "user", "x", metadata={"refusal": None, "name": "n", "weight": 0})
    other = make_project("other")

    import_conversations(other, io.BytesIO(exported(project)))

    assert other.conversations.messages("c")[0].metadata == {"refusal": None, "name": "n", "weight": 0}
    assert other.conversations.get("c").metadata == {"tools": None}


def test_long_conversation_is_exported_whole(project: Project) -> None:
    project.conversations.create(id="long")
    project.conversations.add_messages("long", [{"role": "user", "content": str(n)} for n in range(_PAGE * 2)])

    line = json.loads(exported(project))

    assert [message["content"] for message in line["messages"]] == [str(n) for n in range(_PAGE * 2)]


def test_export_goes_on_where_a_conversation_is_deleted_meanwhile(filled: Project) -> None:
    stream = io.BytesIO()

    export_conversations(filled, stream, on_progress=lambda *at: filled.conversations.delete("b"))

    assert [json.loads(line)["id"] for line in stream.getvalue().splitlines()] == ["c", "a"]


def test_export_writes_text_to_a_stream_of_text(filled: Project) -> None:
    stream = io.StringIO()

    export_conversations(filled, stream)

    assert stream.getvalue().encode() == exported(filled)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.text() | st.sampled_from(["name", "tool_calls", "refusal", "tools", "weight"])
MARKS = ("<!-- message {} -->", "<!-- conversation {} -->", "\\<!-- message ", "<!-- message", "-->", "{}", "<!-- ")
PIECES = st.sampled_from(
    ["\n", "\n\n", "\r\n", "\r", "# Title", "## user", "```", "---", "\\", " ", "\t", "\0", "\u2028", "\ufeff", *MARKS]
)
CONTENTS = st.text() | st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer"]), "content": CONTENTS},
    optional={"metadata": st.dictionaries(NAMES, JSON, max_size=3), "token_count": st.integers(0, 2**31 - 1)},
)
TALKS = st.lists(
    st.tuples(
        st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
        st.dictionaries(NAMES, JSON, max_size=3),
        st.lists(MESSAGES, max_size=5),
    ),
    max_size=3,
)


def emptied(project: Project) -> Project:
    for conversation in project.conversations.list():
        project.conversations.delete(conversation.id)
    return project


def fill(project: Project, talks: list[Any]) -> None:
    for number, (title, metadata, messages) in enumerate(talks):
        project.conversations.create(id=f"c {number} -->", title=title, metadata=metadata)
        project.conversations.add_messages(f"c {number} -->", messages)


@given(talks=TALKS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_conversation_survives_json_lines_and_markdown(
    make_project: Maker, tmp_path: Path, talks: list[Any]
) -> None:
    names = [f"{kind}-{len(os.listdir(tmp_path))}" for kind in ("first", "json", "markdown")]
    first, by_json, by_markdown = (make_project(name, durability="normal") for name in names)
    fill(first, talks)

    import_conversations(by_json, io.BytesIO(exported(first)))
    import_markdown(by_markdown, io.BytesIO(as_markdown(first)))

    assert [exported(by_json), exported(by_markdown)] == [exported(first)] * 2
    assert as_markdown(by_markdown) == as_markdown(first)


# --- Markdown ---


@given(contents=st.lists(CONTENTS, max_size=6))
@settings(deadline=None)
def test_any_contents_come_back_from_markdown_to_the_byte(contents: list[str]) -> None:
    now = "2026-03-01T12:00:00.000000Z"
    conversation = Conversation.of(
        (1, "c", None, None, None, "T\n# U", len(contents), 0, len(contents), now, now, "{}")
    )
    messages = [
        Message.of(("c", at, "user", content, None, None, None, now, "complete"))
        for at, content in enumerate(contents, 1)
    ]

    text = "".join(chunks(conversation, messages)) * 2
    found = list(conversations(io.BytesIO(text.encode()), Limits(10**6, 10**6)))

    assert [[message["content"] for message in value["messages"]] for _, value in found] == [contents] * 2


MARKDOWN = """\
<!-- conversation {"id": "c-1", "title": "Chains", "created_at": "2026-03-01T12:00:00.000000Z"} -->
# Chains

<!-- message {"created_at": "2026-03-01T12:00:00.000000Z"} -->
## user

# It squeaks

\\<!-- message {} -->
## assistant

<!-- message {"token_count": 2, "created_at": "2026-03-01T12:00:00.000000Z"} -->
## assistant

Oil it.

"""


def test_markdown_is_what_a_person_reads(make_project: Maker, clock: Callable[[], str]) -> None:
    project = make_project(now=clock)
    project.conversations.create(id="c-1", title="Chains")
    project.conversations.add_message("c-1", "user", "# It squeaks\n\n<!-- message {} -->\n## assistant")
    project.conversations.add_message("c-1", "assistant", "Oil it.", token_count=2)

    assert as_markdown(project, "c-1").decode() == MARKDOWN


def test_no_id_ends_a_comment_before_its_end(project: Project) -> None:
    project.conversations.create(id="c --> <script>", title="T")

    first = as_markdown(project).decode().splitlines()[0]

    assert first.index("-->") == len(first) - 3
    assert "<script>" not in first


def test_markdown_written_by_hand_needs_no_more_than_marks(project: Project) -> None:
    text = "<!-- conversation -->\n\n<!-- message -->\n## user\n\nHello\n\n"

    import_markdown(project, io.StringIO(text))

    assert [m.content for m in project.conversations.messages(project.conversations.list()[0].id)] == ["Hello"]


def test_importing_markdown_twice_changes_nothing(project: Project) -> None:
    import_markdown(project, io.StringIO(MARKDOWN))

    assert import_markdown(project, io.StringIO(MARKDOWN)).is_unchanged


BAD_MARKDOWN = {
    "text before": ("Hello\n" + MARKDOWN, "there is text that belongs to no message"),
    "message before": ("<!-- message {} -->\n" + MARKDOWN, "a message stands before the first conversation"),
    "plain Markdown": ("# Title\n\nHello\n", "there is text that belongs to no message"),
    "no heading": (MARKDOWN.replace("## user\n", ""), "a message is a heading '## role', an empty line"),
    "unknown role": (MARKDOWN.replace("## user", "## robot"), "invalid role 'robot'"),
    "no empty line at the end": (MARKDOWN[:-1], "a message is a heading '## role', an empty line"),
    "CR LF": (MARKDOWN.replace("\n", "\r\n"), "on a line that ends in LF"),
    "no JSON": (MARKDOWN.replace('{"token_count"', '{"token_count'), "the comment has no valid JSON"),
    "double key": (MARKDOWN.replace('{"token_count"', '{"token_count": 1, "token_count"'), "no valid JSON"),
    "open comment": (MARKDOWN.replace("} -->\n## assistant\n\nOil", "}\n## assistant\n\nOil"), "is not of the form"),
    "content twice": (
        MARKDOWN.replace('{"token_count"', '{"content": "x", "token_count"'),
        "'content' does not belong",
    ),
    "messages twice": (MARKDOWN.replace('{"id"', '{"messages": [], "id"'), "'messages' does not belong"),
    "unknown key": (MARKDOWN.replace('{"token_count"', '{"token_cout"'), "invalid key of messages[1] 'token_cout'"),
}


@pytest.mark.parametrize("name", BAD_MARKDOWN)
def test_other_markdown_is_refused(project: Project, name: str) -> None:
    text, reason = BAD_MARKDOWN[name]

    with pytest.raises(ImportRejected) as caught:
        import_markdown(project, io.BytesIO(text.encode()))

    assert reason in str(caught.value)
    assert project.conversations.list() == []


def test_markdown_with_bad_utf8_is_refused(project: Project) -> None:
    with pytest.raises(ImportRejected, match=r"line 7\): byte 3 is not valid UTF-8"):
        import_markdown(project, io.BytesIO(MARKDOWN.encode().replace(b"# It", b"# \xff")))


def test_long_markdown_conversation_is_refused(project: Project) -> None:
    with pytest.raises(ImportRejected, match="longer than 200 characters"):
        import_markdown(project, io.StringIO(MARKDOWN), max_line_bytes=200)


# --- files ---


@pytest.mark.parametrize("export", [export_conversations, export_markdown])
def test_file_is_for_its_owner_alone(filled: Project, tmp_path: Path, export: Callable[..., Any]) -> None:
    export(filled, tmp_path / "x")

    assert os.stat(tmp_path / "x").st_mode & 0o777 == 0o600


def test_existing_file_is_not_replaced(filled: Project, tmp_path: Path) -> None:
    target = tmp_path / "x.jsonl"
    target.write_text("mine")

    with pytest.raises(AlreadyExists):
        export_conversations(filled, target)

    assert target.read_text() == "mine"


def test_existing_file_is_replaced_when_asked(filled: Project, tmp_path: Path) -> None:
    target = tmp_path / "x.jsonl"
    target.write_text("old")

    export_conversations(filled, target, overwrite=True)

    assert target.read_bytes() == exported(filled)


def test_file_that_appears_during_the_export_is_not_replaced(filled: Project, tmp_path: Path) -> None:
    target = tmp_path / "x.jsonl"

    with pytest.raises(AlreadyExists):
        export_conversations(filled, target, on_progress=lambda *at: target.write_text("mine"))

    assert target.read_text() == "mine"


def test_failed_export_leaves_no_file(filled: Project, tmp_path: Path) -> None:
    before = sorted(os.listdir(tmp_path))

    with pytest.raises(ZeroDivisionError):
        export_conversations(filled, tmp_path / "x.jsonl", on_progress=lambda *at: 1 // 0)

    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("missing/x.jsonl", "a path in a folder that exists"),
        (".", "something else is there"),
        ("", "target"),
        (5, "target"),
    ],
)
def test_no_target_is_refused(
    filled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidArgument, match=reason):
        export_conversations(filled, target, overwrite=True)


def test_open_database_is_never_replaced_by_an_export(filled: Project, tmp_path: Path) -> None:
    os.link(filled.database_path(), tmp_path / "second-name")

    with pytest.raises(InvalidArgument, match="a database in use"):
        export_conversations(filled, tmp_path / "second-name", overwrite=True)


def test_database_of_a_project_is_never_replaced_by_an_export_though_nobody_has_it_open(filled: Project) -> None:
    filled.dispose()
    project = Project(filled.path)

    for name in ("assistant.db", "assistant.db-wal", "features.db"):
        with pytest.raises(InvalidArgument, match="a project's database, or its log"):
            export_conversations(project, project.database_path().with_name(name), overwrite=True)
    with pytest.raises(InvalidArgument, match="a project's database, or its log"):
        export_features(project, project.database_path())

    assert project.conversations.list()


def test_unknown_conversation_is_refused_before_a_file_is_made(filled: Project, tmp_path: Path) -> None:
    with pytest.raises(ConversationNotFound):
        export_conversations(filled, tmp_path / "x.jsonl", conversation_ids=["a", "nobody"])

    assert not (tmp_path / "x.jsonl").exists()


def test_one_text_is_no_collection_of_ids(filled: Project, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="several ids, not one text"):
        export_conversations(filled, tmp_path / "x.jsonl", conversation_ids="a")


def test_file_without_hard_links_beside_it_is_made_all_the_same(
    filled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    export_conversations(filled, tmp_path / "x.jsonl")

    with pytest.raises(AlreadyExists):
        export_conversations(filled, tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_bytes() == exported(filled)
