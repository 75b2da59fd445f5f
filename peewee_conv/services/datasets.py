"""Datasets: the data files that a conversation works with. They are listed here, never fetched."""

from __future__ import annotations

import builtins
import re
import sqlite3
from typing import Any

from .. import arguments
from ..account_records import Dataset
from ..database.handle import Handle
from ..errors import AlreadyExists, ConversationNotFound, DatasetNotFound, InvalidArgument, LimitReached
from ..ids import check_id, new_id

Row = tuple[Any, ...]

_URL = re.compile(r"https?://[^\s/?#]\S*")
_URL_ALLOWED = "http:// or https:// in lower case, a host and no spaces, at most 8192 characters"
_MAX_COUNT = 2**53

_COLUMNS = (
    "id, conversation_id, url, name, row_count, column_count, schema, status, error_message, created_at, loaded_at"
)
# Parameter 1 is the id, parameter 2 the owner; without one the service is that of the whole project.
_WHICH = (
    "id = ?1 AND (?2 IS NULL OR EXISTS ("
    "SELECT 1 FROM conversations WHERE conversations.id = datasets.conversation_id AND user_id = ?2))"
)
_CONVERSATION = "SELECT 1 FROM conversations WHERE id = ?1 AND (?2 IS NULL OR user_id = ?2)"
_FIND = f"SELECT {_COLUMNS} FROM datasets WHERE {_WHICH}"
_LIST = (
    f"SELECT {_COLUMNS} FROM datasets WHERE conversation_id = ?1 AND EXISTS ({_CONVERSATION}) ORDER BY created_at, id"
)
_REMOVE = f"DELETE FROM datasets WHERE {_WHICH}"
_REFRESH = f"UPDATE datasets SET status = 'loading', error_message = NULL WHERE {_WHICH} RETURNING {_COLUMNS}"
_READY = (
    "UPDATE datasets SET status = 'ready', error_message = NULL, loaded_at = ?3, row_count = ?4, column_count = ?5,"
    f" schema = ?6 WHERE {_WHICH} AND status = 'loading' RETURNING {_COLUMNS}"
)
_ERROR = (
    "UPDATE datasets SET status = 'error', error_message = ?3"
    f" WHERE {_WHICH} AND status = 'loading' RETURNING {_COLUMNS}"
)
# The number of a name that nobody chose: one more than there are, or the next that is free.
_NEXT = (
    "WITH RECURSIVE numbers (n) AS (SELECT 1 + count(*) FROM datasets WHERE conversation_id = ?1"
    " UNION ALL SELECT n + 1 FROM numbers WHERE EXISTS ("
    "SELECT 1 FROM datasets WHERE conversation_id = ?1 AND lower(name) = 'table' || n))"
    " SELECT 'table' || max(n) FROM numbers"
)
_ADD = (
    "INSERT INTO datasets (id, conversation_id, url, name, created_at)"
    f" SELECT ?3, ?1, ?4, coalesce(?5, ({_NEXT})), ?6 WHERE EXISTS ({_CONVERSATION})"
    " AND (SELECT count(*) FROM datasets WHERE conversation_id = ?1) < ?7"
    f" ON CONFLICT DO NOTHING RETURNING {_COLUMNS}"
)


class Datasets:
    """The datasets of a project's conversations, as ``project.datasets``.

    A dataset is ``loading`` until the application, which fetches it, says that it is ``ready`` or that there was an
    ``error``.

    >>> import tempfile
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
    ...     talk = project.conversations.create()
    ...     sales = project.datasets.add(talk.id, "https://example.com/sales.parquet")
    ...     sales.name, sales.status
    ...     project.datasets.mark_ready(sales.id, row_count=3, schema=[{"name": "amount", "type": "int"}]).status
    ...     project.dispose()
    ('table1', 'loading')
    'ready'
    True
    """

    def __init__(self, handle: Handle, limit: int = 5, owner: str | None = None) -> None:
        self._handle, self._limit, self._owner = handle, limit, owner
        self._now = handle.binding.settings.now

    def with_limit(self, limit: int) -> Datasets:
        """Return the same service with room for *limit* datasets in each conversation, 1 to 1000."""
        return Datasets(self._handle, arguments.whole("limit", limit, 1, 1000), self._owner)

    def for_user(self, user_id: str) -> Datasets:
        """Return the same service restricted to the conversations of one user: other ids behave as if missing.

        :raises InvalidArgument: *user_id* is no id; ``None`` is none.
        """
        return Datasets(self._handle, self._limit, check_id("user_id", user_id))

    def add(self, conversation_id: str, url: str, *, name: str | None = None, id: str | None = None) -> Dataset:
        """Add a dataset to a conversation, ``loading``, and return it.

        :param url: where it is; ``http://`` or ``https://``. Each conversation has an address once.
        :param name: what queries call it, unique in the conversation; ``table1``, ``table2``, ... otherwise.
        :param id: the caller's own id; a time-ordered UUID otherwise.
        :raises InvalidArgument: an argument is not allowed.
        :raises ConversationNotFound: there is none of that id.
        :raises AlreadyExists: the conversation has that address or name, or a dataset has that id.
        :raises LimitReached: the conversation is full.
        """
        row = (
            *self._key("conversation_id", conversation_id),
            new_id() if id is None else check_id("id", id),
            check_url(url),
            None if name is None else arguments.text("name", name, 255, may_be_blank=False),
            self._now(),
            self._limit,
        )
        return Dataset.of(self._handle.write(_add, row))

    def get(self, dataset_id: str) -> Dataset:
        """Return a dataset.

        :raises DatasetNotFound: there is none of that id.
        """
        found = self.find(dataset_id)
        if found is None:
            raise DatasetNotFound(dataset_id)
        return found

    def find(self, dataset_id: str) -> Dataset | None:
        """Return a dataset, or ``None``."""
        rows = self._handle.read(_rows, _FIND, self._key("dataset_id", dataset_id))
        return Dataset.of(rows[0]) if rows else None

    def list(self, conversation_id: str) -> builtins.list[Dataset]:
        """Return the datasets of a conversation, in the order in which they were added.

        :raises ConversationNotFound: there is none of that id.
        """
        key = self._key("conversation_id", conversation_id)
        rows = self._handle.read(_rows, _LIST, key)
        if not rows and not self._handle.read(_rows, _CONVERSATION, key):
            raise ConversationNotFound(conversation_id)
        return Dataset.all_of(rows)

    def mark_ready(
        self,
        dataset_id: str,
        *,
        row_count: int,
        schema: builtins.list[Any],
        column_count: int | None = None,
    ) -> Dataset:
        """Note that a dataset was loaded, with what was found in it, and return it.

        :param schema: its columns: a list of JSON values.
        :param column_count: how many columns; the length of *schema* otherwise.
        :raises DatasetNotFound: there is none of that id.
        :raises InvalidArgument: an argument is not allowed, or the dataset is not ``loading``.
        """
        stored_schema = arguments.json_list("schema", schema)
        rows = arguments.whole("row_count", row_count, 0, _MAX_COUNT)
        columns = arguments.whole("column_count", len(schema) if column_count is None else column_count, 0, _MAX_COUNT)
        return self._changed(_READY, dataset_id, self._now(), rows, columns, stored_schema)

    def mark_error(self, dataset_id: str, message: str) -> Dataset:
        """Note why a dataset could not be loaded, and return it. What was found before is kept.

        :param message: at most 2000 characters, not blank.
        :raises DatasetNotFound: there is none of that id.
        :raises InvalidArgument: an argument is not allowed, or the dataset is not ``loading``.
        """
        return self._changed(_ERROR, dataset_id, arguments.text("message", message, 2000, may_be_blank=False))

    def refresh(self, dataset_id: str) -> Dataset:
        """Set a dataset to ``loading`` again, whatever it was, and return it. What was found before is kept.

        :raises DatasetNotFound: there is none of that id.
        """
        return self._changed(_REFRESH, dataset_id)

    def remove(self, dataset_id: str) -> bool:
        """Remove a dataset from its conversation; return whether there was one."""
        return self._handle.write_statement(_remove, self._key("dataset_id", dataset_id))

    # --- what the verbs share ---

    def _key(self, argument: str, id: str) -> tuple[str, str | None]:
        return check_id(argument, id), self._owner

    def _changed(self, sql: str, dataset_id: str, *params: Any) -> Dataset:
        key = self._key("dataset_id", dataset_id)
        return Dataset.of(self._handle.write(_change, sql, key, params))


def check_url(value: object) -> str:
    """Return an address that a dataset may have.

    :raises InvalidArgument: it is not of that form.
    """
    url = arguments.text("url", value, 8192)
    if not _URL.fullmatch(url) or not url.isprintable():
        raise InvalidArgument("url", url, _URL_ALLOWED)
    return url


def _rows(connection: sqlite3.Connection, sql: str, params: Row) -> list[Any]:
    return connection.execute(sql, params).fetchall()


def _add(connection: sqlite3.Connection, row: Row) -> Row:
    """Insert a dataset by one statement that holds all the rules, and return its row; or say which rule refused it."""
    added = _rows(connection, _ADD, row)
    if added:
        return tuple(added[0])
    conversation_id, owner, id, url, name, _, limit = row
    if not _rows(connection, _CONVERSATION, (conversation_id, owner)):
        raise ConversationNotFound(conversation_id)
    if _rows(connection, "SELECT 1 FROM datasets WHERE conversation_id = ? AND url = ?", (conversation_id, url)):
        raise AlreadyExists("dataset with url", url)
    if _rows(connection, "SELECT 1 FROM datasets WHERE conversation_id = ? AND name = ?", (conversation_id, name)):
        raise AlreadyExists("dataset with name", name)
    if _rows(connection, "SELECT 1 FROM datasets WHERE id = ?", (id,)):
        raise AlreadyExists("dataset with id", id)
    raise LimitReached("datasets of a conversation", limit, "remove one, or raise the limit")


def _change(connection: sqlite3.Connection, sql: str, key: Row, params: Row) -> Row:
    changed = _rows(connection, sql, (*key, *params))
    if changed:
        return tuple(changed[0])
    found = _rows(connection, _FIND, key)
    if not found:
        raise DatasetNotFound(key[0])
    status = found[0][7]
    raise InvalidArgument("dataset_id", key[0], f"a dataset that is loading; this one is {status}: refresh it")


def _remove(connection: sqlite3.Connection, key: Row) -> bool:
    return connection.execute(_REMOVE, key).rowcount == 1
