"""Conversations and their messages: append, read, window, prune, search."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime

from .. import arguments, keyset, message_queries, statements, window
from ..arguments import UNSET, Unset
from ..database.handle import Handle
from ..errors import AlreadyExists, ConversationNotFound, InvalidArgument
from ..ids import check_id, new_id
from ..message_queries import NewMessage
from ..message_streams import MessageStreams
from ..records import Conversation, Message, Page, SearchHit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    Order = Literal["activity", "created"]

_MARKS = ("[", "]")
_ORDERS = {"activity": ("updated_at", 10), "created": ("created_at", 9)}  # the column, and its place in a record


class Conversations(MessageStreams):
    """The conversations of a project, as ``project.conversations``.

    Messages of a conversation are numbered 1, 2, 3, ... in the order in which they are acknowledged, whoever appends:
    :attr:`~peewee_conv.records.Message.sequence`. No number is ever handed out twice.

    >>> import tempfile
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
    ...     talk = project.conversations.create()
    ...     message = project.conversations.add_message(talk.id, "user", "What's the market outlook?")
    ...     message.sequence, project.conversations.get(talk.id).title
    ...     [found.message.role for found in project.conversations.search("outlook")]
    ...     project.dispose()
    (1, "What's the market outlook?")
    ['user']
    True
    """

    def __init__(self, handle: Handle, owner: str | None = None) -> None:
        self._handle, self._owner = handle, owner or ""
        self._settings = handle.binding.settings
        self._now = self._settings.now
        self._sql = statements.WHOLE_PROJECT if owner is None else statements.OF_ONE_OWNER

    def for_user(self, user_id: str) -> Conversations:
        """Return the same service restricted to one user: the ids of others behave as if they were missing.

        :raises InvalidArgument: *user_id* is no id (``None`` is none), or this service is another user's already.
        """
        return Conversations(self._handle, self._check_owner(check_id("user_id", user_id)))

    # --- conversations ---

    def create(
        self,
        *,
        id: str | None = None,
        assistant_id: str | None = None,
        user_id: str | None = None,
        project_name: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        number: int | None = None,
        created_at: datetime | None = None,
    ) -> Conversation:
        """Store a new, empty conversation and return it.

        :param id: the caller's own id; a time-ordered UUID otherwise.
        :param title: at most 200 characters; an untitled one is titled by its first user message (first 50
            characters, then "...").
        :param metadata: JSON values by name.
        :param number: the integer key, 1 to 2^31-1; the next free one otherwise.
        :raises AlreadyExists: a conversation has that id or number.
        :raises AssistantNotFound: the assistant does not exist.
        :raises UserNotFound: the user does not exist.
        :raises LimitReached: no number is left.
        """
        now = arguments.moment("created_at", created_at, self._now())
        row = (
            None if number is None else arguments.whole("number", number, 1, 2**31 - 1),
            new_id() if id is None else check_id("id", id),
            None if assistant_id is None else check_id("assistant_id", assistant_id),
            self._check_owner(user_id),
            arguments.optional_text("project_name", project_name, 255),
            arguments.optional_text("title", title, 200) or None,
            now,
            now,
            arguments.json_object("metadata", metadata),
        )
        number = self._handle.write(message_queries.create, row)
        head = (number, *row[1:6], 0, 0, 0, now, now, row[8])
        return Conversation.of(head)

    def get(self, conversation_id: str) -> Conversation:
        """Return a conversation.

        :raises ConversationNotFound: there is none of that id.
        """
        found = self.find(conversation_id)
        if found is None:
            raise ConversationNotFound(conversation_id)
        return found

    def find(self, conversation_id: str) -> Conversation | None:
        """Return a conversation, or ``None``."""
        row = self._handle.read(message_queries.one, self._sql.find, self._key(conversation_id))
        return None if row is None else Conversation.of(row)

    def find_by_number(self, number: int) -> Conversation | None:
        """Return the conversation of that integer key, or ``None``."""
        arguments.whole("number", number, -(2**63), 2**63 - 1)
        row = self._handle.read(message_queries.one, self._sql.find_by_number, (number, self._owner))
        return None if row is None else Conversation.of(row)

    def list(
        self,
        *,
        user_id: str | None = None,
        assistant_id: str | None = None,
        project_name: str | None = None,
        order: Order = "activity",
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Conversation]:
        """Return a page of conversations, the newest first.

        :param order: which is new: that of the latest ``"activity"``, or the one ``"created"`` last.
        :param limit: rows of the page, 1 to 1000.
        :param after: the ``next`` of the page before.
        """
        arguments.whole("limit", limit, 1, 1000)
        column, place = _ORDERS[arguments.one_of("order", order, tuple(_ORDERS))]
        filters = self._filters(user_id=user_id, assistant_id=assistant_id, project_name=project_name)
        params = (*filters.values(), *keyset.parse(after), limit + 1)
        rows = self._handle.read(message_queries.rows, statements.listing(tuple(filters), column), params)
        return keyset.page(Conversation.all_of(rows), limit, lambda last: (last[place], last[0]))

    def update(
        self,
        conversation_id: str,
        *,
        title: str | Unset | None = UNSET,
        project_name: str | Unset | None = UNSET,
        assistant_id: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
    ) -> Conversation:
        """Change what is given, keep the rest, and return the conversation as it is now.

        :raises ConversationNotFound: there is none of that id.
        :raises AssistantNotFound: the new assistant does not exist.
        """
        changes: dict[str, str | None] = {}
        if not isinstance(title, Unset):
            changes["title"] = arguments.optional_text("title", title, 200) or None
        if not isinstance(project_name, Unset):
            changes["project_name"] = arguments.optional_text("project_name", project_name, 255)
        if not isinstance(assistant_id, Unset):
            changes["assistant_id"] = None if assistant_id is None else check_id("assistant_id", assistant_id)
        if not isinstance(metadata, Unset):
            changes["metadata"] = arguments.json_object("metadata", metadata)
        key = self._key(conversation_id)
        row = self._handle.write(message_queries.update, self._sql, key, changes, self._now())
        if row is None:
            raise ConversationNotFound(conversation_id)
        return Conversation.of(row)

    def delete(self, conversation_id: str) -> bool:
        """Delete a conversation with all its messages; return whether there was one."""
        return self._handle.write(message_queries.delete, self._sql, self._key(conversation_id))

    # --- messages ---

    def add_message(
        self,
        conversation_id: str,
        role: str,
        content: str,
        *,
        token_count: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        external_id: str | None = None,
        created_at: datetime | None = None,
    ) -> Message:
        """Append a message; when this returns it is on disk.

        :param role: ``system``, ``user``, ``assistant``, ``tool`` or ``developer``.
        :param content: any text, the empty one too, of at most ``max_content_bytes`` bytes.
        :param token_count: tokens of the content; left out, the project's ``count_tokens`` counts, if there is one.
        :param metadata: JSON values by name.
        :param external_id: the caller's own id, unique in the conversation: a retried append returns the stored one.
        :param created_at: an aware time; now otherwise. The order is that of the appends, whatever the time.
        :raises ConversationNotFound: there is none of that id.
        :raises InvalidRole: the role is none of the five.
        :raises InvalidContent: the content cannot be stored.
        :raises AlreadyExists: another message of the conversation has that *external_id*.
        """
        if conversation_id.__class__ is not str:
            check_id("conversation_id", conversation_id)  # SQLite would take 5 for "5"
        new = self._checked(self._now(), role, content, token_count, metadata, external_id, created_at)
        params = (conversation_id, self._owner, *message_queries.bound(new))
        while (key := self._handle.write_statement(message_queries.append, self._sql.append, params)) is None:
            stored = self._stored(conversation_id, new)
            if stored is not None:
                return stored
        return Message.of((conversation_id, key, *new, None))

    def add_messages(self, conversation_id: str, messages: Iterable[Mapping[str, Any]]) -> builtins.list[Message]:
        """Append messages in their order, all or none, and return them.

        :param messages: mappings with ``role`` and ``content`` and, if wanted, the other arguments of
            :meth:`add_message`.
        :raises ConversationNotFound: there is none of that id.
        :raises InvalidArgument: a message is not allowed; the text names its place.
        """
        if not isinstance(messages, Iterable):
            raise InvalidArgument("messages", messages, "an iterable of mappings with 'role' and 'content'")
        now = self._now()
        checked = [self._checked_mapping(now, place, message) for place, message in enumerate(messages)]
        key = self._key(conversation_id)
        rows = self._handle.write(message_queries.append_many, self._sql, key, checked)
        if rows is None:
            raise ConversationNotFound(conversation_id)
        return Message.all_in(conversation_id, rows)

    def messages(
        self, conversation_id: str, *, limit: int = 100, after: int | None = None, before: int | None = None
    ) -> builtins.list[Message]:
        """Return messages in their order: the first ones, those after a sequence, or the last ones before one.

        :param limit: how many at most, 1 to 10000.
        :param after: only messages with a greater sequence, the nearest first.
        :param before: only messages with a smaller sequence, the nearest to it.
        :raises ConversationNotFound: there is none of that id.
        """
        arguments.whole("limit", limit, 1, 10_000)
        if after is not None and before is not None:
            raise InvalidArgument("before", before, "either 'after' or 'before', not both")
        if before is None:
            sequence = 0 if after is None else arguments.whole("after", after, 0, 2**32 - 1)
            return Message.all_in(conversation_id, self._rows(conversation_id, self._sql.after, sequence, limit))
        arguments.whole("before", before, 0, 2**32 - 1)
        rows = self._rows(conversation_id, self._sql.before, before, limit)
        return Message.all_in(conversation_id, reversed(rows))

    def iterate(self, conversation_id: str, *, batch: int = 500) -> Iterator[Message]:
        """Yield all messages in their order, in batches: no lock and no connection is held between them.

        :param batch: messages that are fetched at a time, 1 to 10000.
        :raises ConversationNotFound: there is none of that id; raised by the call, not by the first step.
        """
        arguments.whole("batch", batch, 1, 10_000)
        page = self.messages(conversation_id, limit=batch)
        return self._iterate(conversation_id, page, batch)

    def _iterate(self, conversation_id: str, page: builtins.list[Message], batch: int) -> Iterator[Message]:
        while page:
            yield from page
            if len(page) < batch:
                return
            params = (*self._key(conversation_id), page[-1].sequence, batch)
            page = Message.all_in(conversation_id, self._handle.read(message_queries.rows, self._sql.after, params))

    def context(
        self,
        conversation_id: str,
        *,
        max_messages: int | None = 20,
        max_tokens: int | None = None,
        pin: str | Collection[str] = (),
        count_tokens: Callable[[str], int] | None = None,
    ) -> builtins.list[Message]:
        """Return what a model should see: the newest messages that fit, oldest first.

        At most two reads, each along an index, and no row more than the answer needs, however long the conversation.

        :param max_messages: upper bound in messages; ``None`` for no bound.
        :param max_tokens: upper bound in tokens, pins included; ``None`` for no bound. If the newest message alone
            exceeds it, the window is empty.
        :param pin: any of ``"system"``, ``"developer"`` (messages of that role are always there, whatever their age,
            and do not count towards *max_messages*) and ``"instructions"`` (the assistant's, as a first message of
            sequence 0).
        :param count_tokens: counts a content; left out, the stored counts are taken, and where there is none, one for
            each four characters.
        :raises ConversationNotFound: there is none of that id.

        A tool's result and the call before it, which is the assistant's last message before it, are never split: the
        window has both or neither.
        """
        limit = -1 if max_messages is None else arguments.whole("max_messages", max_messages, 1, 2**31 - 1)
        if pin != () or max_tokens is not None or count_tokens is not None:
            return self._fitting(conversation_id, limit, max_tokens, pin, count_tokens)
        read = self._handle.read(message_queries.newest, self._sql.newest, (*self._key(conversation_id), limit))
        return Message.all_in(conversation_id, read or self._none_or_missing(conversation_id))

    @window.lets_through
    def _fitting(
        self,
        conversation_id: str,
        limit: int,
        max_tokens: int | None,
        pin: str | Collection[str],
        count_tokens: Callable[[str], int] | None,
    ) -> builtins.list[Message]:
        pins = arguments.any_of("pin", pin, window.PINS)
        if max_tokens is not None:
            arguments.whole("max_tokens", max_tokens, 0, arguments.MAX_TOKENS)
        count, key = window.counter(count_tokens), self._key(conversation_id)
        if pins:
            read = self._handle.read_snapshot(
                message_queries.pinned_window, self._sql, key, limit, max_tokens, pins, count
            )
            if read is None:
                raise ConversationNotFound(conversation_id)
            return Message.all_in(conversation_id, read)
        read = self._handle.read(message_queries.newest_window, self._sql.newest, (*key, limit), max_tokens, count)
        return Message.all_in(conversation_id, read or self._none_or_missing(conversation_id))

    def prune(self, conversation_id: str, keep: int) -> int:
        """Delete all but the newest *keep* messages; return how many went.

        :param keep: 0 or more.
        :raises ConversationNotFound: there is none of that id.
        """
        arguments.whole("keep", keep, 0, 2**32)
        pruned = self._handle.write(message_queries.prune, self._sql, self._key(conversation_id), keep)
        if pruned is None:
            raise ConversationNotFound(conversation_id)
        return pruned

    def clear(self, conversation_id: str) -> int:
        """Delete all messages and keep the conversation; return how many went.

        :raises ConversationNotFound: there is none of that id.
        """
        return self.prune(conversation_id, 0)

    # --- search ---

    def search(
        self,
        query: str,
        *,
        conversation_id: str | None = None,
        user_id: str | None = None,
        assistant_id: str | None = None,
        project_name: str | None = None,
        role: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 20,
        marks: tuple[str, str] = _MARKS,
    ) -> builtins.list[SearchHit]:
        """Return the messages that have the words of *query*, the best match first.

        All words must occur; ``"quotes"`` make a phrase, ``OR`` an alternative, ``-`` an exclusion, ``*`` a prefix.
        Case and accents do not matter. What was appended a moment ago is found.

        :param since: only messages from this aware time on.
        :param until: only messages before it.
        :param limit: how many at most, 1 to 1000.
        :param marks: put before and after each found word of the snippet.
        :raises InvalidArgument: the query has no word, or is longer than 1000 characters; another argument is not
            allowed.
        :raises LimitReached: the search took longer than five seconds.
        """
        arguments.whole("limit", limit, 1, 1000)
        owners = self._filters(user_id=user_id, assistant_id=assistant_id, project_name=project_name)
        filters = {f"conversations.{column} = ?": value for column, value in owners.items()} if owners else {}
        if conversation_id is not None:
            filters["conversations.id = ?"] = check_id("conversation_id", conversation_id)
        if role is not None:
            filters["role = ?"] = arguments.role(role)
        if since is not None:
            filters["messages.created_at >= ?"] = arguments.moment("since", since, "")
        if until is not None:
            filters["messages.created_at < ?"] = arguments.moment("until", until, "")
        if marks is not _MARKS:
            marks = arguments.marks(marks)
        rows = message_queries.search(self._handle, query, filters, marks, limit)
        return SearchHit.all_of(rows)

    # --- what the verbs share ---

    def _check_owner(self, user_id: str | None) -> str | None:
        if not self._owner:
            return None if user_id is None else check_id("user_id", user_id)
        if user_id is not None and check_id("user_id", user_id) != self._owner:
            raise InvalidArgument("user_id", user_id, f"{self._owner!r}, the owner of this service, or nothing")
        return self._owner

    def _filters(self, *, user_id: str | None, assistant_id: str | None, project_name: str | None) -> dict[str, str]:
        filters = {}
        owner = self._check_owner(user_id)
        if owner is not None:
            filters["user_id"] = owner
        if assistant_id is not None:
            filters["assistant_id"] = check_id("assistant_id", assistant_id)
        if project_name is not None:
            filters["project_name"] = arguments.text("project_name", project_name, 255)
        return filters

    def _rows(self, conversation_id: str, sql: str, *params: Any) -> Any:
        rows = self._handle.read(message_queries.rows, sql, (*self._key(conversation_id), *params))
        return rows or self._none_or_missing(conversation_id)

    def _stored(self, conversation_id: str, new: NewMessage) -> Message | None:
        """Return the message that an append found in its way; ``None`` if it has gone since then.

        :raises ConversationNotFound: nothing was in the way, there is no conversation.
        :raises AlreadyExists: it is another one.
        """
        key = self._key(conversation_id)
        stored = self._handle.read(message_queries.one, self._sql.by_external_id, (*key, new[4]))
        if stored is None:
            self._none_or_missing(conversation_id)
            return None
        if stored[1:3] != new[:2]:
            raise AlreadyExists("another message with external_id", new[4])
        return Message.of((conversation_id, *stored))
