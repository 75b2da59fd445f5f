"""Restoring checks everything before it changes anything."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from backup_tools import Maker, contents_of, damage, query
from backup_tools import filled as filled
from tickets import INITIAL, Tickets, make_tickets, write_scripts

from peewee_conv import Project, Schema
from peewee_conv.backup import restore
from peewee_conv.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    ForeignDatabase,
    InvalidArgument,
    ProjectDisposed,
    SchemaTooNew,
)

# --- restore ---


def test_restore_brings_the_state_of_the_backup_back(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    filled.conversations.add_message("c", "user", "after the backup")

    done = filled.restore(tmp_path / "b.db")

    again = Project(filled.path)
    assert contents_of(again) == ["before the backup"]
    assert again.check() == []
    assert done.path == str(filled.database_path())


def test_restored_database_forgets_the_log_of_the_old_one(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    filled.conversations.add_messages("c", [{"role": "user", "content": str(n)} for n in range(500)])

    filled.restore(tmp_path / "b.db")

    assert sorted(os.listdir(filled.database_path().parent)) == ["assistant.db", "assistant.db.before-restore"]


def test_restore_keeps_the_old_database_with_its_last_message(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    filled.conversations.add_message("c", "user", "after the backup")

    kept = filled.restore(tmp_path / "b.db").kept

    assert kept is not None
    assert query(Path(kept), "SELECT count(*) FROM messages") == 2


def test_restore_can_do_without_the_old_database(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")

    assert filled.restore(tmp_path / "b.db", keep_old=False).kept is None
    assert os.listdir(filled.database_path().parent) == ["assistant.db"]


def test_second_restore_keeps_both_old_databases(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    filled.restore(tmp_path / "b.db")

    kept = Project(filled.path).restore(tmp_path / "b.db").kept

    assert kept is not None
    assert kept.endswith(".before-restore.2")


def test_restore_into_a_new_project(filled: Project, make_project: Maker, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    other = make_project("other")

    done = other.restore(tmp_path / "b.db")

    assert done.kept is None
    assert contents_of(Project(other.path)) == ["before the backup"]
    assert os.stat(done.path).st_mode & 0o777 == 0o600
    assert os.stat(other.database_path().parent).st_mode & 0o777 == 0o700


def test_log_without_its_database_is_not_taken_for_that_of_the_restored_one(
    filled: Project, make_project: Maker, tmp_path: Path
) -> None:
    filled.backup(tmp_path / "b.db")
    other = make_project("other")
    other.conversations.create(id="c")
    wal = Path(f"{other.database_path()}-wal").read_bytes()
    other.delete()
    other.database_path().parent.mkdir(0o700)
    Path(f"{other.database_path()}-wal").write_bytes(wal)

    Project(other.path).restore(tmp_path / "b.db")

    assert Project(other.path).check() == []
    assert contents_of(Project(other.path)) == ["before the backup"]


def test_restore_disposes_the_project(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    filled.restore(tmp_path / "b.db")

    with pytest.raises(ProjectDisposed):
        filled.conversations.list()


def test_restore_leaves_the_backup_as_it_is(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    before = (tmp_path / "b.db").read_bytes()

    filled.restore(tmp_path / "b.db")

    assert (tmp_path / "b.db").read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"SQLite format 3\0" + b"x" * 8176, b""])
def test_restore_replaces_a_file_that_is_no_database(filled: Project, tmp_path: Path, content: bytes) -> None:
    filled.backup(tmp_path / "b.db")
    filled.dispose()
    filled.database_path().write_bytes(content)
    Path(f"{filled.database_path()}-wal").write_bytes(b"rubbish")

    kept = Project(filled.path).restore(tmp_path / "b.db").kept

    assert not os.path.exists(f"{filled.database_path()}-wal")
    assert contents_of(Project(filled.path)) == ["before the backup"]
    assert kept is not None
    assert os.path.exists(kept)


def test_restore_replaces_a_damaged_database(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    filled.dispose()
    damage(filled.database_path(), "messages")

    Project(filled.path).restore(tmp_path / "b.db")

    assert Project(filled.path).check() == []


def test_restore_replaces_a_database_of_a_newer_release(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    execute(filled.database_path(), "PRAGMA user_version = 99")

    Project(filled.path).restore(tmp_path / "b.db")

    assert contents_of(Project(filled.path)) == ["before the backup"]


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


BAD: dict[str, tuple[str, type[Exception]]] = {
    "newer": ("PRAGMA user_version = 99", SchemaTooNew),
    "foreign": ("PRAGMA application_id = 1", ForeignDatabase),
    "without a version": ("PRAGMA user_version = 0", ForeignDatabase),
    "another trigger": ("CREATE TRIGGER t AFTER INSERT ON messages BEGIN SELECT 1; END", ForeignDatabase),
    "another view": ("CREATE VIEW v AS SELECT 1", ForeignDatabase),
    "lost table": ("DROP TABLE datasets", ForeignDatabase),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_backup_of_ours_is_refused_and_nothing_changes(filled: Project, tmp_path: Path, name: str) -> None:
    statement, error = BAD[name]
    filled.backup(tmp_path / "b.db")
    execute(tmp_path / "b.db", statement)

    with pytest.raises(error):
        filled.restore(tmp_path / "b.db")

    assert contents_of(filled) == ["before the backup"]
    assert not [name for name in os.listdir(filled.database_path().parent) if ".new-" in name]


def test_backup_with_an_index_of_its_own_is_taken(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    execute(tmp_path / "b.db", "CREATE INDEX mine ON messages (role)")

    filled.restore(tmp_path / "b.db")

    assert contents_of(Project(filled.path)) == ["before the backup"]


def test_damaged_backup_is_refused_and_nothing_changes(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")
    damage(tmp_path / "b.db", "messages")

    with pytest.raises(DatabaseCorrupt, match="the backup is damaged"):
        filled.restore(tmp_path / "b.db")

    assert contents_of(filled) == ["before the backup"]


@pytest.mark.parametrize("content", [b"text", b"", b"SQLite format 3\0" + b"x" * 8176])
def test_backup_that_is_no_database_is_refused(filled: Project, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.db").write_bytes(content)

    with pytest.raises((DatabaseCorrupt, ForeignDatabase)):
        filled.restore(tmp_path / "b.db")

    assert contents_of(filled) == ["before the backup"]


def test_empty_file_is_no_backup(filled: Project, tmp_path: Path) -> None:
    (tmp_path / "b.db").touch()

    with pytest.raises(ForeignDatabase, match="this is no backup of peewee_conv"):
        filled.restore(tmp_path / "b.db")


def test_backup_of_another_schema_is_refused(filled: Project, tickets: Tickets, tmp_path: Path) -> None:
    with filled:
        tickets.Ticket.create(title="x")
    filled.backup(tmp_path / "b.db", tickets.schema)

    with pytest.raises(ForeignDatabase, match="no backup of the schema assistant"):
        filled.restore(tmp_path / "b.db")


def test_missing_backup_is_refused(filled: Project, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="the path of a backup"):
        restore(filled, tmp_path / "nothing.db")


def test_database_is_no_backup_of_itself(filled: Project) -> None:
    with pytest.raises(InvalidArgument, match="the path of a backup"):
        restore(filled, filled.database_path())


def test_backup_of_an_older_release_is_upgraded_by_the_next_open(project: Project, tmp_path: Path) -> None:
    old = make_tickets(tmp_path / "old")
    with project:
        old.Ticket.create(title="kept")
    project.backup(tmp_path / "b.db", old.schema)
    project.dispose()
    new = Schema("tickets", migrations=write_scripts(tmp_path / "new", INITIAL, ADD_NOTE))

    assert Project(project.path).restore(tmp_path / "b.db", new).version == 1

    with Project(project.path):
        assert new.database.execute_sql("SELECT title, note FROM ticket").fetchone() == ("kept", None)


ADD_NOTE = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE ticket ADD COLUMN note TEXT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE ticket DROP COLUMN note")
"""


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_restore_waits_for_nobody_who_holds_a_lock(make_project: Maker, tmp_path: Path, journal_mode: str) -> None:
    project = make_project(journal_mode=journal_mode)
    project.conversations.create(id="c")
    project.backup(tmp_path / "b.db")

    with closing(sqlite3.connect(project.database_path(), isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM conversations").fetchall()
        with pytest.raises(DatabaseBusy, match="the file is open elsewhere"):
            restore(project, tmp_path / "b.db", timeout=0.2)

    assert Project(project.path).conversations.find("c") is not None


def test_restore_inside_a_transaction_is_refused(filled: Project, tmp_path: Path) -> None:
    filled.backup(tmp_path / "b.db")

    with filled.atomic(), pytest.raises(DatabaseBusy):
        filled.restore(tmp_path / "b.db")

    assert contents_of(filled) == ["before the backup"]


def test_restore_without_hard_links(filled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.backup(tmp_path / "b.db")

    def refuse(*args: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    kept = filled.restore(tmp_path / "b.db").kept

    assert kept is not None
    assert os.path.exists(kept)
    assert contents_of(Project(filled.path)) == ["before the backup"]
