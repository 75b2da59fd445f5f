"""A schema with a history: four scripts, one of which rebuilds a table whose children must survive it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from fault_tools import problems, rows
from peewee import AutoField, ForeignKeyField, IntegerField, TextField

from peewee_conv import Project, Schema

SCRIPTS = {
    "0001_initial": """
def up(migrator, db):
    db.execute_sql("CREATE TABLE board (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, size TEXT)")
    db.execute_sql(
        "CREATE TABLE card (id INTEGER NOT NULL PRIMARY KEY,"
        " board_id INTEGER NOT NULL REFERENCES board (id) ON DELETE CASCADE, text TEXT NOT NULL)"
    )

def down(migrator, db):
    db.execute_sql("DROP TABLE card")
    db.execute_sql("DROP TABLE board")
""",
    "0002_owner": """
from peewee import TextField

def up(migrator, db):
    migrator.migrate(migrator.add_column("card", "owner", TextField(default="nobody")))

def down(migrator, db):
    migrator.migrate(migrator.drop_column("card", "owner"))
""",
    "0003_size_is_a_number": """
from peewee import IntegerField, TextField

REWRITES_TABLES = True

def up(migrator, db):
    migrator.migrate(migrator.alter_column_type("board", "size", IntegerField(null=True)))

def down(migrator, db):
    migrator.migrate(migrator.alter_column_type("board", "size", TextField(null=True)))
""",
    "0004_index_and_tally": """
def up(migrator, db):
    db.execute_sql("CREATE INDEX idx_card_board_id ON card (board_id)")
    db.execute_sql("CREATE TABLE tally (board_id INTEGER NOT NULL PRIMARY KEY, cards INTEGER NOT NULL)")
    db.execute_sql("INSERT INTO tally SELECT board_id, count(*) FROM card GROUP BY board_id")

def down(migrator, db):
    db.execute_sql("DROP TABLE tally")
    db.execute_sql("DROP INDEX idx_card_board_id")
""",
}
BOARDS, CARDS = 60, 540


class Ladder:
    """The schema ``deck`` as an old release knew it (one script) and as it is now (four)."""

    counts = (BOARDS, CARDS, BOARDS)

    def __init__(self, folder: Path, journal: str) -> None:
        self.journal = journal
        self._template = folder / "template"
        self.old = _schema(folder / "old-scripts", 1)
        self.new = _schema(folder / "new-scripts", 4)

        class OldCard(self.old.Model):  # type: ignore[name-defined,misc]
            text = TextField()

            class Meta:
                table_name = "card"

        class Board(self.new.Model):  # type: ignore[name-defined,misc]
            id = AutoField()
            name = TextField()
            size = IntegerField(null=True)

        class Card(self.new.Model):  # type: ignore[name-defined,misc]
            id = AutoField()
            board = ForeignKeyField(Board)
            text = TextField()
            owner = TextField()

        class Tally(self.new.Model):  # type: ignore[name-defined,misc]
            board_id = IntegerField(primary_key=True)
            cards = IntegerField()

        self.OldCard, self.Board, self.Card, self.Tally = OldCard, Board, Card, Tally
        self._fill()

    def _fill(self) -> None:
        project = self.old_project(self._template)
        with project, project.atomic(self.old):
            database = self.old.database
            for board in range(1, BOARDS + 1):
                database.execute_sql("INSERT INTO board VALUES (?, ?, ?)", (board, f"board {board}", str(board)))
            for card in range(1, CARDS + 1):
                text = f"card {card} " + "x" * 200
                database.execute_sql("INSERT INTO card VALUES (?, ?, ?)", (card, 1 + card % BOARDS, text))
        project.dispose()

    def old_project(self, path: Path) -> Project:
        """Return a project whose ``deck`` is used through the old release's schema."""
        return Project(path, journal_mode=self.journal)

    def make_old(self, path: Path) -> None:
        """Put a project of the old release at *path*, in place of what is there."""
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self._template, path)

    def count_at_head(self, path: Path) -> tuple[int, int, int]:
        """Open the project with the new schema, which upgrades it, and count the rows of its tables."""
        project = Project(path, journal_mode=self.journal)
        with project:
            found = tuple(model.select().count() for model in (self.Board, self.Card, self.Tally))
        project.dispose()
        return found  # type: ignore[return-value]

    def version(self, path: Path) -> int:
        """Check that the file is sound and wholly of one release; return the number of its last script."""
        with closing(sqlite3.connect(path / ".peewee_conv" / "deck.db")) as connection:
            assert problems(connection) == []
            query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            tables = [name for (name,) in connection.execute(query)]
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            history = [name for (name,) in connection.execute("SELECT name FROM schema_migration ORDER BY name")]
            columns = [row[1:3] for row in connection.execute("PRAGMA table_info (board)")]
            assert [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("board", "card")] == [
                BOARDS,
                CARDS,
            ]
        assert tables == ["board", "card", "schema_migration"] + ["tally"] * (version == 4)
        assert history == list(SCRIPTS)[:version]
        assert columns[2] == ("size", "INTEGER" if version == 4 else "TEXT")
        return version

    def assert_new(self, path: Path) -> None:
        """Check that the file is wholly upgraded and has every row of before, with its values."""
        assert self.version(path) == 4
        deck = path / ".peewee_conv" / "deck.db"
        assert rows(deck, "SELECT count(*), sum(size), sum(cards) FROM board JOIN tally ON board_id = board.id") == [
            (BOARDS, BOARDS * (BOARDS + 1) // 2, CARDS)
        ]
        assert rows(deck, "SELECT count(*), sum(length(text) > 200), count(DISTINCT owner) FROM card") == [
            (CARDS, CARDS, 1)
        ]


def _schema(folder: Path, count: int) -> Schema:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in list(SCRIPTS.items())[:count]:
        (folder / f"{name}.py").write_text(text)
    return Schema("deck", migrations=folder)
