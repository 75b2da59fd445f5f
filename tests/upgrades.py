"""What the tests of the upgrades share: scripts, and a file with the calls that the engine makes on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peewee_conv import migrate, versions
from peewee_conv.database.faults import translate
from peewee_conv.migrate import ScriptStatus
from peewee_conv.versions import Migrations

MakeScripts = Callable[..., Migrations]
BOOKKEEPING = {"schema_migration", "schema_migration_name", "sqlite_sequence"}

ADD_LABEL = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE ticket ADD COLUMN label TEXT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE ticket DROP COLUMN label")
"""
FAILING = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE half (id INTEGER PRIMARY KEY)")
    db.execute_sql("INSERT INTO ticket (title, votes) VALUES ('half', 0)")
    {failure}
"""
REBUILD = """
from playhouse.migrate import migrate

REWRITES_TABLES = True


def up(migrator, db):
    migrate(migrator.drop_not_null("ticket", "title"))


def down(migrator, db):
    migrate(migrator.add_not_null("ticket", "title"))
"""


class File:
    """A file below the test's folder, and the calls that the engine makes on it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "x.db"
        self.connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)

    def upgrade(self, migrations: Migrations, **options: Any) -> list[str]:
        return migrate.upgrade(self.connection, str(self.path), migrations, translate=translate, **options)

    def downgrade(self, migrations: Migrations, target: int) -> list[str]:
        return migrate.downgrade(self.connection, str(self.path), migrations, target, translate=translate)

    def status(self, migrations: Migrations) -> list[ScriptStatus]:
        return migrate.status(self.connection, str(self.path), migrations)

    def run(self, sql: str) -> list[Any]:
        return self.connection.execute(sql).fetchall()

    @property
    def version(self) -> int:
        return versions.version(self.connection)

    @property
    def tables(self) -> dict[str, str]:
        return dict(self.run("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"))

    def dump(self) -> list[str]:
        return [f"version {self.version}", *self.connection.iterdump()]
