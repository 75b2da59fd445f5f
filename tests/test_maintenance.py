"""Schema upgrades by hand: seen without a change, applied once, taken back without losing the only copy."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from peewee_conv import Project, Schema
from peewee_conv.errors import DatabaseBusy, InvalidArgument, MigrationFailed, ProjectDisposed, SchemaTooNew
from peewee_conv.maintenance import downgrade, migration_status, row_counts, upgrade
from peewee_conv.schemas import assistant

FIRST = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE tickets (id INTEGER NOT NULL PRIMARY KEY, title TEXT NOT NULL)")

def down(migrator, db):
    db.execute_sql("DROP TABLE tickets")
"""
SECOND = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE tickets ADD COLUMN priority INTEGER NOT NULL DEFAULT 0")

def down(migrator, db):
    db.execute_sql("ALTER TABLE tickets DROP COLUMN priority")
"""
BROKEN = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE half (id INTEGER PRIMARY KEY)")

def down(migrator, db):
    db.execute_sql("DROP TABLE half")
    raise RuntimeError("changed my mind")
"""
OLDER_APPLICATION = """
CREATE TABLE conversations (
    id INTEGER NOT NULL PRIMARY KEY, project_name VARCHAR(100) NOT NULL, title VARCHAR(200),
    created_at DATETIME, updated_at DATETIME
);
CREATE TABLE conversation_messages (
    id INTEGER NOT NULL PRIMARY KEY, conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    role VARCHAR(20) NOT NULL, content TEXT NOT NULL, timestamp DATETIME
);
INSERT INTO conversations VALUES (1, 'aurora', 'Old', '2025-01-01 12:00:00.000000', '2025-01-01 12:00:00.000000');
"""
HOLD_OPEN = """
import sys
from peewee_conv import Project
project = Project(sys.argv[1])
project.conversations.list()
print("open", flush=True)
sys.stdin.readline()
project.dispose()
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "0001_initial.py").write_text(FIRST)
    (folder / "0002_priority.py").write_text(SECOND)
    return folder


def columns(project: Project, schema: Schema) -> list[str]:
    with closing(sqlite3.connect(project.database_path(schema))) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(tickets)")]


def states(project: Project, schema: Schema) -> dict[str, bool]:
    return {script.name: script.applied for script in migration_status(project, schema).scripts}


@contextmanager
def another_process(path: Path) -> Iterator[None]:
    command = [sys.executable, "-c", HOLD_OPEN, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        process.communicate("\n")


# --- status ---


def test_status_of_a_missing_file_is_all_pending_and_makes_nothing(project: Project, scripts: Path) -> None:
    status = migration_status(project, Schema("tickets", migrations=scripts))

    assert (status.exists, status.version, status.head) == (False, 0, 2)
    assert not any(script.applied for script in status.scripts)
    assert not project.path.exists()


def test_status_shows_what_is_pending_without_applying_it(project: Project, scripts: Path) -> None:
    (scripts / "0002_priority.py").rename(scripts / "later.txt")
    upgrade(project, Schema("tickets", migrations=scripts))
    project.dispose()
    (scripts / "later.txt").rename(scripts / "0002_priority.py")
    schema = Schema("tickets", migrations=scripts)

    assert states(Project(project.path), schema) == {"0001_initial": True, "0002_priority": False}
    assert columns(project, schema) == ["id", "title"]


def test_status_of_a_newer_file_is_refused(project: Project) -> None:
    project.conversations.list()
    project.dispose()
    with closing(sqlite3.connect(project.database_path())) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(SchemaTooNew):
        migration_status(Project(project.path))


def test_file_of_an_older_application_is_all_pending_until_it_is_upgraded(project: Project) -> None:
    path = project.path / ".autoforge" / "assistant.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLDER_APPLICATION)

    before = migration_status(project)
    applied = upgrade(project)

    assert (before.path, before.version) == (str(path), 0)
    assert applied == [script.name for script in before.scripts]
    assert project.conversations.list()[0].title == "Old"


# --- up ---


def test_upgrade_makes_a_missing_file(project: Project, scripts: Path) -> None:
    schema = Schema("tickets", migrations=scripts)

    assert upgrade(project, schema) == ["0001_initial", "0002_priority"]
    assert columns(project, schema) == ["id", "title", "priority"]


def test_upgrade_applies_what_is_pending_and_then_nothing(project: Project, scripts: Path) -> None:
    schema = Schema("tickets", migrations=scripts)
    upgrade(project, schema)
    downgrade(project, schema, 1)

    assert upgrade(project, schema) == ["0002_priority"]
    assert upgrade(project, schema) == []


# --- down ---


def test_downgrade_reverts_the_newest_scripts(project: Project, scripts: Path) -> None:
    schema = Schema("tickets", migrations=scripts)
    upgrade(project, schema)

    assert downgrade(project, schema, 1).reverted == ["0002_priority"]
    assert columns(project, schema) == ["id", "title"]
    assert downgrade(Project(project.path), schema, 0).reverted == ["0001_initial"]
    assert columns(project, schema) == []


def test_downgrade_to_the_present_version_changes_nothing(project: Project, scripts: Path) -> None:
    schema = Schema("tickets", migrations=scripts)
    upgrade(project, schema)

    assert downgrade(project, schema, 2) == ([], None)


@pytest.mark.parametrize("to", [-1, 3, True, "1"])
def test_downgrade_to_another_version_is_refused(project: Project, scripts: Path, to: int) -> None:
    schema = Schema("tickets", migrations=scripts)
    upgrade(project, schema)

    with pytest.raises(InvalidArgument, match=r"^invalid to .*: expected a whole number from 0 to 2$"):
        downgrade(project, schema, to)


def test_downgrade_disposes_the_project_that_would_upgrade_it_again(project: Project) -> None:
    project.conversations.create(id="talk")

    downgrade(project, assistant, 0)

    with pytest.raises(ProjectDisposed):
        project.conversations.get("talk")


def test_file_is_whole_again_after_the_next_open_but_empty(project: Project) -> None:
    project.conversations.create(id="talk")
    downgrade(project, assistant, 0)

    assert Project(project.path).conversations.list() == []
    assert migration_status(Project(project.path)).version == assistant.migrations.head


def test_downgrade_keeps_a_copy_of_a_file_that_holds_rows(project: Project) -> None:
    project.conversations.create(id="talk")

    copy = downgrade(project, assistant, 0).copy

    assert copy == f"{project.database_path()}.before-downgrade-from-{assistant.migrations.head}"
    assert os.stat(copy).st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT id FROM conversations").fetchall() == [("talk",)]


def test_second_copy_leaves_the_first_one_alone(project: Project) -> None:
    project.conversations.create(id="first")
    first = downgrade(project, assistant, 0).copy
    again = Project(project.path)
    again.conversations.create(id="second")

    second = downgrade(again, assistant, 0).copy

    assert second == f"{first}.2"


@pytest.mark.parametrize(("settings", "id"), [({"keep_copies": False}, "talk"), ({}, None)])
def test_no_copy_is_kept_where_none_is_wanted_or_nothing_is_there(
    make_project: Callable[..., Project], settings: dict[str, bool], id: str | None
) -> None:
    project = make_project(**settings)
    project.conversations.list()
    if id is not None:
        project.conversations.create(id=id)

    assert downgrade(project, assistant, 0).copy is None
    assert [name for name in os.listdir(project.database_path().parent) if ".before-" in name] == []


def test_downgrade_that_fails_leaves_the_file_as_it_was(project: Project, scripts: Path) -> None:
    (scripts / "0003_broken.py").write_text(BROKEN)
    schema = Schema("tickets", migrations=scripts)
    upgrade(project, schema)

    with pytest.raises(MigrationFailed, match="0003_broken failed: RuntimeError: changed my mind"):
        downgrade(project, schema, 0)

    assert states(Project(project.path), schema) == dict.fromkeys(
        ("0001_initial", "0002_priority", "0003_broken"), True
    )


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_nobody_can_write_during_a_downgrade(
    make_project: Callable[..., Project], scripts: Path, journal_mode: str
) -> None:
    (scripts / "0003_look.py").write_text(
        "import sqlite3\n\n\n"
        "def up(migrator, db):\n    pass\n\n\n"
        "def down(migrator, db):\n"
        "    other = sqlite3.connect(db.database, timeout=0)\n"
        "    try:\n        other.execute('SELECT * FROM tickets')\n"
        "    finally:\n        other.close()\n"
    )
    schema = Schema("tickets", migrations=scripts)
    project = make_project(journal_mode=journal_mode)
    upgrade(project, schema)

    with pytest.raises(MigrationFailed, match="database is locked"):
        downgrade(project, schema, 2)


def test_file_that_another_process_has_open_is_not_downgraded(project: Project) -> None:
    project.conversations.create(id="talk")
    project.dispose()

    with another_process(project.path):
        mine = Project(project.path, journal_mode="wal")
        with pytest.raises(DatabaseBusy, match="the file is open elsewhere"):
            downgrade(mine, assistant, 0)

    assert Project(project.path).conversations.get("talk").id == "talk"


# --- what is at stake ---


def test_row_counts_leave_empty_tables_and_the_search_index_out(project: Project) -> None:
    talk = project.conversations.create()
    project.conversations.add_message(talk.id, "user", "Is anybody there?")
    project.conversations.search("anybody")

    assert row_counts(project) == {"conversations": 1, "messages": 1}


def test_row_counts_of_a_missing_file_are_empty(project: Project) -> None:
    assert row_counts(project) == {}
    assert not project.path.exists()
