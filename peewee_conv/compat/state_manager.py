"""The Sovereign Assistant's ``database``: the same names over this package.

>>> manager = StateManager("sqlite:///:memory:")
>>> manager.list_assistants()
[]
>>> manager.engine.dispose()

Threads are conversations of this package, and the ids of messages are their ``external_id``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..arguments import UNSET
from ..ids import new_id
from ..project import Project
from ..records import Conversation, Page
from . import urls, walks
from .naive_times import iso
from .sessions import Base as Base
from .sessions import ConversationSession, Engine, SessionMaker
from .state_errors import AssistantNotFound as AssistantNotFound
from .state_errors import MessageNotFound as MessageNotFound
from .state_errors import StateManagerException as StateManagerException
from .state_errors import ThreadNotFound as ThreadNotFound
from .state_errors import translated
from .state_objects import Assistant as Assistant
from .state_objects import Message as Message
from .state_objects import MessageRole as MessageRole
from .state_objects import Thread as Thread
from .state_objects import owner_of_thread, written_role
from .thread_metadata import wrap

_DEFAULT_URL = "sqlite:///data/sovereign_assistant.db"


class StateManager:
    """Assistants, threads and messages of one database; any number of threads may share it.

    :param database_url: ``sqlite:///<file>``; left out, what the environment says in ``DATABASE_URL``, or else
        ``sqlite:///data/sovereign_assistant.db``. The project is the directory of that name with ``.project`` behind
        it; missing folders are made. ``sqlite:///:memory:`` is a private project that goes with the process, or with
        ``engine.dispose()``.
    :param echo: have the logger ``peewee_conv`` log every statement, without its values.
    :raises StateManagerException: the URL is none of SQLite, the file cannot be used, or there is an older
        application's file of that name and no project yet.

    Every method raises :class:`StateManagerException`, or a subclass of it, and nothing else; its ``__cause__`` is
    the error of this package.

    >>> manager = StateManager("sqlite:///:memory:")
    >>> bot = manager.create_assistant("Aurora", "You analyse markets.")
    >>> thread = manager.create_thread(bot.id)
    >>> message = manager.add_message(thread.id, "user", "What's the market outlook?")
    >>> [said["content"] for said in manager.get_thread_context(thread.id)["messages"]]
    ["What's the market outlook?"]
    >>> manager.engine.dispose()
    """

    @translated()
    def __init__(self, database_url: str | None = None, echo: bool = False) -> None:
        self.database_url = urls.chosen(database_url, _DEFAULT_URL)
        if echo:
            logging.getLogger("peewee_conv").setLevel(logging.DEBUG)
        folder = urls.folder_of(self.database_url)
        project = urls.project_of(self.database_url, **({"durability": "normal"} if folder is None else {}))
        if folder is not None and not project.exists():
            urls.refuse_leftover(folder)
        self.engine = Engine(project, self.database_url, reopens=folder is not None)
        self.SessionLocal = SessionMaker(self.engine)
        project.assistants.list(limit=1)  # makes the file

    @contextmanager
    def get_session(self) -> Iterator[ConversationSession]:
        """Yield a session; commit in the end, or roll back if the block fails."""
        with translated(), self.SessionLocal() as session:
            yield session
            session.commit()

    @property
    def _project(self) -> Project:
        return self.engine.project

    # --- assistants ---

    @translated()
    def create_assistant(
        self, name: str, instructions: str, model: str | None = "gpt-4", assistant_id: str | None = None
    ) -> Assistant:
        """Store a new assistant and return it.

        :param instructions: the system prompt; not blank.
        :param assistant_id: the caller's own id; a UUID otherwise.
        :raises StateManagerException: an argument is not allowed, or the id is taken.
        """
        chosen: dict[str, Any] = {} if model is None else {"model": model}
        made = self._project.assistants.create(name, instructions, **chosen, id=assistant_id or None)
        return Assistant.of(self.engine, made)

    @translated()
    def get_assistant(self, assistant_id: str) -> Assistant:
        """Return an assistant.

        :raises AssistantNotFound: there is none of that id.
        """
        return Assistant.of(self.engine, self._project.assistants.get(assistant_id))

    @translated()
    def update_assistant(
        self,
        assistant_id: str,
        name: str | None = None,
        instructions: str | None = None,
        model: str | None = None,
    ) -> Assistant:
        """Change what is not ``None`` and return the assistant as it is now.

        :raises AssistantNotFound: there is none of that id.
        :raises StateManagerException: an argument is not allowed; nothing is changed.
        """
        given: dict[str, Any] = {"name": name, "instructions": instructions, "model": model}
        changes = {argument: value for argument, value in given.items() if value is not None}
        return Assistant.of(self.engine, self._project.assistants.update(assistant_id, **changes))

    @translated()
    def delete_assistant(self, assistant_id: str) -> bool:
        """Delete an assistant with its threads and their messages; return ``True``.

        :raises AssistantNotFound: there is none of that id.
        """
        if not self._project.assistants.delete(assistant_id):
            raise AssistantNotFound(f"Assistant not found: {assistant_id}")
        return True

    @translated()
    def list_assistants(self, skip: int | None = 0, limit: int | None = 100) -> list[Assistant]:
        """Return assistants, the newest first.

        :param skip: how many to leave out.
        :param limit: how many at most; less than 0, and ``None``, is all.
        """
        span = walks.Span(skip, limit)
        found = span.of(walks.every(self._project.assistants.list, most=span.end))
        return [Assistant.of(self.engine, record) for record in found]

    # --- threads ---

    @translated()
    def create_thread(self, assistant_id: str, thread_id: str | None = None, thread_metadata: Any = None) -> Thread:
        """Store a new, empty thread and return it.

        :param thread_id: the caller's own id; a UUID otherwise.
        :param thread_metadata: any JSON value; ``{}`` if it is empty.
        :raises AssistantNotFound: the assistant does not exist.
        :raises StateManagerException: the metadata is no JSON, or the id is taken.
        """
        made = self._project.conversations.create(
            id=thread_id or None,
            assistant_id=owner_of_thread(assistant_id),
            metadata=wrap(thread_metadata or {}),
        )
        return Thread.of(self.engine, made)

    @translated()
    def get_thread(self, thread_id: str) -> Thread:
        """Return a thread.

        :raises ThreadNotFound: there is none of that id.
        """
        return Thread.of(self.engine, self._project.conversations.get(thread_id))

    @translated()
    def update_thread(self, thread_id: str, thread_metadata: Any = None) -> Thread:
        """Replace the metadata, unless it is ``None``, and return the thread as it is now.

        :raises ThreadNotFound: there is none of that id.
        """
        metadata = UNSET if thread_metadata is None else wrap(thread_metadata)
        return Thread.of(self.engine, self._project.conversations.update(thread_id, metadata=metadata))

    @translated()
    def delete_thread(self, thread_id: str) -> bool:
        """Delete a thread with its messages; return ``True``.

        :raises ThreadNotFound: there is none of that id.
        """
        if not self._project.conversations.delete(thread_id):
            raise ThreadNotFound(f"Thread not found: {thread_id}")
        return True

    @translated()
    def list_threads(
        self, assistant_id: str | None = None, skip: int | None = 0, limit: int | None = 100
    ) -> list[Thread]:
        """Return threads of an assistant, or of all, the newest first; none for an assistant that does not exist.

        :param skip: how many to leave out.
        :param limit: how many at most; less than 0, and ``None``, is all.
        """
        conversations = self._project.conversations

        def created(**place: Any) -> Page[Conversation]:
            return conversations.list(assistant_id=assistant_id or None, order="created", **place)

        span = walks.Span(skip, limit)
        return [Thread.of(self.engine, record) for record in span.of(walks.every(created, most=span.end))]

    # --- messages ---

    @translated()
    def add_message(
        self, thread_id: str, role: str | MessageRole, content: str, token_count: int | None = None
    ) -> Message:
        """Append a message; when this returns it is on disk.

        :param role: ``system``, ``user`` or ``assistant``, in any case.
        :param token_count: tokens of the content; 0 or more.
        :raises ThreadNotFound: there is no such thread.
        :raises StateManagerException: an argument is not allowed.
        """
        made = self._project.conversations.add_message(
            thread_id, written_role(role), content, token_count=token_count, external_id=new_id()
        )
        return Message.of(self.engine, made)

    @translated()
    def get_messages(self, thread_id: str, skip: int | None = 0, limit: int | None = 100) -> list[Message]:
        """Return messages in the order in which they were acknowledged.

        :param skip: how many of the first to leave out.
        :param limit: how many at most; less than 0, and ``None``, is all.
        :raises ThreadNotFound: there is no such thread.
        """
        span = walks.Span(skip, limit)
        batch = 10_000 if span.end is None else max(1, min(span.end, 10_000))
        found = span.of(self._project.conversations.iterate(thread_id, batch=batch))
        return [Message.of(self.engine, record) for record in found]

    @translated()
    def get_thread_context(self, thread_id: str) -> dict[str, Any]:
        """Return a thread with all its messages in their order, ready for JSON.

        :raises ThreadNotFound: there is no such thread.
        """
        conversations = self._project.conversations
        thread = conversations.get(thread_id)
        messages = [Message.of(self.engine, record) for record in conversations.iterate(thread_id, batch=10_000)]
        return {
            "thread_id": thread.id,
            "assistant_id": thread.assistant_id,
            "created_at": iso(thread.created_at),
            "updated_at": iso(thread.updated_at),
            "messages": [_shown(message) for message in messages],
        }

    @translated()
    def delete_old_messages(self, thread_id: str, keep_count: int = 10) -> int:
        """Delete all but the newest messages; return how many went.

        :param keep_count: how many stay, 0 or more.
        :raises ThreadNotFound: there is no such thread.
        :raises StateManagerException: *keep_count* is less than 0.
        """
        return self._project.conversations.prune(thread_id, keep_count)


def _shown(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "role": message.role.value,
        "content": message.content,
        "timestamp": message.timestamp.isoformat(),
        "token_count": message.token_count,
    }
