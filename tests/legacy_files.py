"""The databases of an older application, as SQL text: what its releases wrote, one shape for each."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

Row = dict[str, Any]

# The first release: no state but "passes", and no index, which create_all never adds to a table that exists.
OLDEST = """
CREATE TABLE features (
    id INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    category VARCHAR(100) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT NOT NULL,
    steps JSON NOT NULL,
    passes BOOLEAN,
    PRIMARY KEY (id)
);
"""
OLDEST_INDEXES = """
CREATE INDEX ix_features_id ON features (id);
CREATE INDEX ix_features_priority ON features (priority);
CREATE INDEX ix_features_passes ON features (passes);
"""
IN_PROGRESS = "ALTER TABLE features ADD COLUMN in_progress BOOLEAN DEFAULT 0;"
DEPENDENCIES = "ALTER TABLE features ADD COLUMN dependencies TEXT DEFAULT NULL;"
# A table that was created in the short time of the testing columns: NOT NULL, without a default.
TESTING = """
CREATE TABLE features (
    id INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    category VARCHAR(100) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT NOT NULL,
    steps JSON NOT NULL,
    passes BOOLEAN NOT NULL,
    in_progress BOOLEAN NOT NULL,
    testing_in_progress BOOLEAN NOT NULL,
    last_tested_at DATETIME,
    dependencies JSON,
    PRIMARY KEY (id)
);
CREATE INDEX ix_features_testing_in_progress ON features (testing_in_progress);
"""
HUMAN_INPUT = """
ALTER TABLE features ADD COLUMN needs_human_input BOOLEAN DEFAULT 0;
ALTER TABLE features ADD COLUMN human_input_request TEXT DEFAULT NULL;
ALTER TABLE features ADD COLUMN human_input_response TEXT DEFAULT NULL;
"""
OLD_SCHEDULES = """
CREATE TABLE schedules (
    id INTEGER NOT NULL,
    project_name VARCHAR(50) NOT NULL,
    start_time VARCHAR(5) NOT NULL,
    duration_minutes INTEGER NOT NULL,
    days_of_week INTEGER NOT NULL,
    enabled BOOLEAN NOT NULL,
    yolo_mode BOOLEAN NOT NULL,
    model VARCHAR(50),
    created_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_schedules_project_name ON schedules (project_name);
"""
OVERRIDES = """
CREATE TABLE schedule_overrides (
    id INTEGER NOT NULL,
    schedule_id INTEGER NOT NULL,
    override_type VARCHAR(10) NOT NULL,
    expires_at DATETIME NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(schedule_id) REFERENCES schedules (id) ON DELETE CASCADE
);
"""
CRASHES = """
ALTER TABLE schedules ADD COLUMN crash_count INTEGER DEFAULT 0;
ALTER TABLE schedules ADD COLUMN max_concurrency INTEGER DEFAULT 3;
"""
NEWEST = """
CREATE TABLE features (
    id INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    category VARCHAR(100) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT NOT NULL,
    steps JSON NOT NULL,
    passes BOOLEAN NOT NULL,
    in_progress BOOLEAN NOT NULL,
    dependencies JSON,
    needs_human_input BOOLEAN NOT NULL,
    human_input_request JSON,
    human_input_response JSON,
    PRIMARY KEY (id)
);
CREATE INDEX ix_features_id ON features (id);
CREATE INDEX ix_feature_status ON features (passes, in_progress, needs_human_input);
CREATE TABLE schedules (
    id INTEGER NOT NULL,
    project_name VARCHAR(50) NOT NULL,
    start_time VARCHAR(5) NOT NULL,
    duration_minutes INTEGER NOT NULL,
    days_of_week INTEGER NOT NULL,
    enabled BOOLEAN NOT NULL,
    yolo_mode BOOLEAN NOT NULL,
    model VARCHAR(50),
    max_concurrency INTEGER NOT NULL,
    crash_count INTEGER NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT ck_schedule_duration CHECK (duration_minutes >= 1 AND duration_minutes <= 1440),
    CONSTRAINT ck_schedule_days CHECK (days_of_week >= 0 AND days_of_week <= 127)
);
"""
NEWEST += OVERRIDES

OLD_ROWS = """
INSERT INTO features (id, priority, category, name, description, steps, passes) VALUES
    (1, 1, 'base', 'Log in', 'by mail', '["open", "type"]', 1),
    (2, 7, 'base', 'Log out', '', '[]', 0),
    (5, 2, 'caf\u00e9', 'Na\u00efve \u2603', 'x', '["\\u00e9"]', NULL);
"""
TESTING_ROWS = """
INSERT INTO features VALUES
    (1, 1, 'base', 'Log in', 'by mail', '["open", "type"]', 1, 0, 0, NULL, NULL),
    (2, 7, 'base', 'Log out', '', '[]', 0, 1, 1, '2026-01-02 03:04:05.000006', '[1]');
"""
NULL_FLAGS = "UPDATE features SET passes = NULL, in_progress = NULL, needs_human_input = NULL WHERE id = 2;"
SCHEDULE_ROWS = """
INSERT INTO schedules (id, project_name, start_time, duration_minutes, days_of_week, enabled, yolo_mode, created_at)
    VALUES (3, 'aurora', '22:30', 240, 127, 1, 0, '2026-01-02 03:04:05.000006');
INSERT INTO schedule_overrides VALUES
    (1, 3, 'stop', '2026-01-03 00:00:00.000000', '2026-01-02 23:00:00.000000'),
    (2, 99999, 'start', '2026-01-03 00:00:00.000000', '2026-01-02 23:00:00.000000');
"""
MALFORMED = r"""
UPDATE features SET dependencies = 'null' WHERE id = 1;
UPDATE features SET dependencies = '[1, "2", 2.5, null, true, 5, 1]' WHERE id = 2;
UPDATE features SET dependencies = '"12"' WHERE id = 5;
INSERT INTO features (id, priority, category, name, description, steps, passes, in_progress, dependencies) VALUES
    (6, 'high', 'a', 'b', 'c', '[]', 0, 0, NULL),
    (7, 1, 'a', 'b', 'c', 'null', 0, 0, '[7]'),
    (8, 1, 'a', 'b', 'c', '"one step"', 'yes', 0, NULL),
    (9, 1, 'a', 'b', 'c', '"one step"', 1, 0, '{"1": 2}'),
    (10, 1, 'a', 'b', 'c', '[NaN]', 1, 0, 'not json'),
    (11, 1, 'a', CAST(x'ff62' AS TEXT), 'c', '["\ud800"]', 1, 0, NULL),
    (12, 1.5, 'a', 'b', 'c', '[]', 1, 0, NULL),
    (13, 1, 'a', x'00ff', 'c', '[]', 1, 0, NULL),
    (14, 1, 'a', 'b', 'c', '["\ud800"]', 1, 0, '[0, -1, 99999999999999999999]');
"""
NEWEST_ROWS = """
INSERT INTO features VALUES
    (1, 1, 'base', 'Log in', 'by mail', '["open", "type"]', 1, 0, NULL, 0, 'null', 'null'),
    (4, 3, 'base', 'Log out', '', '[]', 0, 0, '[1]', 1, '{"prompt": "?", "fields": []}', NULL),
    (9, 3, 'base', 'Reset', '', '[]', 0, 1, '[1, 4]', 0, '{"prompt": "?"}', '{"fields": {}, "responded_at": "x"}');
INSERT INTO schedules VALUES
    (2, 'aurora', '00:00', 1440, 0, 0, 1, 'opus', 5, 2, '2026-01-02 03:04:05.000006');
"""

SHAPES = {
    "the first release": OLDEST + OLDEST_INDEXES + OLD_ROWS,
    "no indexes": OLDEST + OLD_ROWS,
    "with in_progress": OLDEST + OLD_ROWS + IN_PROGRESS,
    "with dependencies": OLDEST + IN_PROGRESS + DEPENDENCIES + OLD_ROWS + "UPDATE features SET dependencies = '[1]';",
    "testing columns": TESTING + TESTING_ROWS,
    "testing columns and human input": TESTING + HUMAN_INPUT,
    "NULL in all flags": OLDEST + IN_PROGRESS + DEPENDENCIES + HUMAN_INPUT + OLD_ROWS + NULL_FLAGS,
    "schedules of the first release": OLDEST + IN_PROGRESS + DEPENDENCIES + OLD_SCHEDULES + OVERRIDES + SCHEDULE_ROWS,
    "schedules after their upgrade": OLDEST + OLD_SCHEDULES + OVERRIDES + CRASHES + SCHEDULE_ROWS + OLD_ROWS,
    "schedules without overrides": OLDEST + OLD_SCHEDULES + OLD_ROWS,
    "malformed values": OLDEST + IN_PROGRESS + DEPENDENCIES + OLD_ROWS + MALFORMED,
    "the newest release": NEWEST + NEWEST_ROWS,
    "the newest release, empty": NEWEST,
    "analysed": NEWEST + NEWEST_ROWS + "ANALYZE;",
}

ASSISTANT = """
CREATE TABLE conversations (
    id INTEGER NOT NULL,
    project_name VARCHAR(100) NOT NULL,
    title VARCHAR(200),
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id)
);
CREATE INDEX ix_conversations_id ON conversations (id);
CREATE INDEX ix_conversations_project_name ON conversations (project_name);
CREATE TABLE conversation_messages (
    id INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    role VARCHAR(20) NOT NULL,
    content TEXT NOT NULL,
    timestamp DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(conversation_id) REFERENCES conversations (id)
);
CREATE INDEX ix_conversation_messages_id ON conversation_messages (id);
CREATE INDEX ix_conversation_messages_conversation_id ON conversation_messages (conversation_id);
"""


def make(path: Path, sql: str, journal: str = "delete") -> None:
    """Write a file of these statements."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.executescript(sql)


def dump(path: Path, table: str) -> list[Row]:
    """Return the rows of a table by id, of any file; empty where it has no such table. Bad UTF-8 is kept visible."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda text: text.decode(errors="surrogateescape")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            return []
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY 1")
        return [dict(zip((column[0] for column in cursor.description), row, strict=True)) for row in cursor]


def schema(path: Path) -> dict[str, str]:
    """Return the SQL of every table, index and trigger, without quotes and superfluous white space."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {name: re.sub(r"\s+", " ", re.sub(r"[\"`\[\]]", "", sql)) for name, sql in found}


def rejects(path: Path) -> list[Row]:
    """Return what was written beside the file at *path*."""
    file = path.with_name(f"{path.name}.rejected.jsonl")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def rejected_ids(path: Path, table: str, *, kept: bool) -> Iterator[int]:
    """Yield the ids of the rejects of a table."""
    return (line["row"]["id"] for line in rejects(path) if line["table"] == table and line["kept"] is kept)
