"""peewee_conv itself, in the three manners in which callers use it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from peewee_conv import Project

from .. import data
from .base import Contender


class NoScope(Contender):
    """Bare calls: each borrows a connection."""

    settings: dict[str, Any] = {}  # noqa: RUF012  (a subclass replaces it)

    def load(self, template: str) -> None:
        """Copy the file; the project opens it on first use."""
        data.copy_to(template, self.folder)
        self.attach()

    def attach(self) -> None:
        """Make the project object."""
        self.project = Project(self.folder, durability=self.durability, **self.settings)

    def append(self, conversation: str, role: str, content: str) -> Any:
        """Append a message; return its record."""
        return self.project.conversations.add_message(conversation, role, content)

    def append_many(self, conversation: str, messages: list[tuple[str, str]]) -> Any:
        """Append messages; return their records."""
        return self.project.conversations.add_messages(
            conversation, [{"role": role, "content": content} for role, content in messages]
        )

    def newest(self, conversation: str, count: int) -> Any:
        """Return the window that a model would see."""
        return self.project.conversations.context(conversation, max_messages=count)

    def whole(self, conversation: str, count: int) -> Any:
        """Return the records of a conversation."""
        return self.project.conversations.messages(conversation, limit=count)

    def listing(self, count: int) -> Any:
        """Return the newest conversations."""
        return self.project.conversations.list(limit=count)

    def search(self, word: str, count: int) -> Any:
        """Return the messages with a word, the best match first."""
        return self.project.conversations.search(word, limit=count)

    def prune(self, conversation: str, keep: int) -> int:
        """Delete all but the newest messages; return how many went."""
        return self.project.conversations.prune(conversation, keep)

    def contents(self, answer: Any) -> list[str]:
        """Return the contents."""
        return [message.content for message in answer]

    def counts(self, answer: Any) -> list[tuple[str, int]]:
        """Return id and count."""
        return [(conversation.id, conversation.message_count) for conversation in answer]

    def close(self) -> None:
        """Dispose the project."""
        self.project.dispose()


class InScope(NoScope):
    """Many calls inside one scope, as in a request or a job."""

    def scope(self) -> AbstractContextManager[Any]:
        """Return the scope of the project."""
        return self.project


class PerCall(NoScope):
    """Each call in a scope of its own."""

    def append(self, conversation: str, role: str, content: str) -> Any:
        """Append a message; return its record."""
        with self.project as project:
            return project.conversations.add_message(conversation, role, content)

    def append_many(self, conversation: str, messages: list[tuple[str, str]]) -> Any:
        """Append messages; return their records."""
        with self.project:
            return super().append_many(conversation, messages)

    def newest(self, conversation: str, count: int) -> Any:
        """Return the window that a model would see."""
        with self.project as project:
            return project.conversations.context(conversation, max_messages=count)

    def whole(self, conversation: str, count: int) -> Any:
        """Return the records of a conversation."""
        with self.project as project:
            return project.conversations.messages(conversation, limit=count)

    def listing(self, count: int) -> Any:
        """Return the newest conversations."""
        with self.project as project:
            return project.conversations.list(limit=count)


class NoGroups(InScope):
    """In a scope, each call with a commit of its own."""

    settings = {"group_commit": False}  # noqa: RUF012


class NoIndex(InScope):
    """In a scope, on a file without full-text search."""

    def load(self, template: str) -> None:
        """Copy the file and take everything out of it that keeps the index."""
        data.copy_to(template, self.folder)
        data.drop_index(data.path_in(self.folder))
        self.attach()
