"""Backups are whole and of one moment."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import legacy_files
import pytest
from backup_tools import Maker, contents_of, damage, query
from backup_tools import filled as filled
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.backup import backup
from peewee_conv.errors import (
    AlreadyExists,
    DatabaseCorrupt,
    InvalidArgument,
)

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


def test_live_database_is_never_replaced_by_a_backup(filled: Project, tmp_path: Path) -> None:
    os.link(filled.database_path(), tmp_path / "second-name")

    with pytest.raises(InvalidArgument, match="a database in use"):
        backup(filled, tmp_path / "second-name", overwrite=True)


@pytest.mark.parametrize("name", ["assistant.db", "assistant.db-wal", "features.db", "tickets.db"])
def test_database_of_a_project_is_never_replaced_by_a_backup_though_nobody_has_it_open(
    filled: Project, tmp_path: Path, name: str
) -> None:
    filled.dispose()
    project = Project(filled.path)
    (tmp_path / "link").symlink_to(project.database_path().parent)

    for folder in (project.database_path().parent, tmp_path / "link"):
        with pytest.raises(InvalidArgument, match="a project's database, or its log"):
            backup(project, folder / name, overwrite=True)

    assert contents_of(project) == ["before the backup"]


def test_database_of_an_older_application_is_never_replaced_by_a_backup(project: Project) -> None:
    old = project.path / ".autoforge" / "assistant.db"
    old.parent.mkdir(parents=True)
    legacy_files.make(old, legacy_files.ASSISTANT)

    with pytest.raises(InvalidArgument, match="a project's database, or its log"):
        backup(project, old, overwrite=True)


@pytest.mark.parametrize("name", ["x" * 300, "\ud800"])
def test_path_that_no_system_has_is_refused(filled: Project, tmp_path: Path, name: str) -> None:
    for call in (filled.backup, filled.restore):
        with pytest.raises(InvalidArgument, match="a path that the system can have"):
            call(tmp_path / name)


def test_missing_folder_is_refused(filled: Project, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="a folder that exists"):
        backup(filled, tmp_path / "nowhere" / "b.db")


def test_failed_backup_leaves_nothing(filled: Project, tmp_path: Path) -> None:
    before = sorted(os.listdir(tmp_path))

    with pytest.raises(ZeroDivisionError):
        backup(filled, tmp_path / "b.db", on_progress=lambda *at: 1 // 0)

    assert sorted(os.listdir(tmp_path)) == before
    assert contents_of(filled) == ["before the backup"]


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
