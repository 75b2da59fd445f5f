"""What the conversations service does on a connection: plain functions, each a read or one atomic write.

They return rows, of which the service makes records, or ``None`` where there is no such conversation.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from itertools import repeat
from operator import add, itemgetter

from . import search_index, statements, window
from .database.handle import Handle
from .errors import (
    AlreadyExists,
    AssistantNotFound,
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    InvalidArgument,
    LimitReached,
    PeeweeConvError,
    UserNotFound,
)
from .statements import Statements, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

Row = tuple["Any", ...]
#: role, content, token_count, metadata, external_id, created_at: as they are stored
NewMessage = tuple[str, str, int | None, str | None, str | None, str]
Key = tuple[str, str]  # the id of a conversation, and the owner, or the empty text

OPTIONAL_KEYS: Final = {"token_count", "metadata", "external_id", "created_at"}
NEEDED_KEYS: Final = {"role", "content"}
KEYS: Final = OPTIONAL_KEYS | NEEDED_KEYS

_MAX_SEQUENCE = 2**32 - 1
_SEARCH_SECONDS = 5.0
_SNIPPET_WORDS = 12
_MAX_QUERY = 1000


def one(connection: sqlite3.Connection, sql: str, params: Row) -> Any:
    """Return the row of a query, or ``None``."""
    return run(connection, sql, params).fetchone()


def rows(connection: sqlite3.Connection, sql: str, params: Row) -> list[Any]:
    """Return the rows of a query."""
    return run(connection, sql, params).fetchall()


# --- conversations ---


def create(connection: sqlite3.Connection, row: Row) -> int:
    """Insert a conversation and return its number."""
    try:
        return connection.execute(statements.CREATE, row).lastrowid or 0
    except sqlite3.IntegrityError as error:
        raise _refused(connection, error, row) from error


def _refused(connection: sqlite3.Connection, error: sqlite3.IntegrityError, row: Row) -> PeeweeConvError:
    """Return the error of ours for a conversation that a rule of the schema refused."""
    code = error.sqlite_errorcode
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return AssistantNotFound(row[2]) if _misses(connection, "assistants", row[2]) else UserNotFound(row[3])
    if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return AlreadyExists("conversation", row[1])
    if code == sqlite3.SQLITE_CONSTRAINT_CHECK:
        return LimitReached("conversations", 2**31 - 1, "the last number is taken, use another project")
    return AlreadyExists("conversation with number", row[0])


def _misses(connection: sqlite3.Connection, table: str, id: str | None) -> bool:
    return id is not None and one(connection, f"SELECT 1 FROM {table} WHERE id = ?", (id,)) is None


def update(connection: sqlite3.Connection, sql: Statements, key: Key, changes: dict[str, str | None], now: str) -> Any:
    """Change columns of a conversation; return the new row, or ``None`` where there is none."""
    found = one(connection, sql.key, key)
    if found is None:
        return None
    if _misses(connection, "assistants", changes.get("assistant_id")):
        raise AssistantNotFound(changes["assistant_id"])
    settings = "".join(f"{column} = ?, " for column in changes)
    connection.execute(
        f"UPDATE conversations SET {settings}updated_at = max(updated_at, ?) WHERE number = ?",
        (*changes.values(), now, found[0]),
    )
    return one(connection, sql.find, key)


def delete(connection: sqlite3.Connection, sql: Statements, key: Key) -> bool:
    """Delete a conversation, its messages and their places in the search index."""
    found = one(connection, sql.key, key)
    if found is None:
        return False
    if found[2]:
        search_index.remove(connection, found[0], found[2])
    run(connection, sql.delete, key)
    return True


# --- appending ---

_NOTHING = (None, None, None)
_ESSENTIALS = itemgetter(0, 1, 5)  # role, content, created_at


def bound(message: NewMessage) -> Row:
    """Return the parameters of a message: what ``nullif`` in the statements takes for NULL, in place of ``None``."""
    role, content, tokens, metadata, external_id, created_at = message
    return role, content, -1 if tokens is None else tokens, metadata or "", external_id or "", created_at


def append(connection: sqlite3.Connection, sql: str, params: Row) -> int | None:
    """Insert a message by one statement; return its key, or ``None`` if the conversation or the id forbids it."""
    try:
        return run(connection, sql, params).lastrowid
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_NOTNULL, sqlite3.SQLITE_CONSTRAINT_UNIQUE):
            return None
        if "ck_message_key" in str(error):  # all else about a message was checked before
            raise _full() from error
        raise


def _full() -> LimitReached:
    return LimitReached("messages of a conversation", _MAX_SEQUENCE, "begin another one")


def append_many(connection: sqlite3.Connection, sql: Statements, key: Key, new: list[NewMessage]) -> list[Row] | None:
    """Insert messages; return all of them as stored, ``None`` where there is no conversation."""
    if any(message[4] is not None for message in new):
        return _append_unless_stored(connection, sql, key, new)
    return _append_all(connection, sql, key, new)


def _append_all(connection: sqlite3.Connection, sql: Statements, key: Key, new: list[NewMessage]) -> list[Row] | None:
    # Allotting the sequences first keeps the trigger of the single append out of the way.
    tokens = sum(message[2] or 0 for message in new)
    newest = max((message[5] for message in new), default="")
    allotted = rows(connection, sql.allot, (*key, len(new), tokens, newest, title_of(new)))
    if not allotted:
        return None
    if not new:
        return []
    number, last = allotted[0]
    if last > _MAX_SEQUENCE:
        raise _full()
    sequences = range(last - len(new) + 1, last + 1)
    ids = range(number << 32 | sequences[0], (number << 32 | last) + 1)
    _insert(connection, zip(ids, repeat(number), sequences, strict=False), new)
    return [(id, *message, None) for id, message in zip(ids, new, strict=True)]


def _insert(connection: sqlite3.Connection, keys: Iterable[Row], new: list[NewMessage]) -> None:
    if any(message[2:5] != _NOTHING for message in new):
        connection.executemany(statements.INSERT_MESSAGE, map(add, keys, map(bound, new)))
    else:
        connection.executemany(statements.INSERT_PLAIN_MESSAGE, map(add, keys, map(_ESSENTIALS, new)))


def _append_unless_stored(
    connection: sqlite3.Connection, sql: Statements, key: Key, new: list[NewMessage]
) -> list[Row] | None:
    """Append what is not there yet by its external id, and return everything in the caller's order."""
    stored: dict[str, Row] = {}
    for message in new:
        if message[4] is not None:
            found = one(connection, sql.by_external_id, (*key, message[4]))
            if found is not None:
                stored[message[4]] = found
    seen: set[str | None] = set()
    missing = []
    for message in new:
        external_id = message[4]
        if external_id is None or (external_id not in stored and external_id not in seen):
            missing.append(message)
        seen.add(external_id)
    appended = _append_all(connection, sql, key, missing)
    if appended is None:
        return None
    stored.update((row[5], row) for row in appended if row[5] is not None)
    rest = iter([row for row in appended if row[5] is None])
    return [_same(stored[message[4]], message) if message[4] is not None else next(rest) for message in new]


def _same(stored: Row, message: NewMessage) -> Row:
    if stored[1:3] != message[:2]:
        raise AlreadyExists("another message with external_id", message[4])
    return stored


def title_of(new: Iterable[NewMessage]) -> str | None:
    """Return the title that these messages give an untitled conversation: the rule of ``tr_messages_appended``."""
    for role, content, *_ in new:
        if role == "user":
            text = content.split("\0", 1)[0]  # SQLite's length() ends there too
            if text:
                return text[:50] + "..." if len(text) > 50 else text
    return None


# --- windows ---

_role = itemgetter(1)


def newest(connection: sqlite3.Connection, sql: str, params: Row) -> list[Row]:
    """Return the newest messages, oldest first."""
    return window.oldest_first(rows(connection, sql, params), role=_role)


def newest_window(
    connection: sqlite3.Connection, sql: str, params: Row, max_tokens: int | None, count: Callable[[Row], int]
) -> list[Row]:
    """Return the newest messages that fit, oldest first; rows that do not fit are not read."""
    cursor = run(connection, sql, params)
    try:
        return window.suffix(cursor, max_tokens, tokens=count, role=_role)
    finally:
        cursor.close()


def pinned_window(
    connection: sqlite3.Connection,
    sql: Statements,
    key: Key,
    limit: int,
    max_tokens: int | None,
    pins: frozenset[str],
    count: Callable[[Row], int],
) -> list[Row] | None:
    """Return the pins and the newest of the other messages that fit, in the order of their sequences.

    ``None`` where there is no conversation.
    """
    first, second = (role if role in pins else "" for role in ("system", "developer"))
    found = rows(connection, sql.pinned, (*key, first, second, "instructions" in pins))
    if not found:
        return None
    pinned = [row for row in found if row[2] is not None]
    if max_tokens is not None:
        max_tokens -= sum(map(count, pinned))
        if max_tokens < 0:
            return []
    newest = newest_window(connection, sql.newest_unpinned, (*key, first, second, limit), max_tokens, count)
    return sorted(pinned + newest)


# --- pruning ---


def prune(connection: sqlite3.Connection, sql: Statements, key: Key, keep: int) -> int | None:
    """Delete a prefix of a conversation; return how many messages went, ``None`` where there is no conversation.

    What is left has no gap, so the border is arithmetic: nothing is counted to find it.
    """
    found = one(connection, sql.key, key)
    if found is None:
        return None
    number, last, indexed = found
    border = max(0, last - keep)
    span = (number << 32, number << 32 | border)
    if indexed:
        search_index.remove(connection, number, min(indexed, border))
    tokens = one(connection, "SELECT coalesce(sum(token_count), 0) FROM messages WHERE id > ? AND id <= ?", span)[0]
    pruned = connection.execute(statements.DELETE_MESSAGES, span).rowcount
    if pruned:
        connection.execute(
            "UPDATE conversations SET message_count = message_count - ?, token_count = token_count - ?"
            " WHERE number = ?",
            (pruned, tokens, number),
        )
    return pruned


# --- search ---


def search(handle: Handle, query: str, filters: dict[str, str], marks: tuple[str, str], limit: int) -> list[Row]:
    """Bring the index up to date and return the rows that match, best first."""
    if not isinstance(query, str) or len(query) > _MAX_QUERY:
        raise InvalidArgument("query", query, f"a text of at most {_MAX_QUERY} characters")
    try:
        expression = search_index.match_expression(query)
    except UnicodeEncodeError:
        expression = None
    if expression is None:
        raise InvalidArgument("query", query, "at least one word to look for")
    where = tuple(filters)
    params = (*marks, "...", _SNIPPET_WORDS, expression, *filters.values(), limit)
    found = handle.read(_search_if_complete, where, params)
    if found is not None:
        return found
    if _catch_up(handle):
        return handle.read(_limited, statements.search("message_search", where), params)
    # One snapshot: what another process indexes between the two searches would be in neither.
    return handle.read_snapshot(_search_both, where, params, limit)


def _catch_up(handle: Handle) -> bool:
    """Index what is missing; return whether that worked."""
    try:
        # Until nothing was missing once, not until nothing is: others may append faster than this looks.
        while handle.write_if_free(search_index.index_some):
            pass
    except (DatabaseBusy, DatabaseReadOnly, DatabaseFull):
        return False
    return True


def _search_if_complete(connection: sqlite3.Connection, where: tuple[str, ...], params: Row) -> list[Row] | None:
    if search_index.is_pending(connection):
        return None
    return _limited(connection, statements.search("message_search", where), params)


def _search_both(connection: sqlite3.Connection, where: tuple[str, ...], params: Row, limit: int) -> list[Row]:
    search_index.load_unindexed(connection)
    found = _limited(connection, statements.search("message_search", where), params)
    found += _limited(connection, statements.search("unindexed", where), params)
    return sorted(found, key=lambda row: row[-1], reverse=True)[:limit]


def _limited(connection: sqlite3.Connection, sql: str, params: Row) -> list[Row]:
    """Run a query that a hostile search text might make slow."""
    deadline = time.monotonic() + _SEARCH_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        return connection.execute(sql, params).fetchall()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise LimitReached("seconds of search", int(_SEARCH_SECONDS), "look for rarer words") from error
        raise
    finally:
        connection.set_progress_handler(None, 0)
