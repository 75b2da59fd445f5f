"""The full-text index over message content, which catches up when somebody searches.

An append only lists its conversation in ``message_search_pending``; a search first indexes what is missing, in short
write transactions of its own. *In step* means: a search returns exactly the live rows. Whoever deletes messages takes
them out of the index in the same transaction, with :func:`remove` or :func:`remove_all`.
"""

from __future__ import annotations

import functools
import sqlite3
from contextlib import closing

_CHUNK = 1000  # messages that one write transaction indexes: other writers wait for no more

# What SQLite says of an index that it cannot use; of one whose table of settings is wrong, a plain error.
_OUT_OF_STEP = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)

# Whole numbers also in a damaged file, where SQLite may find a text or nothing in their place.
LAST = "coalesce(CAST(last_sequence AS INTEGER), 0)"
INDEXED = "coalesce(CAST(indexed_sequence AS INTEGER), 0)"

TABLE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.unindexed USING fts5 (content, tokenize = 'unicode61 remove_diacritics 2')"
)


@functools.lru_cache(maxsize=1024)
def match_expression(query: str) -> str | None:
    """Return *query*, as people type it into a search box, for ``MATCH``; ``None`` if it has no word.

    Words must all occur; ``"quotes"`` make a phrase, ``OR`` an alternative, ``-`` an exclusion, ``*`` a prefix.
    """
    from playhouse.fts_parser import parse  # here: only who searches pays for the import

    expression = str(parse(query.replace("\0", " ")))
    return None if expression == '""' else expression


def is_pending(connection: sqlite3.Connection) -> bool:
    """Say whether a message is missing in the index."""
    return connection.execute("SELECT 1 FROM message_search_pending LIMIT 1").fetchone() is not None


def index_some(connection: sqlite3.Connection) -> bool:
    """Index the next messages that are missing, at most a chunk, and return whether there may be more."""
    room = _CHUNK
    while room > 0:
        row = connection.execute(
            f"SELECT number, {LAST}, {INDEXED} FROM message_search_pending"
            " JOIN conversations ON number = conversation LIMIT 1"
        ).fetchone()
        if row is None:
            return False
        number, last, indexed = row
        found, upto = _next(connection, number, indexed, last, room)
        _index(connection, number, indexed, upto)
        if upto == last and not _unmark(connection, number):
            return False  # a damaged file, whose mark does not go away: do not look at it for ever
        room -= max(1, found)
    return True


def _next(connection: sqlite3.Connection, number: int, indexed: int, last: int, room: int) -> tuple[int, int]:
    """Return how many of the messages to index fit into *room*, and up to which sequence they go.

    By what is there, not by the numbers: most of them may be pruned, and a damaged file may name any.
    """
    found, newest = connection.execute(
        "SELECT count(*), max(id) FROM (SELECT id FROM messages WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)",
        (number << 32 | indexed, number << 32 | last, room),
    ).fetchone()
    return found, last if found < room else newest & 0xFFFFFFFF


def _unmark(connection: sqlite3.Connection, number: int) -> bool:
    deleted = connection.execute("DELETE FROM message_search_pending WHERE conversation = ?", (number,))
    return deleted.rowcount > 0


def _index(connection: sqlite3.Connection, number: int, after: int, upto: int) -> None:
    connection.execute(
        "INSERT INTO message_search (rowid, content)"
        " SELECT id, content FROM messages WHERE id > ? AND id <= ? ORDER BY id",
        (number << 32 | after, number << 32 | upto),
    )
    connection.execute("UPDATE conversations SET indexed_sequence = ? WHERE number = ?", (upto, number))


def remove(connection: sqlite3.Connection, number: int, upto: int) -> None:
    """Take the indexed messages of a conversation up to sequence *upto* out of the index, before they are deleted."""
    connection.execute(
        "INSERT INTO message_search (message_search, rowid, content)"
        " SELECT 'delete', id, content FROM messages WHERE id > ? AND id <= ?",
        (number << 32, number << 32 | upto),
    )


def replace(connection: sqlite3.Connection, id: int, old: str, new: str) -> None:
    """Put the new content of an indexed message in the place of the old one, before the message changes."""
    connection.execute("INSERT INTO message_search (message_search, rowid, content) VALUES ('delete', ?, ?)", (id, old))
    connection.execute("INSERT INTO message_search (rowid, content) VALUES (?, ?)", (id, new))


def remove_all(connection: sqlite3.Connection, column: str, value: str) -> None:
    """Take every conversation with *value* in *column* out of the index, before they are deleted together.

    :param column: ``"assistant_id"`` or ``"user_id"``, from the caller's code, never from a user.
    """
    found = connection.execute(
        f"SELECT number, {INDEXED} FROM conversations WHERE {column} = ? AND indexed_sequence > 0", (value,)
    ).fetchall()
    for number, indexed in found:
        remove(connection, number, indexed)


def load_unindexed(connection: sqlite3.Connection) -> None:
    """Copy what is missing in the index into a table of this connection, for who cannot write to the file."""
    connection.execute(TABLE)
    connection.execute("DELETE FROM temp.unindexed")
    connection.execute(
        "INSERT INTO temp.unindexed (rowid, content)"
        " SELECT messages.id, messages.content FROM message_search_pending"
        " JOIN conversations ON number = message_search_pending.conversation"
        " JOIN messages ON messages.id > (number << 32 | indexed_sequence)"
        "  AND messages.id <= (number << 32 | last_sequence)"
    )


def is_in_step(connection: sqlite3.Connection) -> bool:
    """Say whether the index holds exactly the messages that it should, by FTS5's own comparison. Takes a while."""
    is_pending(connection)  # so that the connection knows of tables that others have made since
    try:
        connection.execute("INSERT INTO message_search (message_search, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        if is_unusable(error):
            return False
        raise
    return True


def is_unusable(error: BaseException | None) -> bool:
    """Say whether SQLite complains of the index and not of the file or its locks."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _OUT_OF_STEP


def rebuild(connection: sqlite3.Connection) -> None:
    """Make the index anew from the messages that count as indexed."""
    connection.execute("INSERT INTO message_search (message_search) VALUES ('rebuild')")


def empty(connection: sqlite3.Connection) -> None:
    """Give the tables behind the index what those of a new one have. Not for a connection that has read the index.

    Without some of their rows SQLite can neither use the index nor rebuild nor even drop it.
    """
    (index,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'message_search'").fetchone()
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.execute(index)
        tables = fresh.execute("SELECT name, sql FROM sqlite_master WHERE name GLOB 'message_search_*'").fetchall()
        for table, sql in tables:
            connection.execute(sql.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
            connection.execute(f"DELETE FROM {table}")
            for row in fresh.execute(f"SELECT * FROM {table}"):
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)
