"""AutoForge's ``server.services.assistant_database``: the same names over this package.

>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     talk = create_conversation(Path(folder), "aurora")
...     message = add_message(Path(folder), talk.id, "user", "Hello!")
...     [found["title"] for found in get_conversations(Path(folder), "aurora")]
...     dispose_engine(Path(folder))
['Hello!']
True

Ids are integers: the ``number`` of a conversation, and the key of a message, or the id that a message had in a file of
AutoForge's own. A conversation that is missing is ``None``, ``False`` or an empty list, never an error.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import arguments, records
from ..clock import utc_now as utc_now
from ..errors import ConversationNotFound, InvalidArgument
from ..project import Project
from . import walks
from .assistant_objects import Base as Base
from .assistant_objects import Conversation as Conversation
from .assistant_objects import ConversationMessage as ConversationMessage
from .naive_times import iso
from .sessions import ConversationSession, Engine

ProjectDir = str | os.PathLike[str]

_utc_now = utc_now
_engines: dict[str, Engine] = {}
_lock = threading.Lock()


def get_db_path(project_dir: ProjectDir) -> Path:
    """Return where ``assistant.db`` of a project is, or will be; makes nothing."""
    return Project(project_dir).database_path()


def get_engine(project_dir: ProjectDir) -> Engine:
    """Make or upgrade the database of a project where needed and return its engine.

    For one resolved path it is the same until :func:`dispose_engine`, from any number of threads.

    :raises DatabaseFailure: the file cannot be opened, made or upgraded.
    """
    project = Project(project_dir)
    root = str(project.path)
    found = _engines.get(root)
    if found is not None:
        return found
    project.conversations.list(limit=1)  # opens the file
    with _lock:
        return _engines.setdefault(root, _engine(project))


def _engine(project: Project) -> Engine:
    return Engine(project, f"sqlite:///{project.database_path().as_posix()}")


def dispose_engine(project_dir: ProjectDir) -> bool:
    """Close every handle on the project's files; return whether there was any."""
    project = Project(project_dir)
    with _lock:
        found = _engines.pop(str(project.path), None)
    return project.dispose() or found is not None


def get_session(project_dir: ProjectDir) -> ConversationSession:
    """Return a new session; close it, or use it in a ``with`` block."""
    return ConversationSession(get_engine(project_dir))


# --- conversations ---


def create_conversation(project_dir: ProjectDir, project_name: str, title: str | None = None) -> Conversation:
    """Store a new conversation and return it.

    :param title: if left out, the first 50 characters of the first user message, and ``...`` if it is longer.
    :raises InvalidArgument: *project_name* is no text of at most 255 characters, or *title* of at most 200.
    """
    project = Project(project_dir)
    name = arguments.text("project_name", project_name, 255)
    made = project.conversations.create(project_name=name, title=title)
    return Conversation.of(_engine(project), made)


def get_conversations(project_dir: ProjectDir, project_name: str) -> list[dict[str, Any]]:
    """Return the conversations of a project name with their message counts, the latest activity first."""
    found = [] if project_name is None else _every_conversation(Project(project_dir), project_name)
    return [{**_head(talk), "message_count": talk.message_count} for talk in found]


def _every_conversation(project: Project, project_name: str) -> Iterable[records.Conversation]:
    """Return all of a project name: also one that moves to the front while the pages are read."""
    page = project.conversations.list(project_name=project_name, limit=1000)
    if page.next is None:
        return page

    def created(**place: Any) -> records.Page[records.Conversation]:
        return project.conversations.list(project_name=project_name, order="created", **place)

    return sorted(walks.every(created), key=lambda talk: (talk.updated_at, talk.number), reverse=True)


def get_conversation(project_dir: ProjectDir, conversation_id: int) -> dict[str, Any] | None:
    """Return a conversation with all its messages in their order, or ``None``."""
    project = Project(project_dir)
    with suppress(ConversationNotFound):
        talk = _get(project, conversation_id)
        return {**_head(talk), "messages": _messages(project, talk)}
    return None


def delete_conversation(project_dir: ProjectDir, conversation_id: int) -> bool:
    """Delete a conversation with all its messages; return whether there was one."""
    project = Project(project_dir)
    with suppress(ConversationNotFound):
        return project.conversations.delete(_get(project, conversation_id).id)
    return False


# --- messages ---


def add_message(project_dir: ProjectDir, conversation_id: int, role: str, content: str) -> dict[str, Any] | None:
    """Append a message and return it; ``None`` if there is no such conversation.

    :raises InvalidRole: the role is none of ``system``, ``user``, ``assistant``, ``tool`` and ``developer``.
    :raises InvalidContent: the content is no text, or too large.
    """
    project = Project(project_dir)
    with suppress(ConversationNotFound):
        talk = _get(project, conversation_id)
        return _shown(talk, project.conversations.add_message(talk.id, role, content))
    return None


def get_messages(project_dir: ProjectDir, conversation_id: int) -> list[dict[str, Any]]:
    """Return all messages of a conversation in their order; none if there is no such conversation."""
    project = Project(project_dir)
    with suppress(ConversationNotFound):
        return _messages(project, _get(project, conversation_id))
    return []


def _get(project: Project, conversation_id: object) -> records.Conversation:
    """Return a conversation; what cannot be an id names none, as in SQL, which also takes ``"7"`` for 7."""
    with suppress(InvalidArgument, ValueError):
        number: Any = int(conversation_id) if isinstance(conversation_id, str) else conversation_id
        found = project.conversations.find_by_number(number)
        if found is not None:
            return found
    raise ConversationNotFound(conversation_id)


def _messages(project: Project, talk: records.Conversation) -> list[dict[str, Any]]:
    return [_shown(talk, message) for message in project.conversations.iterate(talk.id, batch=10_000)]


def _head(talk: records.Conversation) -> dict[str, Any]:
    return {
        "id": talk.number,
        "project_name": talk.project_name,
        "title": talk.title,
        "created_at": iso(talk.created_at),
        "updated_at": iso(talk.updated_at),
    }


def _shown(talk: records.Conversation, message: records.Message) -> dict[str, Any]:
    return {
        "id": _message_id(talk, message),
        "role": message.role,
        "content": message.content,
        "timestamp": iso(message.created_at),
    }


def _message_id(talk: records.Conversation, message: records.Message) -> int:
    """Return the id; a message that an old file brought along keeps the one that it had there."""
    old = message.external_id
    if old and old.isascii() and old.isdigit() and talk.id == str(talk.number):
        return int(old)
    return message.id
