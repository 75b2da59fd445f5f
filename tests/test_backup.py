"""Backups are whole and of one moment; restoring checks everything before it changes anything."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tickets import INITIAL, Tickets, make_tickets, write_scripts

from peewee_conv import Project, Schema
from peewee_conv.backup import backup, restore
from peewee_conv.errors import (
    AlreadyExists,
    DatabaseBusy,
    DatabaseCorrupt,
    ForeignDatabase,
    InvalidArgument,
    ProjectDisposed,
    SchemaTooNew,
)

Maker = Callable[..., Project]


@pytest.fixture
def filled(project: Project) -> Project:
    """A project with one conversation, "c", of one message."""
    project.conversations.create(id="c")
    project.conversations.add_message("c", "user", "before the backup")
    return project


def contents_of(project: Project) -> list[str]:
    return [message.content for message in project.conversations.iterate("c")]


def query(path: Path, sql: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


# --- backup ---


def test_backup_is_one_file_with_everything(filled: Project, tmp_path: Path) -> None:
    done = backup(filled, tmp_path / "b.db")

    assert done == (str(tmp_path / "b.db"), os.stat(tmp_path / "b.db").st_size, 2)
    assert [name for name in os.listdir(tmp_path) if name.startswith("b.db")] == ["b.db"]
    assert query(tmp_path / "b.db", "SELECT content FROM messages") == "before the backup"


def test_backup_needs_no_log_to_be_read(filled: Project, tmp_path: Path) -> None:
    backup(filled, tmp_path / "b.db")

    assert query(tmp_path / "b.db", "PRAGMA journal_mode") == "delete"


def test_backup_is_for_its_owner_alone(filled: Project, tmp_path: Path) -> None:
    backup(filled, tmp_path / "b.db")

    assert os.stat(tmp_path / "b.db").st_mode & 0o777 == 0o600


def test_backup_reports_its_pages(filled: Project, tmp_path: Path) -> None:
    filled.conversations.add_message("c", "user", "x" * 8192 * 600)
    seen: list[tuple[int, int]] = []

    backup(filled, tmp_path / "b.db", on_progress=lambda *at: seen.append(at))

    assert len(seen) > 1
    assert seen[-1][0] == seen[-1][1]


def test_backup_does_not_see_what_is_written_while_it_runs(filled: Project, tmp_path: Path) -> None:
    filled.conversations.add_message("c", "user", "x" * 8192 * 600)

    backup(filled, tmp_path / "b.db", on_progress=lambda *at: filled.conversations.add_message("c", "user", "later"))

    assert query(tmp_path / "b.db", "SELECT count(*) FROM messages") == 2
    assert len(contents_of(filled)) > 2


def test_backup_inside_a_transaction_has_what_is_committed(filled: Project, tmp_path: Path) -> None:
    with filled.atomic():
        filled.conversations.add_message("c", "user", "uncommitted")
        backup(filled, tmp_path / "b.db")

    assert query(tmp_path / "b.db", "SELECT count(*) FROM messages") == 1


def test_backup_in_rollback_mode(make_project: Maker, tmp_path: Path) -> None:
    project = make_project(journal_mode="delete")
    project.conversations.create(id="c")

    backup(project, tmp_path / "b.db")

    assert query(tmp_path / "b.db", "SELECT id FROM conversations") == "c"


def test_backup_of_a_schema_of_a_user(project: Project, tickets: Tickets, tmp_path: Path) -> None:
    with project:
        tickets.Ticket.create(title="printer on fire")

    project.backup(tmp_path / "b.db", tickets.schema)

    assert query(tmp_path / "b.db", "SELECT title FROM ticket") == "printer on fire"


def test_existing_file_is_not_replaced(filled: Project, tmp_path: Path) -> None:
    (tmp_path / "b.db").write_text("mine")

    with pytest.raises(AlreadyExists):
        backup(filled, tmp_path / "b.db")

    assert (tmp_path / "b.db").read_text() == "mine"


def test_existing_file_is_replaced_when_asked_and_its_log_goes(filled: Project, tmp_path: Path) -> None:
    for name in ("b.db", "b.db-wal", "b.db-journal"):
        (tmp_path / name).write_text("old")

    backup(filled, tmp_path / "b.db", overwrite=True)

    assert [name for name in os.listdir(tmp_path) if name.startswith("b.db")] == ["b.db"]
    assert query(tmp_path / "b.db", "SELECT id FROM conversations") == "c"


def test_log_of_another_file_in_the_way_is_not_taken_for_ours(filled: Project, tmp_path: Path) -> None:
    (tmp_path / "b.db-wal").write_text("somebody's")

    with pytest.raises(AlreadyExists, match=r"b\.db-wal"):
        backup(filled, tmp_path / "b.db")


def test_live_database_is_never_replaced_by_a_backup(filled: Project) -> None:
    with pytest.raises(InvalidArgument, match="a database in use"):
        backup(filled, filled.database_path(), overwrite=True)


def test_missing_folder_is_refused(filled: Project, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="a folder that exists"):
        backup(filled, tmp_path / "nowhere" / "b.db")


def test_failed_backup_leaves_nothing(filled: Project, tmp_path: Path) -> None:
    before = sorted(os.listdir(tmp_path))

    with pytest.raises(ZeroDivisionError):
        backup(filled, tmp_path / "b.db", on_progress=lambda *at: 1 // 0)

    assert sorted(os.listdir(tmp_path)) == before
    assert contents_of(filled) == ["before the backup"]


def damage(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    with open(path, "r+b") as file:
        file.seek((page - 1) * 8192)
        file.write(b"\xff" * 200)


def test_damaged_database_gives_no_backup(filled: Project, tmp_path: Path) -> None:
    filled.dispose()
    damage(filled.database_path(), "messages")

    with pytest.raises(DatabaseCorrupt, match="its copy is damaged"):
        backup(Project(filled.path), tmp_path / "b.db")

    assert not (tmp_path / "b.db").exists()


def test_thirty_backups_under_a_busy_writer_are_each_a_consistent_beginning(filled: Project, tmp_path: Path) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            filled.conversations.add_message("c", "user", "x" * 500)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for number in range(30):
            backup(filled, tmp_path / f"{number}.db")
    finally:
        done.set()
        for writer in writers:
            writer.join()

    counts = [consistent_count(tmp_path / f"{number}.db") for number in range(30)]
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def consistent_count(path: Path) -> int:
    """Return how many messages a copy has, after a look at whether they are 1, 2, 3, ..."""
    assert query(path, "PRAGMA integrity_check") == "ok"
    count = query(path, "SELECT count(*) FROM messages")
    assert query(path, "SELECT min(sequence) FROM messages") == 1
    assert query(path, "SELECT max(sequence) FROM messages") == count
    assert query(path, "SELECT last_sequence FROM conversations") == count
    assert query(path, "SELECT message_count FROM conversations") == count
    return int(count)


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
