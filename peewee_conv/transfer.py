"""Conversations in and out: JSON Lines in the shape of chat completions, and Markdown.

An import reads its source once and checks all of it before the first write; what it stores, it stores in short
transactions of whole conversations, so that others can write meanwhile. Doing it again changes nothing, and finishes
an import that was killed. An export is written whole or not at all.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from . import arguments, message_queries
from .database.handle import Handle
from .drafts import draft_of, target_path
from .errors import ConversationNotFound, DatabaseCorrupt, InvalidArgument
from .ids import check_id
from .records import Conversation, Message
from .schemas import assistant
from .statements import CONVERSATION, WHOLE_PROJECT
from .transfer_lines import Limits, Source, json_lines, name_of
from .transfer_shape import Checker, conversation_dict, message_dict
from .transfer_store import ImportReport as ImportReport
from .transfer_store import Progress, store

if TYPE_CHECKING:
    from .project import Project

logger = logging.getLogger("peewee_conv")

#: A path, or something open for writing text or bytes.
Target = str | os.PathLike[str] | IO[bytes] | IO[str]

_PAGE = 500  # rows that an export has in memory


class ExportReport(NamedTuple):
    """How much an export wrote."""

    conversations: int
    messages: int


def import_conversations(
    project: Project,
    source: Source,
    *,
    assistant_id: str | None = None,
    user_id: str | None = None,
    on_progress: Progress | None = None,
    max_bytes: int = 4 * 1024**3,
    max_line_bytes: int = 64 * 1024**2,
) -> ImportReport:
    """Store the conversations of a JSON Lines source, one on each line, and say what was new.

    A conversation that is stored already, by its id, must begin with the same messages: what is missing is appended.
    Its title, metadata and owners stay as they are.

    :param source: a path, or something open for reading; it is read once.
    :param assistant_id: the assistant of the conversations that are new.
    :param user_id: their user.
    :param on_progress: called with the conversations done and their number, once all are checked.
    :param max_bytes: the largest source.
    :param max_line_bytes: the longest line.
    :raises ImportRejected: something is wrong with the source, or a conversation is stored with other messages.
    :raises AssistantNotFound: the assistant does not exist.
    :raises UserNotFound: the user does not exist.
    """
    limits = _limits(max_bytes, max_line_bytes)
    checker = Checker(project.conversations, project._binding.settings.now(), assistant_id, user_id)
    return _logged(project, store(project, name_of(source), json_lines(source, limits), checker, on_progress))


def import_markdown(
    project: Project,
    source: Source,
    *,
    assistant_id: str | None = None,
    user_id: str | None = None,
    on_progress: Progress | None = None,
    max_bytes: int = 4 * 1024**3,
    max_line_bytes: int = 64 * 1024**2,
) -> ImportReport:
    """Store the conversations of Markdown as :func:`export_markdown` writes it; else as :func:`import_conversations`.

    :param max_line_bytes: the longest conversation.
    """
    from .transfer_markdown import conversations

    limits = _limits(max_bytes, max_line_bytes)
    checker = Checker(project.conversations, project._binding.settings.now(), assistant_id, user_id)
    return _logged(project, store(project, name_of(source), conversations(source, limits), checker, on_progress))


def export_conversations(
    project: Project,
    target: Target,
    *,
    conversation_ids: Collection[str] | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> ExportReport:
    """Write conversations as JSON Lines, in the order of their numbers, each as it is when its turn comes.

    :param target: the path of the file, which appears whole or not at all, readable for its owner alone; or something
        open for writing.
    :param conversation_ids: which ones; all of them otherwise.
    :param overwrite: replace a file that is there.
    :param on_progress: called with the conversations done and their number.
    :raises FileAlreadyExists: there is a file, and *overwrite* is false.
    :raises ConversationNotFound: there is none of one of the ids.
    """
    return _export(project, target, _json_line, conversation_ids, overwrite, on_progress)


def export_markdown(
    project: Project,
    target: Target,
    conversation_id: str | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> ExportReport:
    """Write one conversation, or all of them, as Markdown; else as :func:`export_conversations`."""
    from .transfer_markdown import chunks

    ids = None if conversation_id is None else (conversation_id,)
    return _export(project, target, chunks, ids, overwrite, on_progress)


def _logged(project: Project, report: ImportReport) -> ImportReport:
    new = report.conversations_added, report.messages_added
    logger.info("%s: %d conversations and %d messages imported from %s", project.path, *new, report.source)
    return report


def _limits(max_bytes: int, max_line_bytes: int) -> Limits:
    return Limits(
        arguments.whole("max_bytes", max_bytes, 1, 2**63 - 1),
        arguments.whole("max_line_bytes", max_line_bytes, 1, 2**31 - 1),
    )


# --- export ---

_Format = Callable[[Conversation, Iterable[Message]], Iterator[str]]
_NUMBERS = "SELECT number FROM conversations WHERE number > ? ORDER BY number LIMIT ?"
_HEAD = f"SELECT {CONVERSATION} FROM conversations WHERE number = ?"


def _json_line(conversation: Conversation, messages: Iterable[Message]) -> Iterator[str]:
    head = json.dumps(conversation_dict(conversation), ensure_ascii=False)
    yield head[:-1] + ', "messages": ['
    separator = ""
    for message in messages:
        yield separator + json.dumps(message_dict(message), ensure_ascii=False)
        separator = ", "
    yield "]}\n"


def _export(
    project: Project,
    target: Target,
    form: _Format,
    conversation_ids: Collection[str] | None,
    overwrite: bool,
    on_progress: Progress | None,
) -> ExportReport:
    handle = Handle(project._binding, assistant)
    numbers = None if conversation_ids is None else _numbers(handle, conversation_ids)
    if hasattr(target, "write"):
        report = _write(handle, target, form, numbers, on_progress)
    else:
        path = target_path(project._binding, "target", target, overwrite=overwrite)
        with draft_of(path, overwrite=overwrite) as draft, open(draft, "wb") as stream:
            report = _write(handle, stream, form, numbers, on_progress)
    logger.info("%s: %d conversations with %d messages exported to %s", project.path, *report, name_of(target))
    return report


def _write(
    handle: Handle, stream: Any, form: _Format, numbers: list[int] | None, on_progress: Progress | None
) -> ExportReport:
    is_text = isinstance(stream, io.TextIOBase)
    total = len(numbers) if numbers is not None else handle.read(_one_value, "SELECT count(*) FROM conversations")
    conversations = messages = 0

    def counted(found: Iterable[Message]) -> Iterator[Message]:
        nonlocal messages
        for message in found:
            messages += 1
            yield message

    for conversation, found in _conversations(handle, numbers):
        for chunk in _checked(handle, form(conversation, counted(found))):
            stream.write(chunk if is_text else chunk.encode())
        conversations += 1
        if on_progress is not None:
            on_progress(conversations, max(total, conversations))
    return ExportReport(conversations, messages)


def _checked(handle: Handle, chunks: Iterator[str]) -> Iterator[str]:
    try:
        yield from chunks
    except TypeError as error:  # bytes where the rules of the file want text
        raise DatabaseCorrupt(handle.binding.path(handle.schema), "a row holds what is no text") from error


def _numbers(handle: Handle, ids: Collection[str]) -> list[int]:
    if isinstance(ids, str):
        raise InvalidArgument("conversation_ids", ids, "several ids, not one text")
    numbers = set()
    for id in ids:
        found = handle.read(message_queries.one, WHOLE_PROJECT.key, (check_id("conversation_ids", id), ""))
        if found is None:
            raise ConversationNotFound(id)
        numbers.add(found[0])
    return sorted(numbers)


def _conversations(handle: Handle, numbers: list[int] | None) -> Iterator[tuple[Conversation, Iterator[Message]]]:
    """Yield conversations with their messages; nothing is held between two reads."""
    for number in _all_numbers(handle) if numbers is None else numbers:
        head, rows = handle.read_snapshot(_begin, number)
        if head is not None:  # not deleted meanwhile
            yield Conversation.of(head), _messages(handle, head[1], rows)


def _all_numbers(handle: Handle) -> Iterator[int]:
    last = 0
    while rows := handle.read(message_queries.rows, _NUMBERS, (last, _PAGE)):
        yield from (number for (number,) in rows)
        last = rows[-1][0]


def _begin(connection: sqlite3.Connection, number: int) -> tuple[Any, list[Any]]:
    """Return a conversation and its first messages, as they are at one moment."""
    head = message_queries.one(connection, _HEAD, (number,))
    if head is None:
        return None, []
    return head, message_queries.rows(connection, WHOLE_PROJECT.after, (head[1], "", 0, _PAGE))


def _messages(handle: Handle, id: str, rows: list[Any]) -> Iterator[Message]:
    while rows:
        yield from Message.all_in(id, rows)
        if len(rows) < _PAGE:
            return
        rows = handle.read(message_queries.rows, WHOLE_PROJECT.after, (id, "", rows[-1][0] & 0xFFFFFFFF, _PAGE))


def _one_value(connection: sqlite3.Connection, sql: str) -> Any:
    return message_queries.one(connection, sql, ())[0]
