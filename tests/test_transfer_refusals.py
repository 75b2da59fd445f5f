"""Importing JSON Lines: what is refused, and that nothing is written then."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from import_tools import HELLO, Maker, contents_of, source_of, talk

from peewee_conv import Project
from peewee_conv.errors import ImportRejected, InvalidArgument
from peewee_conv.feature_transfer import import_features
from peewee_conv.transfer import import_conversations

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


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_open_database_is_never_opened_as_a_source(project: Project, suffix: str) -> None:
    project.conversations.create()
    path = f"{project.database_path()}{suffix}"

    with pytest.raises(InvalidArgument, match="a database in use"):
        import_conversations(project, path)
    with pytest.raises(InvalidArgument, match="a database in use"):
        import_features(project, path)


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
