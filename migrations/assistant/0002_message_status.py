"""Messages that are written piece by piece: what has become of each, and when the last piece of an open one came.

A column that is added in this way costs nothing for the rows that are there: SQLite gives them the default as it reads
them. (playhouse's ``add_column`` would write every row twice.)
"""

from typing import Any

UP = (
    """
    ALTER TABLE messages ADD COLUMN status TEXT NOT NULL DEFAULT 'complete'
        CONSTRAINT ck_message_status CHECK (status IN ('complete', 'streaming', 'interrupted'))
    """,
    """
    ALTER TABLE messages ADD COLUMN streamed_at TEXT
        CONSTRAINT ck_message_streamed_at CHECK ((status = 'streaming') = (streamed_at IS NOT NULL))
    """,
    "CREATE INDEX idx_messages_streaming ON messages (streamed_at) WHERE status = 'streaming'",
)
DOWN = (
    "DROP INDEX idx_messages_streaming",
    "ALTER TABLE messages DROP COLUMN streamed_at",
    "ALTER TABLE messages DROP COLUMN status",
)


def up(migrator: Any, db: Any) -> None:
    for statement in UP:
        db.execute_sql(statement)


def down(migrator: Any, db: Any) -> None:
    for statement in DOWN:
        db.execute_sql(statement)
