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
Params = dict[str, Any]

_URL = re.compile(r"https?://[^\s/?#]\S*")
_URL_ALLOWED = "http:// or https:// in lower case, a host and no spaces, at most 8192 characters"
_MAX_COUNT = 2**53

_COLUMNS = (
    "id, conversation_id, url, name, row_count, column_count, schema, status, error_message, created_at, loaded_at"
)
# Without an owner the service is that of the whole project.
_WHICH = (
    "id = :id AND (:owner IS NULL OR EXISTS ("
    "SELECT 1 FROM conversations WHERE conversations.id = datasets.conversation_id AND user_id = :owner))"
)
_CONVERSATION = "SELECT 1 FROM conversations WHERE id = :conversation_id AND (:owner IS NULL OR user_id = :owner)"
_FIND = f"SELECT {_COLUMNS} FROM datasets WHERE {_WHICH}"
_LIST = (
    f"SELECT {_COLUMNS} FROM datasets WHERE conversation_id = :conversation_id"
    f" AND EXISTS ({_CONVERSATION}) ORDER BY created_at, id"
)
_REMOVE = f"DELETE FROM datasets WHERE {_WHICH}"
_REFRESH = f"UPDATE datasets SET status = 'loading', error_message = NULL WHERE {_WHICH} RETURNING {_COLUMNS}"
_READY = (
    "UPDATE datasets SET status = 'ready', error_message = NULL, loaded_at = :now, row_count = :rows,"
    f" column_count = :columns, schema = :schema WHERE {_WHICH} AND status = 'loading' RETURNING {_COLUMNS}"
)
_ERROR = (
    "UPDATE datasets SET status = 'error', error_message = :message"
    f" WHERE {_WHICH} AND status = 'loading' RETURNING {_COLUMNS}"
)
# The number of a name that nobody chose: one more than there are, or the next that is free.
_NEXT = (
    "WITH RECURSIVE numbers (n) AS (SELECT 1 + count(*) FROM datasets WHERE conversation_id = :conversation_id"
    " UNION ALL SELECT n + 1 FROM numbers WHERE EXISTS ("
    "SELECT 1 FROM datasets WHERE conversation_id = :conversation_id AND lower(name) = 'table' || n))"
    " SELECT 'table' || max(n) FROM numbers"
)
_ADD = (
    "INSERT INTO datasets (id, conversation_id, url, name, created_at)"
    f" SELECT :id, :conversation_id, :url, coalesce(:name, ({_NEXT})), :now WHERE EXISTS ({_CONVERSATION})"
    " AND (SELECT count(*) FROM datasets WHERE conversation_id = :conversation_id) < :limit"
    f" ON CONFLICT DO NOTHING RETURNING {_COLUMNS}"
)
# In the order in which they are told, the limit last.
_TAKEN = {
    "url": "SELECT 1 FROM datasets WHERE conversation_id = :conversation_id AND url = :url",
    "name": "SELECT 1 FROM datasets WHERE conversation_id = :conversation_id AND name = :name",
    "id": "SELECT 1 FROM datasets WHERE id = :id",
}


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
        params = {
            **self._of(conversation_id),
            "id": new_id() if id is None else check_id("id", id),
            "url": check_url(url),
            "name": None if name is None else arguments.text("name", name, 255, may_be_blank=False),
            "now": self._now(),
            "limit": self._limit,
        }
        return Dataset.of(self._handle.write(_add, params))

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
        rows = self._handle.read(_rows, _FIND, self._key(dataset_id))
        return Dataset.of(rows[0]) if rows else None

    def list(self, conversation_id: str) -> builtins.list[Dataset]:
        """Return the datasets of a conversation, in the order in which they were added.

        :raises ConversationNotFound: there is none of that id.
        """
        params = self._of(conversation_id)
        rows = self._handle.read(_rows, _LIST, params)
        if not rows and not self._handle.read(_rows, _CONVERSATION, params):
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
        return self._changed(_READY, dataset_id, now=self._now(), rows=rows, columns=columns, schema=stored_schema)

    def mark_error(self, dataset_id: str, message: str) -> Dataset:
        """Note why a dataset could not be loaded, and return it. What was found before is kept.

        :param message: at most 2000 characters, not blank.
        :raises DatasetNotFound: there is none of that id.
        :raises InvalidArgument: an argument is not allowed, or the dataset is not ``loading``.
        """
        text = arguments.text("message", message, 2000, may_be_blank=False)
        return self._changed(_ERROR, dataset_id, message=text)

    def refresh(self, dataset_id: str) -> Dataset:
        """Set a dataset to ``loading`` again, whatever it was, and return it. What was found before is kept.

        :raises DatasetNotFound: there is none of that id.
        """
        return self._changed(_REFRESH, dataset_id)

    def remove(self, dataset_id: str) -> bool:
        """Remove a dataset from its conversation; return whether there was one."""
        return self._handle.write_statement(_remove, self._key(dataset_id))

    # --- what the verbs share ---

    def _key(self, dataset_id: str) -> Params:
        return {"id": check_id("dataset_id", dataset_id), "owner": self._owner}

    def _of(self, conversation_id: str) -> Params:
        return {"conversation_id": check_id("conversation_id", conversation_id), "owner": self._owner}

    def _changed(self, sql: str, dataset_id: str, **params: Any) -> Dataset:
        return Dataset.of(self._handle.write(_change, sql, {**self._key(dataset_id), **params}))


def check_url(value: object) -> str:
    """Return an address that a dataset may have.

    :raises InvalidArgument: it is not of that form.
    """
    url = arguments.text("url", value, 8192)
    if not _URL.fullmatch(url) or not url.isprintable():
        raise InvalidArgument("url", url, _URL_ALLOWED)
    return url


def _rows(connection: sqlite3.Connection, sql: str, params: Params) -> list[Any]:
    return connection.execute(sql, params).fetchall()


def _add(connection: sqlite3.Connection, params: Params) -> Row:
    """Insert a dataset by one statement that holds all the rules, and return its row; or say which rule refused it."""
    added = _rows(connection, _ADD, params)
    if added:
        return tuple(added[0])
    if not _rows(connection, _CONVERSATION, params):
        raise ConversationNotFound(params["conversation_id"])
    for column, taken in _TAKEN.items():
        if _rows(connection, taken, params):
            raise AlreadyExists(f"dataset with {column}", params[column])
    raise LimitReached("datasets of a conversation", params["limit"], "remove one, or raise the limit")


def _change(connection: sqlite3.Connection, sql: str, params: Params) -> Row:
    changed = _rows(connection, sql, params)
    if changed:
        return tuple(changed[0])
    found = _rows(connection, _FIND, params)
    if not found:
        raise DatasetNotFound(params["id"])
    allowed = f"a dataset that is loading; this one is {found[0][7]}: refresh it"
    raise InvalidArgument("dataset_id", params["id"], allowed)


def _remove(connection: sqlite3.Connection, params: Params) -> bool:
    return connection.execute(_REMOVE, params).rowcount == 1
