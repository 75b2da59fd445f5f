"""All tables of ``features.db``: the work queue of features, the schedules of agents, overrides of schedules.

Names, columns and indexes are those of the AutoForge databases, so that queries written for them go on working. Beyond
them: ids are never reused, foreign keys hold and are indexed, every rule is a CHECK, and times are UTC texts of one
width. JSON is checked by shape: SQLite 3.38 to 3.4x refuses json_valid() where a schema is not trusted.
"""

from typing import Any

TABLES = (
    """
    CREATE TABLE features (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        priority INTEGER NOT NULL DEFAULT 999 CONSTRAINT ck_feature_priority CHECK (typeof(priority) = 'integer'),
        category VARCHAR(100) NOT NULL,
        name VARCHAR(255) NOT NULL,
        description TEXT NOT NULL,
        steps TEXT NOT NULL CONSTRAINT ck_feature_steps CHECK (steps GLOB '[[]*]'),
        passes BOOLEAN NOT NULL DEFAULT 0 CONSTRAINT ck_feature_passes CHECK (passes IN (0, 1)),
        in_progress BOOLEAN NOT NULL DEFAULT 0 CONSTRAINT ck_feature_in_progress CHECK (in_progress IN (0, 1)),
        dependencies TEXT CONSTRAINT ck_feature_dependencies CHECK (dependencies GLOB '[[]*]'),
        needs_human_input BOOLEAN NOT NULL DEFAULT 0
            CONSTRAINT ck_feature_needs_human_input CHECK (needs_human_input IN (0, 1)),
        human_input_request TEXT CONSTRAINT ck_feature_request CHECK (human_input_request GLOB '{*}'),
        human_input_response TEXT CONSTRAINT ck_feature_response CHECK (human_input_response GLOB '{*}')
    )
    """,
    """
    CREATE TABLE schedules (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        project_name VARCHAR(50) NOT NULL,
        start_time VARCHAR(5) NOT NULL CONSTRAINT ck_schedule_start
            CHECK (start_time GLOB '[0-2][0-9]:[0-5][0-9]' AND start_time < '24:00'),
        duration_minutes INTEGER NOT NULL CONSTRAINT ck_schedule_duration CHECK (duration_minutes BETWEEN 1 AND 1440),
        days_of_week INTEGER NOT NULL DEFAULT 127 CONSTRAINT ck_schedule_days CHECK (days_of_week BETWEEN 0 AND 127),
        enabled BOOLEAN NOT NULL DEFAULT 1 CONSTRAINT ck_schedule_enabled CHECK (enabled IN (0, 1)),
        yolo_mode BOOLEAN NOT NULL DEFAULT 0 CONSTRAINT ck_schedule_yolo CHECK (yolo_mode IN (0, 1)),
        model VARCHAR(50),
        max_concurrency INTEGER NOT NULL DEFAULT 3
            CONSTRAINT ck_schedule_concurrency CHECK (max_concurrency BETWEEN 1 AND 5),
        crash_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT ck_schedule_crash_count CHECK (crash_count >= 0),
        created_at TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE schedule_overrides (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        schedule_id INTEGER NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
        override_type VARCHAR(10) NOT NULL
            CONSTRAINT ck_schedule_override_type CHECK (override_type IN ('start', 'stop')),
        expires_at TEXT NOT NULL,
        created_at TEXT NOT NULL
    )
    """,
)

INDEXES = (
    "CREATE INDEX ix_features_id ON features (id)",
    "CREATE INDEX ix_features_priority ON features (priority)",
    "CREATE INDEX ix_features_passes ON features (passes)",
    "CREATE INDEX ix_features_in_progress ON features (in_progress)",
    "CREATE INDEX ix_features_needs_human_input ON features (needs_human_input)",
    "CREATE INDEX ix_feature_status ON features (passes, in_progress, needs_human_input)",
    "CREATE INDEX ix_schedules_id ON schedules (id)",
    "CREATE INDEX ix_schedules_project_name ON schedules (project_name)",
    "CREATE INDEX ix_schedules_enabled ON schedules (enabled)",
    "CREATE INDEX ix_schedule_overrides_id ON schedule_overrides (id)",
    "CREATE INDEX ix_schedule_overrides_schedule_id ON schedule_overrides (schedule_id)",
)


def up(migrator: Any, db: Any) -> None:
    for statement in TABLES + INDEXES:
        db.execute_sql(statement)


def down(migrator: Any, db: Any) -> None:
    for table in ("schedule_overrides", "schedules", "features"):
        db.execute_sql(f"DROP TABLE {table}")
