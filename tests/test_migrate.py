"""Numbered upgrades: once, whole or not at all, and back again."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tickets import INITIAL, Tickets, make_tickets
from upgrades import ADD_LABEL, BOOKKEEPING, FAILING, REBUILD, File, MakeScripts

from peewee_conv import Project, maintenance, versions
from peewee_conv.errors import (
    DatabaseBusy,
    InvalidArgument,
    MigrationFailed,
    SchemaTooNew,
)
from peewee_conv.migrate import ScriptStatus
from peewee_conv.models import assistant

MakeProject = Callable[..., Project]


# --- up and down ---


def test_a_new_file_gets_every_script_in_order(file: File, scripts: MakeScripts) -> None:
    assert file.upgrade(scripts(INITIAL, ADD_LABEL)) == ["0001_step", "0002_step"]

    assert file.version == 2
    assert file.run("SELECT name FROM schema_migration ORDER BY id") == [("0001_step",), ("0002_step",)]
    assert file.run("SELECT label FROM ticket") == []


def test_an_upgraded_file_is_marked_as_ours(file: File, scripts: MakeScripts) -> None:
    file.upgrade(scripts(INITIAL))

    assert file.run("PRAGMA application_id") == [(versions.APPLICATION_ID,)]


def test_a_current_file_is_left_alone(file: File, scripts: MakeScripts) -> None:
    file.upgrade(scripts(INITIAL))
    seen: list[str] = []
    file.connection.set_trace_callback(seen.append)

    assert file.upgrade(scripts(INITIAL)) == []

    assert seen == ["PRAGMA user_version", "PRAGMA application_id"]


def test_an_older_file_gets_what_is_new(file: File, scripts: MakeScripts) -> None:
    file.upgrade(scripts(INITIAL))
    file.run("INSERT INTO ticket (title, votes) VALUES ('kept', 1)")

    assert file.upgrade(scripts(INITIAL, ADD_LABEL)) == ["0002_step"]

    assert file.run("SELECT title, votes, label FROM ticket") == [("kept", 1, None)]


def test_up_down_up_returns_to_the_same_schema(file: File, scripts: MakeScripts) -> None:
    migrations = scripts(INITIAL, ADD_LABEL)
    file.upgrade(migrations)
    first = file.tables

    assert file.downgrade(migrations, 0) == ["0002_step", "0001_step"]
    assert set(file.tables) <= BOOKKEEPING
    assert file.version == 0
    file.upgrade(migrations)

    assert file.tables == first


def test_down_to_a_version_keeps_what_is_below(file: File, scripts: MakeScripts) -> None:
    migrations = scripts(INITIAL, ADD_LABEL)
    file.upgrade(migrations)
    file.run("INSERT INTO ticket (title, votes, label) VALUES ('kept', 1, 'x')")

    assert file.downgrade(migrations, 1) == ["0002_step"]

    assert file.run("SELECT * FROM ticket") == [(1, "kept", 1)]
    assert file.status(migrations) == [ScriptStatus(1, "0001_step", True), ScriptStatus(2, "0002_step", False)]


def test_down_to_where_the_file_is_does_nothing(file: File, scripts: MakeScripts) -> None:
    migrations = scripts(INITIAL, ADD_LABEL)
    file.upgrade(migrations)

    assert file.downgrade(migrations, 2) == []
    assert file.version == 2


@pytest.mark.parametrize("target", [-1, 2, True, "0", None, 1.0])
def test_a_target_that_does_not_exist_is_refused(file: File, scripts: MakeScripts, target: Any) -> None:
    migrations = scripts(INITIAL)
    file.upgrade(migrations)

    with pytest.raises(InvalidArgument, match="expected a whole number from 0 to 1"):
        file.downgrade(migrations, target)

    assert file.version == 1


def test_a_script_without_down_cannot_be_reverted(file: File, scripts: MakeScripts) -> None:
    migrations = scripts(INITIAL, ADD_LABEL.split("def down")[0])
    file.upgrade(migrations)

    with pytest.raises(MigrationFailed, match=r"0002_step failed: .*does not define down"):
        file.downgrade(migrations, 0)

    assert file.version == 2


def test_status_of_a_new_file_shows_every_script_as_pending(file: File, scripts: MakeScripts) -> None:
    assert file.status(scripts(INITIAL)) == [ScriptStatus(1, "0001_step", False)]


def test_messages_outlive_the_way_to_an_older_release_and_back(make_project: Callable[..., Project]) -> None:
    project = make_project()
    talk = project.conversations.create().id
    project.conversations.add_message(talk, "user", "kept")
    project.conversations.begin_message(talk, content="half")
    maintenance.downgrade(project, to=1)

    again = make_project().conversations.messages(talk)

    assert [(message.content, message.status) for message in again] == [("kept", "complete"), ("half", "complete")]
    assert make_project().check() == []


def test_every_bundled_script_goes_up_down_and_up(file: File) -> None:
    file.upgrade(assistant.migrations)
    first = file.tables

    file.downgrade(assistant.migrations, 0)
    assert set(file.tables) <= BOOKKEEPING
    file.upgrade(assistant.migrations)

    assert file.tables == first


# --- what fails leaves the file as it was ---


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        ("raise ValueError('bad luck')", "ValueError: bad luck"),
        ("db.execute_sql('SELECT missing')", "OperationalError: no such column: missing"),
        ("db.execute_sql('COMMIT')", "neither begin nor end a transaction"),
        ("db.execute_sql('ROLLBACK')", "neither begin nor end a transaction"),
        ("db.connection().executescript('CREATE TABLE more (id)')", "neither begin nor end a transaction"),
        ("db.connection().commit()", "neither begin nor end a transaction"),
    ],
)
def test_a_script_that_fails_leaves_the_file_as_it_was(
    file: File, scripts: MakeScripts, failure: str, text: str
) -> None:
    file.upgrade(scripts(INITIAL))
    before = file.dump()

    with pytest.raises(MigrationFailed, match=text) as caught:
        file.upgrade(scripts(INITIAL, ADD_LABEL, FAILING.format(failure=failure)))

    assert caught.value.name == "0003_step"
    assert file.dump() == before
    assert not file.connection.in_transaction
    assert file.run("PRAGMA foreign_keys") == [(1,)]


@pytest.mark.parametrize("body", ["def up(:", "import nothing_of_that_name", "raise KeyError('x')"])
def test_a_script_that_cannot_be_loaded_is_one_clear_error(file: File, scripts: MakeScripts, body: str) -> None:
    file.upgrade(scripts(INITIAL))
    before = file.dump()

    with pytest.raises(MigrationFailed, match="migration 0002_step failed"):
        file.upgrade(scripts(INITIAL, body))

    assert file.dump() == before


def test_an_interrupt_leaves_the_file_as_it_was(file: File, scripts: MakeScripts) -> None:
    file.upgrade(scripts(INITIAL))
    before = file.dump()

    with pytest.raises(KeyboardInterrupt):
        file.upgrade(scripts(INITIAL, FAILING.format(failure="raise KeyboardInterrupt")))

    assert file.dump() == before


def test_after_a_failed_upgrade_a_mended_script_is_applied(file: File, scripts: MakeScripts) -> None:
    file.upgrade(scripts(INITIAL))
    with pytest.raises(MigrationFailed):
        file.upgrade(scripts(INITIAL, FAILING.format(failure="raise ValueError")))

    assert file.upgrade(scripts(INITIAL, ADD_LABEL)) == ["0002_step"]


def test_rows_without_parents_are_refused(file: File, scripts: MakeScripts) -> None:
    file.upgrade(scripts(INITIAL))
    before = file.dump()
    orphan = "db.execute_sql(\"INSERT INTO comment (ticket_id, text) VALUES (99, 'x')\")"

    with pytest.raises(MigrationFailed, match="table 'comment' would keep rows whose parents are missing"):
        file.upgrade(scripts(INITIAL, FAILING.format(failure=orphan)))

    assert file.dump() == before


def test_a_script_that_is_not_atomic_is_refused(file: File, scripts: MakeScripts) -> None:
    with pytest.raises(MigrationFailed, match="'atomic = False' is refused"):
        file.upgrade(scripts(INITIAL, "atomic = False\n" + ADD_LABEL))

    assert file.version == 0


# --- tables that are rebuilt ---


@pytest.fixture
def filled(file: File, scripts: MakeScripts) -> File:
    file.upgrade(scripts(INITIAL))
    file.run("PRAGMA journal_mode = wal")
    file.run("INSERT INTO ticket (title, votes) VALUES ('parent', 0)")
    file.run("INSERT INTO comment (ticket_id, text) VALUES (1, 'child'), (1, 'child too')")
    return file


def test_a_rebuild_of_the_parent_keeps_the_children(filled: File, scripts: MakeScripts) -> None:
    migrations = scripts(INITIAL, REBUILD)

    filled.upgrade(migrations)
    assert filled.run("SELECT count(*) FROM comment") == [(2,)]
    filled.run("INSERT INTO ticket (title, votes) VALUES (NULL, 0)")
    filled.run("DELETE FROM ticket WHERE title IS NULL")
    filled.downgrade(migrations, 1)

    assert filled.run("SELECT count(*) FROM comment") == [(2,)]
    assert filled.run("DELETE FROM ticket") == []
    assert filled.run("SELECT count(*) FROM comment") == [(0,)], "the foreign key still holds"


def test_a_copy_from_before_a_rebuild_is_kept(filled: File, scripts: MakeScripts) -> None:
    before = filled.dump()

    filled.upgrade(scripts(INITIAL, REBUILD))

    copy = filled.path.parent / "x.db.before-0002_step"
    connection = sqlite3.connect(copy)
    assert [f"version {versions.version(connection)}", *connection.iterdump()] == before
    connection.close()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_an_earlier_copy_is_not_overwritten(filled: File, scripts: MakeScripts) -> None:
    migrations = scripts(INITIAL, REBUILD)
    for _ in range(2):
        filled.upgrade(migrations)
        filled.downgrade(migrations, 1)

    copies = sorted(each.name for each in filled.path.parent.glob("x.db.before-*"))
    assert copies == ["x.db.before-0002_step", "x.db.before-0002_step.2"]


def test_no_copy_is_kept_where_none_is_wanted(filled: File, scripts: MakeScripts) -> None:
    filled.upgrade(scripts(INITIAL, REBUILD), keep_copies=False)

    assert list(filled.path.parent.glob("x.db.before-*")) == []


def test_an_upgrade_that_rebuilds_nothing_keeps_no_copy(filled: File, scripts: MakeScripts) -> None:
    filled.upgrade(scripts(INITIAL, ADD_LABEL))

    assert list(filled.path.parent.glob("x.db.before-*")) == []


# --- races ---


def test_threads_that_upgrade_one_file_apply_each_script_once(tmp_path: Path, scripts: MakeScripts) -> None:
    migrations, barrier, applied = scripts(INITIAL, ADD_LABEL), threading.Barrier(4), []

    def work() -> None:
        file = File(tmp_path)
        file.run("PRAGMA busy_timeout = 10000")
        barrier.wait()
        applied.extend(file.upgrade(migrations))
        file.connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert applied == ["0001_step", "0002_step"]


def test_an_upgrade_waits_for_a_writer_no_longer_than_its_timeout(
    tmp_path: Path, file: File, scripts: MakeScripts
) -> None:
    other = File(tmp_path)
    other.run("BEGIN IMMEDIATE")
    file.run("PRAGMA busy_timeout = 100")

    with pytest.raises(DatabaseBusy):
        file.upgrade(scripts(INITIAL))

    other.connection.close()
    assert file.upgrade(scripts(INITIAL)) == ["0001_step"]


# --- through a project ---


def test_a_project_upgrades_its_file_on_first_use(
    tmp_path: Path, project: Project, make_project: MakeProject, tickets: Tickets
) -> None:
    with project:
        tickets.Ticket.create(title="of the first release")
    project.dispose()

    later = make_tickets(tmp_path / "migrations", ADD_LABEL)
    with make_project():
        assert later.schema.database.execute_sql("SELECT title, label FROM ticket").fetchall() == [
            ("of the first release", None)
        ]


def test_an_older_release_refuses_the_file_of_a_newer_one(
    tmp_path: Path, project: Project, make_project: MakeProject
) -> None:
    newer = make_tickets(tmp_path / "newer", ADD_LABEL)
    with project:
        newer.Ticket.create(title="x")
    project.dispose()

    older = make_tickets(tmp_path / "older")
    with make_project(), pytest.raises(SchemaTooNew, match="schema version 2 is newer than 1"):
        older.Ticket.select().count()


def test_a_failed_upgrade_through_a_project_says_so_each_time(
    tmp_path: Path, project: Project, make_project: MakeProject, tickets: Tickets
) -> None:
    with project:
        tickets.Ticket.create(title="kept")
    project.dispose()

    broken = make_tickets(tmp_path / "broken", FAILING.format(failure="raise ValueError('bad luck')"))
    again = make_project()
    for _ in range(2):
        with again, pytest.raises(MigrationFailed, match="bad luck"):
            broken.Ticket.select().count()
    again.dispose()

    with make_project():
        assert [row.title for row in tickets.Ticket.select()] == ["kept"]
