r"""Conversations as Markdown that a person can read and this package can read back, to the byte.

Each conversation begins with ``<!-- conversation {...} -->`` and a heading with its title, each message with
``<!-- message {...} -->``, a heading with its role, and an empty line; then comes the content as it is, and an empty
line. The comments hold what the headings do not, as JSON. A line of a content that looks like such a comment gets a
backslash before it, which Markdown does not show; nothing else is escaped, so that headings and code stay what they
are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from .errors import ImportRejected
from .records import Conversation, Message
from .transfer_lines import Limits, Source, decode, lines_of, name_of
from .transfer_shape import conversation_dict, message_dict

_MARK: Final = re.compile(r"<!-- (conversation|message) (?:(\{.*\}) )?-->")
_ESCAPED = re.compile(r"^(\\*<!-- (?:conversation|message) )", re.MULTILINE)
_HEADING = re.compile(r"## (\w+)")

# --- the way out ---


def chunks(conversation: Conversation, messages: Iterable[Message]) -> Iterator[str]:
    """Yield the text of one conversation, piece by piece."""
    head = conversation_dict(conversation)
    title = " ".join((conversation.title or conversation.id).split())
    yield f"{_mark('conversation', head)}\n# {title}\n\n"
    for message in messages:
        fields = message_dict(message)
        role, content = fields.pop("role"), fields.pop("content")
        yield f"{_mark('message', fields)}\n## {role}\n\n{_escape(content)}\n\n"


def _mark(kind: str, fields: dict[str, Any]) -> str:
    # A comment ends at "-->", wherever it stands.
    text = json.dumps(fields, ensure_ascii=False).replace(">", "\\u003e").replace("<", "\\u003c")
    return f"<!-- {kind} {text} -->"


def _escape(content: str) -> str:
    return _ESCAPED.sub(r"\\\1", content) if "<!-- " in content else content


# --- the way in ---


def conversations(source: Source, limits: Limits) -> Iterator[tuple[int, Any]]:
    """Yield each conversation as a dictionary, with the number of its first line.

    :raises ImportRejected: the text is not of this form.
    """
    reader = _Reader(name_of(source), limits.line)
    for number, data in lines_of(source, limits):
        try:
            done = reader.take(number, data.decode())
        except UnicodeDecodeError as error:
            raise ImportRejected(name_of(source), number, f"byte {error.start + 1} is not valid UTF-8") from error
        if done is not None:
            yield done
    done = reader.end()
    if done is not None:
        yield done


class _Reader:
    """Puts lines together to conversations."""

    def __init__(self, name: str, limit: int) -> None:
        self._name, self._limit = name, limit
        self._line = self._start = self._size = 0
        self._conversation: dict[str, Any] | None = None
        self._message: dict[str, Any] | None = None
        self._text: list[str] = []  # the lines since the last mark

    def take(self, number: int, line: str) -> tuple[int, Any] | None:
        """Take one line; return the conversation before it where it begins another one."""
        self._line = number
        self._size += len(line)
        if self._size > self._limit:
            raise self._rejected(f"the conversation is longer than {self._limit} characters (max_line_bytes)")
        if not line.startswith("<!-- ") or (mark := self._parse(line)) is None:
            self._text.append(line[1:] if line.startswith("\\") and _ESCAPED.match(line) else line)
            return None
        kind, fields = mark
        if kind == "message":
            self._end_part()
            self._message = fields
            return None
        done = self.end()
        self._conversation, self._start, self._size = {**fields, "messages": []}, number, len(line)
        return done

    def _parse(self, line: str) -> tuple[str, dict[str, Any]] | None:
        if not re.match(r"<!-- (conversation|message) ", line):
            return None
        mark = _MARK.fullmatch(line.removesuffix("\n"))
        if mark is None:
            raise self._rejected("the comment is not of the form <!-- message {...} --> on a line that ends in LF")
        try:
            fields = decode(mark[2] or "{}")
        except (ValueError, RecursionError) as error:
            raise self._rejected(f"the comment has no valid JSON ({type(error).__name__})") from error
        if mark[1] == "message" and self._conversation is None:
            raise self._rejected("a message stands before the first conversation")
        for name in ("messages",) if mark[1] == "conversation" else ("role", "content"):
            if name in fields:
                raise self._rejected(f"{name!r} does not belong into the comment")
        return mark[1], fields

    def end(self) -> tuple[int, Any] | None:
        """Return the conversation that ends here, if there is one."""
        self._end_part()
        done, self._conversation = self._conversation, None
        return None if done is None else (self._start, done)

    def _end_part(self) -> None:
        """Finish the message that ends here, or the heading of the conversation."""
        text, self._text = "".join(self._text), []
        message, self._message = self._message, None
        if message is None:
            self._check_heading(text)
            return
        heading, _, rest = text.partition("\n")
        found = _HEADING.fullmatch(heading)
        if found is None or not rest.startswith("\n") or not rest.endswith("\n\n") or len(rest) < 3:
            raise self._rejected("a message is a heading '## role', an empty line, the content and an empty line")
        if self._conversation is not None:
            self._conversation["messages"].append({"role": found[1], "content": rest[1:-2], **message})

    def _check_heading(self, text: str) -> None:
        lines = text.split("\n")
        rest = lines[1:] if self._conversation is not None and lines[0].startswith("# ") else lines
        if any(line.strip() for line in rest):
            raise self._rejected("there is text that belongs to no message")

    def _rejected(self, reason: str) -> ImportRejected:
        return ImportRejected(self._name, self._line, reason)
