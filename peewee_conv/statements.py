"""The SQL of conversations and messages, in one place; a test runs each against the schema.

Each text exists twice: for a whole project, and restricted to one owner. In both, parameter 1 is the id of the
conversation and parameter 2 the owner, of whom the texts for a whole project do not ask.

Where a value may be NULL, an append binds a stand-in for ``nullif``: the sqlite3 module takes half a microsecond to
bind a ``None``, SQLite a tenth of that to compare.
"""

from __future__ import annotations

import functools
import sqlite3
from operator import itemgetter

from .search_index import INDEXED, LAST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

CONVERSATION: Final = (
    "number, id, assistant_id, user_id, project_name, title, message_count, token_count, last_sequence,"
    " created_at, updated_at, metadata"
)
# The status of most messages is read as NULL: that costs the sqlite3 module less than to make a text of each.
MESSAGE: Final = (
    "messages.id, role, content, messages.token_count, messages.metadata, external_id, messages.created_at,"
    " nullif(status, 'complete')"
)
STORED_MESSAGE: Final = "id, conversation, sequence, role, content, token_count, metadata, external_id, created_at"
PINNED: Final = "role IN ('system', 'developer')"  # the very text of idx_messages_pinned's WHERE

CREATE: Final = (
    "INSERT INTO conversations"
    " (number, id, assistant_id, user_id, project_name, title, created_at, updated_at, metadata)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_MESSAGE: Final = (
    f"INSERT INTO messages ({STORED_MESSAGE}) VALUES (?, ?, ?, ?, ?, nullif(?, -1), nullif(?, ''), nullif(?, ''), ?)"
)
INSERT_PLAIN_MESSAGE: Final = (
    "INSERT INTO messages (id, conversation, sequence, role, content, created_at) VALUES (?, ?, ?, ?, ?, ?)"
)
STALE: Final = (
    f"SELECT {MESSAGE}, sequence <= (SELECT indexed_sequence FROM conversations WHERE number = conversation)"
    " FROM messages WHERE status = 'streaming' AND streamed_at <= ?"
    " AND (? = '' OR conversation IN (SELECT number FROM conversations WHERE user_id = ?))"
)
#: What a model may see: not what is still being written, nor what was given up before its first word.
SEEN: Final = "(status = 'complete' OR status = 'interrupted' AND content <> '')"
DELETE_MESSAGES: Final = "DELETE FROM messages WHERE id > ? AND id <= ?"


class Statement(str):
    """A text written with numbered parameters, in the form with plain ones.

    Python 3.12.0 to 3.12.3 warns of every numbered parameter that it binds by position.

    :ivar arrange: repeats and orders the values, given once each by number, as the plain parameters want them.
    """

    arrange: itemgetter[Any]

    def __new__(cls, numbered: str) -> Statement:
        """Take a text with one parameter or more."""
        head, *tails = numbered.split("?")
        made = super().__new__(cls, "?".join([head, *(tail[1:] for tail in tails)]))
        first, *others = (int(tail[0]) - 1 for tail in tails)
        # Of a slice the answer is a tuple also where there is one parameter alone.
        made.arrange = itemgetter(first, *others) if others else itemgetter(slice(first, first + 1))
        return made


def run(connection: sqlite3.Connection, sql: str, params: tuple[Any, ...]) -> sqlite3.Cursor:
    """Execute a text, or a :class:`Statement` with its parameters by number."""
    return connection.execute(sql, sql.arrange(params) if type(sql) is Statement else params)


class Statements:
    """The texts for one kind of caller.

    :param owned: whether every statement carries the owner's predicate.
    """

    def __init__(self, *, owned: bool) -> None:
        and_owner = " AND user_id = ?2" if owned else ""
        which = f"conversations.id = ?1{and_owner}"
        number = f"(SELECT number FROM conversations WHERE {which})"
        # The conversation is looked up once. Not "< number + 1 << 32": that is too much for 64 bits in the conversation
        # of the highest number.
        select = f"SELECT {MESSAGE} FROM conversations CROSS JOIN messages WHERE {which}"
        above, last = "messages.id > number << 32", "messages.id <= (number << 32 | 4294967295)"
        self.find = Statement(f"SELECT {CONVERSATION} FROM conversations WHERE {which}")
        self.find_by_number = Statement(f"SELECT {CONVERSATION} FROM conversations WHERE number = ?1{and_owner}")
        self.exists = Statement(f"SELECT 1 FROM conversations WHERE {which}")
        self.key = Statement(f"SELECT number, {LAST}, {INDEXED} FROM conversations WHERE {which}")
        self.delete = Statement(f"DELETE FROM conversations WHERE {which}")
        # The trigger tr_messages_appended keeps the counts. A missing conversation violates NOT NULL.
        self.append = Statement(
            f"INSERT INTO messages ({STORED_MESSAGE}) VALUES ("
            f"(SELECT number << 32 | last_sequence + 1 FROM conversations WHERE {which}), {number},"
            f" (SELECT last_sequence + 1 FROM conversations WHERE {which}), ?3, ?4,"
            " nullif(?5, -1), nullif(?6, ''), nullif(?7, ''), ?8)"
        )
        self.begin = Statement(
            f"INSERT INTO messages ({STORED_MESSAGE}, status, streamed_at) VALUES ("
            f"(SELECT number << 32 | last_sequence + 1 FROM conversations WHERE {which}), {number},"
            f" (SELECT last_sequence + 1 FROM conversations WHERE {which}), ?3, ?4,"
            " NULL, nullif(?5, ''), nullif(?6, ''), ?7, 'streaming', ?7)"
        )
        self.unfinished = Statement(
            f"SELECT {MESSAGE}, sequence <= (SELECT indexed_sequence FROM conversations WHERE number = conversation)"
            f" FROM messages WHERE id = ({number} << 32 | ?3)"
        )
        self.allot = Statement(
            "UPDATE conversations SET last_sequence = last_sequence + ?3, message_count = message_count + ?3,"
            " token_count = token_count + ?4, updated_at = max(updated_at, ?5),"
            " title = CASE WHEN title <> '' THEN title ELSE ?6 END"
            f" WHERE {which} RETURNING number, last_sequence"
        )
        self.by_external_id = Statement(
            f"SELECT {MESSAGE} FROM messages WHERE conversation = {number} AND external_id = ?3"
        )
        self.after = Statement(
            f"{select} AND messages.id > (number << 32 | ?3) AND {last} ORDER BY messages.id LIMIT ?4"
        )
        self.before = Statement(
            f"{select} AND {above} AND messages.id < (number << 32 | ?3) ORDER BY messages.id DESC LIMIT ?4"
        )
        self.newest = Statement(f"{select} AND {above} AND {last} AND {SEEN} ORDER BY messages.id DESC LIMIT ?3")
        # Parameters 3 and 4 are the pinned roles, '' for none; 5 says whether the instructions are pinned.
        self.newest_unpinned = Statement(
            f"{select} AND {above} AND {last} AND {SEEN} AND role NOT IN (?3, ?4) ORDER BY messages.id DESC LIMIT ?5"
        )
        # The first row is there for every conversation, with or without instructions.
        self.pinned = Statement(
            "SELECT 0, 'system', instructions, NULL, NULL, NULL, assistants.updated_at, NULL"
            f" FROM (SELECT assistant_id FROM conversations WHERE {which})"
            " LEFT JOIN assistants ON ?5 AND assistants.id = assistant_id"
            f" UNION ALL SELECT {MESSAGE} FROM messages"
            f" WHERE conversation = {number} AND role IN (?3, ?4) AND {PINNED}"
        )


WHOLE_PROJECT: Final = Statements(owned=False)
OF_ONE_OWNER: Final = Statements(owned=True)


@functools.lru_cache(maxsize=64)
def listing(filters: tuple[str, ...], order: str = "updated_at") -> str:
    """Return the SQL of a list of conversations, the newest first, with one parameter for each filter column.

    :param filters: names of columns, from the service's own code.
    :param order: the column that says what is new, from the service's own code too.
    """
    where = "".join(f"{column} = ? AND " for column in filters)
    return (
        f"SELECT {CONVERSATION} FROM conversations WHERE {where}({order}, number) < (?, ?)"
        f" ORDER BY {order} DESC, number DESC LIMIT ?"
    )


@functools.lru_cache(maxsize=256)
def search(index: str, filters: tuple[str, ...]) -> str:
    """Return the SQL of a search in *index*, ``message_search`` or the temporary ``unindexed``, best match first.

    FTS5 sorts by rank itself, so that only the rows of the answer are joined and marked.
    """
    where = "".join(f" AND {condition}" for condition in filters)
    return (
        "SELECT conversations.id, messages.id, role, messages.content, messages.token_count, messages.metadata,"
        " external_id, messages.created_at, nullif(messages.status, 'complete'), title,"
        f" snippet({index}, 0, ?, ?, ?, ?), -rank"
        f" FROM {index} CROSS JOIN messages ON messages.id = {index}.rowid"
        " CROSS JOIN conversations ON number = messages.conversation"
        f" WHERE {index} MATCH ?{where} ORDER BY rank LIMIT ?"
    )
