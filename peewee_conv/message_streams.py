"""Messages that are written piece by piece, while a model answers: what is written survives a killed server.

Each piece is on disk when the call returns. A message is ``streaming`` until it is finished or interrupted; one whose
server died is found by the age of its last piece.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from . import arguments, message_queries, search_index
from .clock import from_text, to_text
from .database.handle import Handle
from .errors import AlreadyExists, ConversationNotFound, InvalidArgument, MessageNotFound, MessageStateConflict
from .ids import check_id
from .message_queries import Key, NewMessage, Row, one
from .records import Message
from .settings import Settings
from .statements import STALE, Statements, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_ROLES = ("assistant", "tool")
_MAX_AGE = 366 * 86_400

Count = Callable[[str], int] | None


class MessageStreams:
    """The part of the conversations service that writes messages piece by piece.

    >>> import tempfile
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
    ...     talk = project.conversations.create()
    ...     answer = project.conversations.begin_message(talk.id)
    ...     for piece in ("The market ", "is calm."):
    ...         answer = project.conversations.extend_message(talk.id, answer.sequence, piece)
    ...     answer.status, project.conversations.finish_message(talk.id, answer.sequence).status, answer.content
    ...     project.dispose()
    ('streaming', 'complete', 'The market is calm.')
    True
    """

    _handle: Handle
    _owner: str
    _settings: Settings
    _sql: Statements
    _now: Callable[[], str]

    def begin_message(
        self,
        conversation_id: str,
        role: str = "assistant",
        content: str = "",
        *,
        metadata: Mapping[str, Any] | None = None,
        external_id: str | None = None,
    ) -> Message:
        """Append a message that is to be extended, and return it. Its status is ``"streaming"``.

        Until it ends, a context leaves it out. Its tokens are counted at its end.

        :param role: ``assistant`` or ``tool``.
        :param content: how it begins.
        :raises ConversationNotFound: there is none of that id.
        :raises AlreadyExists: a message of the conversation has that *external_id*.
        """
        now = self._now()
        row = (
            arguments.one_of("role", role, _ROLES),
            arguments.content(content, self._settings.max_content_bytes),
            "" if metadata is None else arguments.json_object("metadata", metadata),
            "" if external_id is None else check_id("external_id", external_id),
            now,
        )
        params = (*self._key(conversation_id), *row)
        key = self._handle.write_statement(message_queries.append, self._sql.begin, params)
        if key is None:
            self._none_or_missing(conversation_id)
            raise AlreadyExists("message with external_id", external_id)
        return Message.of((conversation_id, key, *row[:2], None, row[2] or None, row[3] or None, now, "streaming"))

    def extend_message(self, conversation_id: str, sequence: int, text: str) -> Message:
        """Append *text* to the content of a message that is being written, and return the message.

        An interrupted message goes on: whoever writes it was only slow.

        :raises MessageNotFound: there is none of that sequence.
        :raises MessageStateConflict: it is complete.
        :raises InvalidContent: it would get longer than ``max_content_bytes``.
        """
        limit = self._settings.max_content_bytes
        arguments.content(text, limit)
        return self._rewritten(conversation_id, sequence, _extend, text, limit, self._now())

    def finish_message(
        self,
        conversation_id: str,
        sequence: int,
        *,
        content: str | None = None,
        token_count: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Message:
        """Mark a message that was written piece by piece as complete, and return it.

        :param content: in place of the pieces, if it is given.
        :param token_count: left out, the project's ``count_tokens`` counts, if there is one.
        :param metadata: in place of what it has, if it is given.
        :raises MessageNotFound: there is none of that sequence.
        :raises MessageStateConflict: it is complete.
        """
        new = (
            None if content is None else arguments.content(content, self._settings.max_content_bytes),
            None if token_count is None else arguments.token_count(token_count),
            None if metadata is None else arguments.json_object("metadata", metadata),
        )
        return self._rewritten(
            conversation_id, sequence, _finish, "complete", new, self._settings.count_tokens, self._now()
        )

    def interrupt_message(self, conversation_id: str, sequence: int) -> Message:
        """Mark a message that is being written as interrupted, and return it with what there is of it.

        :raises MessageNotFound: there is none of that sequence.
        :raises MessageStateConflict: it is complete.
        """
        nothing = (None, None, None)
        return self._rewritten(
            conversation_id, sequence, _finish, "interrupted", nothing, self._settings.count_tokens, self._now()
        )

    def interrupt_stale(self, older_than_seconds: int = 60) -> int:
        """Mark the messages that nobody writes any more as interrupted; return how many.

        For the start of a server, and once in a while: it finds what a killed server has left behind.

        :param older_than_seconds: how long ago their last piece came, at least; 0 to 366 days.
        """
        arguments.whole("older_than_seconds", older_than_seconds, 0, _MAX_AGE)
        now = self._now()
        until = to_text(from_text(now) - timedelta(seconds=older_than_seconds))
        return self._handle.write(_interrupt_stale, self._owner, until, self._settings.count_tokens, now)

    def _rewritten(self, conversation_id: str, sequence: int, work: Callable[..., Any], *args: Any) -> Message:
        arguments.whole("sequence", sequence, 1, 2**32 - 1)
        key = self._key(conversation_id)
        row = self._handle.write(_rewrite, self._sql, key, sequence, work, args)
        return Message.of((conversation_id, *row)) if row is not None else self._no_message(conversation_id, sequence)

    def _no_message(self, conversation_id: str, sequence: int) -> NoReturn:
        self._none_or_missing(conversation_id)
        raise MessageNotFound(f"{conversation_id}/{sequence}")

    # --- what all verbs of messages share ---

    def _key(self, conversation_id: str) -> Key:
        return check_id("conversation_id", conversation_id), self._owner

    def _checked(
        self,
        now: str,
        role: str,
        content: str,
        token_count: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        external_id: str | None = None,
        created_at: datetime | None = None,
    ) -> NewMessage:
        content = arguments.content(content, self._settings.max_content_bytes)
        if token_count is None and self._settings.count_tokens is not None:
            token_count = self._settings.count_tokens(content)
        return (
            arguments.role(role),
            content,
            None if token_count is None else arguments.token_count(token_count),
            None if metadata is None else arguments.optional_json_object("metadata", metadata),
            None if external_id is None else check_id("external_id", external_id),
            now if created_at is None else arguments.moment("created_at", created_at, now),
        )

    def _checked_mapping(self, now: str, place: int, message: Mapping[str, Any]) -> NewMessage:
        if not isinstance(message, (dict, Mapping)):
            raise InvalidArgument(f"messages[{place}]", type(message).__name__, "a mapping with 'role' and 'content'")
        try:
            return self._checked(now, **message)
        except TypeError:  # a keyword too few or too many; or the caller's count_tokens raised it
            if message.keys() >= message_queries.NEEDED_KEYS and message.keys() <= message_queries.KEYS:
                raise
            allowed = "keys role and content and, if wanted, " + ", ".join(sorted(message_queries.OPTIONAL_KEYS))
            raise InvalidArgument(f"messages[{place}]", sorted(map(str, message)), allowed) from None
        except InvalidArgument as error:
            error.args = (f"messages[{place}]: {error.args[0]}",)
            raise

    def _none_or_missing(self, conversation_id: str) -> list[Any]:
        """Tell an empty conversation from a missing one: asked only where there is no row."""
        key = self._key(conversation_id)
        if self._handle.read(one, self._sql.exists, key) is None:
            raise ConversationNotFound(conversation_id)
        return []


# --- on a connection ---

_ID, _CONTENT, _TOKENS, _METADATA, _STATUS = 0, 2, 3, 4, 7  # places in a row of statements.MESSAGE


def _rewrite(
    connection: sqlite3.Connection,
    sql: Statements,
    key: Key,
    sequence: int,
    work: Callable[..., Row],
    args: tuple[Any, ...],
) -> Row | None:
    """Put what *work* makes of a message in its place and return it; ``None`` where there is no such message."""
    found = run(connection, sql.unfinished, (*key, sequence)).fetchone()
    return None if found is None else work(connection, found[:-1], found[-1], *args)


def _extend(connection: sqlite3.Connection, row: Row, is_indexed: bool, text: str, limit: int, now: str) -> Row:
    content = arguments.content(_open_content(row) + text, limit)
    return _store(connection, row, is_indexed, content, row[_TOKENS], row[_METADATA], "streaming", now)


def _finish(
    connection: sqlite3.Connection,
    row: Row,
    is_indexed: bool,
    status: str,
    new: tuple[str | None, int | None, str | None],
    count: Count,
    now: str,
) -> Row:
    so_far = _open_content(row)
    content, tokens, metadata = new
    content = so_far if content is None else content
    if tokens is None and count is not None:
        tokens = arguments.token_count(count(content), "answer of count_tokens")
    connection.execute(
        "UPDATE conversations SET token_count = token_count + ?, updated_at = max(updated_at, ?) WHERE number = ?",
        ((tokens or 0) - (row[_TOKENS] or 0), now, row[_ID] >> 32),
    )
    return _store(connection, row, is_indexed, content, tokens, metadata or row[_METADATA], status, None)


def _open_content(row: Row) -> str:
    if row[_STATUS] is None:  # as statements.MESSAGE reads it
        raise MessageStateConflict(row[_ID] & 0xFFFFFFFF, "it is complete")
    content: str = row[_CONTENT]
    return content


def _store(
    connection: sqlite3.Connection,
    row: Row,
    is_indexed: bool,
    content: str,
    tokens: int | None,
    metadata: str | None,
    status: str,
    streamed_at: str | None,
) -> Row:
    if is_indexed:  # somebody searched meanwhile
        search_index.replace(connection, row[_ID], row[_CONTENT], content)
    connection.execute(
        "UPDATE messages SET content = ?, token_count = ?, metadata = ?, status = ?, streamed_at = ? WHERE id = ?",
        (content, tokens, metadata, status, streamed_at, row[_ID]),
    )
    return (*row[:2], content, tokens, metadata, *row[5:7], None if status == "complete" else status)


def _interrupt_stale(connection: sqlite3.Connection, owner: str, until: str, count: Count, now: str) -> int:
    found = connection.execute(STALE, (until, owner, owner)).fetchall()
    for row in found:
        _finish(connection, row[:-1], row[-1], "interrupted", (None, None, None), count, now)
    return len(found)
