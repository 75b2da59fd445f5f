"""Assistants: a name, instructions, a model."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .. import arguments, keyset, search_index
from ..arguments import UNSET, Unset
from ..database.handle import Handle
from ..errors import AlreadyExists, AssistantNotFound
from ..ids import check_id, new_id
from ..records import Assistant, Page

_COLUMNS = "id, name, instructions, model, metadata, created_at, updated_at"
_MODEL = "gpt-4"


class Assistants:
    """The assistants of a project, as ``project.assistants``.

    >>> import tempfile
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
    ...     bot = project.assistants.create("Aurora", "You analyse markets.")
    ...     project.assistants.update(bot.id, model="gpt-5").model
    ...     project.assistants.delete(bot.id), project.assistants.find(bot.id)
    ...     project.dispose()
    'gpt-5'
    (True, None)
    True
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._now = handle.binding.settings.now

    def create(
        self,
        name: str,
        instructions: str,
        model: str = _MODEL,
        *,
        id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        created_at: datetime | None = None,
    ) -> Assistant:
        """Store a new assistant and return it.

        :param name: at most 255 characters; it need not be unique.
        :param instructions: the system prompt; not blank.
        :param model: the name of the language model.
        :param id: the caller's own id; a time-ordered UUID otherwise.
        :param metadata: JSON values by name.
        :raises InvalidArgument: an argument is not allowed.
        :raises AlreadyExists: an assistant has that id.
        """
        now = arguments.moment("created_at", created_at, self._now())
        row = (
            new_id() if id is None else check_id("id", id),
            arguments.text("name", name, 255),
            arguments.text("instructions", instructions, 1_000_000, may_be_blank=False),
            arguments.text("model", model, 255, may_be_blank=False),
            arguments.json_object("metadata", metadata),
            now,
            now,
        )
        if not self._handle.write_statement(_insert, row):
            raise AlreadyExists("assistant", row[0])
        return Assistant.of(row)

    def get(self, assistant_id: str) -> Assistant:
        """Return an assistant.

        :raises AssistantNotFound: there is none of that id.
        """
        found = self.find(assistant_id)
        if found is None:
            raise AssistantNotFound(assistant_id)
        return found

    def find(self, assistant_id: str) -> Assistant | None:
        """Return an assistant, or ``None``."""
        row = self._handle.read(_find, check_id("assistant_id", assistant_id))
        return None if row is None else Assistant.of(row)

    def list(self, *, limit: int = 50, after: str | None = None) -> Page[Assistant]:
        """Return a page of assistants, the newest first.

        :param limit: rows of the page, 1 to 1000.
        :param after: the ``next`` of the page before.
        """
        arguments.whole("limit", limit, 1, 1000)
        position = keyset.parse(after)
        rows = self._handle.read(_list, *position, limit + 1)
        return keyset.page(Assistant.all_of(rows), limit, lambda last: (last[5], last[0]))

    def update(
        self,
        assistant_id: str,
        *,
        name: str | Unset = UNSET,
        instructions: str | Unset = UNSET,
        model: str | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
    ) -> Assistant:
        """Change what is given, keep the rest, and return the assistant as it is now.

        :raises AssistantNotFound: there is none of that id.
        :raises InvalidArgument: an argument is not allowed; nothing is changed.
        """
        changes: dict[str, str] = {}
        if not isinstance(name, Unset):
            changes["name"] = arguments.text("name", name, 255)
        if not isinstance(instructions, Unset):
            changes["instructions"] = arguments.text("instructions", instructions, 1_000_000, may_be_blank=False)
        if not isinstance(model, Unset):
            changes["model"] = arguments.text("model", model, 255, may_be_blank=False)
        if not isinstance(metadata, Unset):
            changes["metadata"] = arguments.json_object("metadata", metadata)
        row = self._handle.write(_update, check_id("assistant_id", assistant_id), changes, self._now())
        if row is None:
            raise AssistantNotFound(assistant_id)
        return Assistant.of(row)

    def delete(self, assistant_id: str) -> bool:
        """Delete an assistant with all its conversations; return whether there was one."""
        return self._handle.write(_delete, check_id("assistant_id", assistant_id))


def _insert(connection: sqlite3.Connection, row: tuple[Any, ...]) -> bool:
    sql = f"INSERT INTO assistants ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
    return connection.execute(sql, row).rowcount == 1


def _find(connection: sqlite3.Connection, assistant_id: str) -> Any:
    return connection.execute(f"SELECT {_COLUMNS} FROM assistants WHERE id = ?", (assistant_id,)).fetchone()


def _list(connection: sqlite3.Connection, created_at: str, assistant_id: str, limit: int) -> list[Any]:
    sql = f"SELECT {_COLUMNS} FROM assistants WHERE (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?"
    return connection.execute(sql, (created_at, assistant_id, limit)).fetchall()


def _update(connection: sqlite3.Connection, assistant_id: str, changes: dict[str, str], now: str) -> Any:
    settings = "".join(f"{column} = ?, " for column in changes)
    connection.execute(
        f"UPDATE assistants SET {settings}updated_at = max(updated_at, ?) WHERE id = ?",
        (*changes.values(), now, assistant_id),
    )
    return _find(connection, assistant_id)


def _delete(connection: sqlite3.Connection, assistant_id: str) -> bool:
    search_index.remove_all(connection, "assistant_id", assistant_id)
    return connection.execute("DELETE FROM assistants WHERE id = ?", (assistant_id,)).rowcount == 1
