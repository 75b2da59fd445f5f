"""Check finds each kind of damage in a real file, repair mends what loses nothing, health tells how a file is kept."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import legacy_files
import peewee
import pytest
from tickets import INITIAL, Tickets, make_tickets, write_scripts

from peewee_conv import Project, Schema
from peewee_conv.errors import DatabaseCorrupt
from peewee_conv.fields import JsonField
from peewee_conv.health import health, repair
from peewee_conv.health_checks import Problem

Maker = Callable[..., Project]

FILLED = 6  # messages of the conversation "c"


@pytest.fixture
def filled(project: Project) -> Project:
    """A project with an indexed conversation "c", an empty one, and one that is not indexed."""
    project.conversations.create(id="c", metadata={"k": 1})
    for number in range(FILLED):
        project.conversations.add_message("c", "user", f"message {number}", token_count=1, metadata={"n": number})
    project.conversations.search("message")
    project.conversations.create(id="empty")
    project.conversations.create(id="new")
    project.conversations.add_message("new", "user", "not indexed yet")
    return project


def execute(project: Project, *statements: str, schema: str = "assistant") -> None:
    """Change the file behind the back of the package."""
    with closing(
        sqlite3.connect(project.database_path().with_name(f"{schema}.db"), isolation_level=None)
    ) as connection:
        for statement in statements:
            connection.execute(statement)


def kinds_of(project: Project) -> list[str]:
    return [problem.kind for problem in project.check()]


# --- check ---


def test_sound_project_has_no_problem(filled: Project) -> None:
    assert filled.check() == []


def test_new_project_has_no_problem(project: Project) -> None:
    project.conversations.list()

    assert project.check() == []


def test_pruned_and_cleared_conversations_are_no_problem(filled: Project) -> None:
    filled.conversations.prune("c", 2)
    filled.conversations.clear("new")

    assert filled.check() == []


def test_project_without_a_file_is_told_so_and_gets_none(project: Project) -> None:
    assert project.check() == [Problem("missing", "there is no file", False)]
    assert not project.exists()


TRIGGER = "tr_messages_appended"
DAMAGES: dict[str, tuple[str, str]] = {
    "message_count": ("UPDATE conversations SET message_count = 9 WHERE id = 'c'", "counts"),
    "token_count": ("UPDATE conversations SET token_count = 9 WHERE id = 'c'", "counts"),
    "last_sequence": ("UPDATE conversations SET last_sequence = 4, indexed_sequence = 4 WHERE id = 'c'", "counts"),
    "hole": ("DELETE FROM messages WHERE sequence = 3", "sequence_gap"),
    "lost tail": ("DELETE FROM messages WHERE sequence = 6", "sequence_gap"),
    "missing mark": ("DELETE FROM message_search_pending", "pending"),
    "needless mark": ("INSERT INTO message_search_pending SELECT number FROM conversations WHERE id = 'c'", "pending"),
    "changed content": ("UPDATE messages SET content = 'something else' WHERE sequence = 3", "search"),
    "row lost from the index": ("INSERT INTO message_search(message_search) VALUES ('delete-all')", "search"),
    "metadata of a message": ("UPDATE messages SET metadata = '{oops}' WHERE sequence = 3", "json"),
    "metadata of a conversation": ("UPDATE conversations SET metadata = '{oops}' WHERE id = 'c'", "json"),
    "index dropped": ("DROP INDEX idx_conversations_id", "schema"),
    "index added": ("CREATE INDEX idx_mine ON messages (content)", "schema"),
    "trigger replaced": (
        f"DROP TRIGGER {TRIGGER}; CREATE TRIGGER {TRIGGER} AFTER INSERT ON messages BEGIN SELECT 1; END",
        "schema",
    ),
    "history row lost": ("DELETE FROM schema_migration", "history"),
    "newer schema": ("PRAGMA user_version = 99", "too_new"),
    "foreign file": ("PRAGMA application_id = 1", "foreign"),
    "lost parent": ("DELETE FROM conversations WHERE id = 'new'", "foreign_key"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(filled: Project, name: str) -> None:
    statements, kind = DAMAGES[name]
    filled.dispose()
    with closing(sqlite3.connect(filled.database_path())) as connection:
        connection.executescript(statements)

    assert kind in kinds_of(Project(filled.path))


def test_damaged_page_is_found(filled: Project) -> None:
    filled.dispose()
    with closing(sqlite3.connect(filled.database_path(), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()[0]
    with open(filled.database_path(), "r+b") as file:
        file.seek((page - 1) * 8192)
        file.write(b"\xff" * 200)

    assert "corrupt" in kinds_of(Project(filled.path))


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"x" * 8176])
def test_file_that_is_no_database_is_a_problem(filled: Project, content: bytes) -> None:
    filled.dispose()
    filled.database_path().write_bytes(content)

    assert kinds_of(Project(filled.path)) == ["corrupt"]


def test_folder_in_the_place_of_the_file_is_a_problem(project: Project) -> None:
    project.database_path().mkdir(parents=True)

    assert kinds_of(project) == ["corrupt"]


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_file_that_others_may_read_is_found(filled: Project, suffix: str) -> None:
    os.chmod(f"{filled.database_path()}{suffix}", 0o640)

    (problem,) = filled.check()

    assert problem.kind == "permissions"
    assert problem.detail.endswith("has mode 0640, wider than 0600")


def test_folder_that_others_may_read_is_found(filled: Project) -> None:
    os.chmod(filled.database_path().parent, 0o755)

    assert kinds_of(filled) == ["permissions"]


def test_problems_name_the_conversation_and_tell_no_content(filled: Project) -> None:
    execute(filled, "UPDATE conversations SET message_count = 9 WHERE id = 'c'")

    (problem,) = filled.check()

    detail = "conversation 'c': 9 messages with 6 tokens are counted, 6 with 6 are stored"
    assert problem == Problem("counts", detail, True)


def test_check_changes_nothing(filled: Project) -> None:
    execute(filled, "UPDATE conversations SET message_count = 9 WHERE id = 'c'")

    assert filled.check() == filled.check()


def test_check_upgrades_nothing(project: Project, tmp_path: Path) -> None:
    old = make_tickets(tmp_path / "old")
    with project:
        old.Ticket.create(title="x")
    project.dispose()
    new = Schema("tickets", migrations=write_scripts(tmp_path / "new", INITIAL, ADD_NOTE))
    later = Project(project.path)

    first = later.check(new)

    detail = "the schema version is 1 of 2: the next ordinary open upgrades it"
    assert first == [Problem("outdated", detail, True)]
    assert later.check(new) == first


ADD_NOTE = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE ticket ADD COLUMN note TEXT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE ticket DROP COLUMN note")
"""


def test_file_of_an_older_application_is_outdated_and_its_folder_not_ours(project: Project) -> None:
    (project.path / ".autoforge").mkdir(parents=True, mode=0o755)
    old = project.path / ".autoforge" / "assistant.db"
    legacy_files.make(old, legacy_files.ASSISTANT)
    os.chmod(old, 0o600)

    problems = project.check()

    detail = "the schema version is 0 of 2: the next ordinary open upgrades it"
    assert problems == [Problem("outdated", detail, True)]
    assert project.repair().left == []
    assert old.parent.stat().st_mode & 0o777 == 0o755


def test_schema_of_a_user_is_checked_too(project: Project, tickets: Tickets) -> None:
    with project:
        tickets.Ticket.create(title="x")
    assert project.check(tickets.schema) == []

    execute(
        project,
        "INSERT INTO comment (text, ticket_id) VALUES ('x', 77)",
        "DROP INDEX idx_comment_ticket_id",
        schema="tickets",
    )

    assert [problem.kind for problem in project.check(tickets.schema)] == ["foreign_key", "schema"]


def test_json_columns_of_a_user_are_checked_too(project: Project, tmp_path: Path) -> None:
    schema = Schema("notes", migrations=write_scripts(tmp_path / "notes", NOTES))

    class Note(schema.Model):  # type: ignore[name-defined,misc]
        id = peewee.TextField(primary_key=True)
        body = JsonField()

    with project:
        Note.create(id="n", body={"a": 1})
    execute(project, "INSERT INTO note VALUES ('m', '{')", schema="notes")

    assert project.check(schema) == [Problem("json", "note: body is not valid JSON in 1 of the rows", False)]


NOTES = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE note (id TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID")


def down(migrator, db):
    db.execute_sql("DROP TABLE note")
"""


def test_check_beside_a_busy_writer_finds_nothing(filled: Project) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            filled.conversations.add_message("c", "user", "word", token_count=1)
            filled.conversations.prune("c", 20)
            filled.conversations.search("word", limit=1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [filled.check() for _ in range(15)]
    finally:
        done.set()
        writer.join()

    assert found == [[]] * 15


def test_check_works_inside_a_transaction(filled: Project) -> None:
    with filled.atomic():
        filled.conversations.add_message("c", "user", "x")

        assert filled.check() == []


def test_check_in_rollback_mode(make_project: Maker) -> None:
    project = make_project(journal_mode="delete")
    project.conversations.create()

    assert project.check() == []


# --- repair ---

REPAIRABLE = [
    "message_count",
    "token_count",
    "last_sequence",
    "missing mark",
    "needless mark",
    "changed content",
    "row lost from the index",
]


@pytest.mark.parametrize("name", REPAIRABLE)
def test_repair_mends_it_after_a_backup(filled: Project, name: str) -> None:
    with closing(sqlite3.connect(filled.database_path())) as connection:
        connection.executescript(DAMAGES[name][0])

    done = filled.repair()

    assert done.mended
    assert done.left == []
    assert done.backup is not None
    assert os.path.isfile(done.backup)
    assert filled.check() == []


def test_repaired_counts_are_those_of_the_messages(filled: Project) -> None:
    execute(filled, "UPDATE conversations SET message_count = 9, token_count = 0 WHERE id = 'c'")

    filled.repair()

    conversation = filled.conversations.get("c")
    assert (conversation.message_count, conversation.token_count) == (FILLED, FILLED)


def test_messages_are_found_again_after_a_repair(filled: Project) -> None:
    execute(filled, "DELETE FROM message_search_pending")
    assert filled.conversations.search("indexed") == []

    filled.repair()

    assert len(filled.conversations.search("indexed")) == 1


@pytest.mark.parametrize("name", ["hole", "metadata of a message", "index added", "trigger replaced", "lost parent"])
def test_repair_leaves_what_it_could_only_guess(filled: Project, name: str) -> None:
    with closing(sqlite3.connect(filled.database_path())) as connection:
        connection.executescript(DAMAGES[name][0])
    before = {problem for problem in filled.check() if not problem.repairable}

    assert before
    assert before <= set(filled.repair().left)


def test_repair_narrows_permissions_without_a_backup(filled: Project) -> None:
    os.chmod(filled.database_path(), 0o644)
    os.chmod(filled.database_path().parent, 0o755)

    done = filled.repair()

    assert (done.left, done.backup, len(done.mended)) == ([], None, 2)


def test_repair_of_a_sound_project_changes_nothing(filled: Project) -> None:
    assert repair(filled) == ([], [], None)


def test_repair_upgrades_what_is_outdated(project: Project, tmp_path: Path) -> None:
    old = make_tickets(tmp_path / "old")
    with project:
        old.Ticket.create(title="x")
    project.dispose()
    new = Schema("tickets", migrations=write_scripts(tmp_path / "new", INITIAL, ADD_NOTE))

    assert Project(project.path).repair(new).left == []


# --- health ---


def test_health_tells_how_the_file_is_kept(filled: Project) -> None:
    found = filled.health()

    assert found.path == str(filled.database_path())
    assert found.size == os.stat(found.path).st_size
    assert found.wal_size == os.stat(f"{found.path}-wal").st_size
    assert (found.journal_mode, found.wanted_journal_mode) == ("wal", "wal")
    assert (found.schema_version, found.pending) == (found.schema_head, [])
    assert (found.counts["conversations"], found.counts["messages"]) == (3, FILLED + 1)


def test_health_of_nothing_makes_nothing(project: Project) -> None:
    found = project.health()

    assert (found.exists, found.journal_mode, found.schema_version) == (False, None, 0)
    assert found.pending == ["0001_initial", "0002_message_status"]
    assert not project.exists()


def test_health_warns_of_an_sqlite_that_can_damage_a_file(filled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    assert "3.51.3 and later cannot" in filled.health().warnings[0]

    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    assert filled.health().warnings == []


def test_health_does_not_warn_of_it_in_rollback_mode(make_project: Maker) -> None:
    project = make_project(journal_mode="delete")
    project.conversations.create()

    found = project.health()

    assert found.warnings == []
    assert found.journal_reason == "the setting journal_mode says so"


def test_health_reads_a_file_of_a_newer_release(filled: Project) -> None:
    execute(filled, "PRAGMA user_version = 99")

    found = filled.health()

    assert found.schema_version == 99
    assert any("this release knows" in warning for warning in found.warnings)


def test_health_of_a_file_that_is_no_database_is_an_error(project: Project) -> None:
    project.database_path().parent.mkdir(parents=True)
    project.database_path().write_bytes(b"x" * 10_000)

    with pytest.raises(DatabaseCorrupt):
        health(project)


def test_health_is_ready_for_json(filled: Project) -> None:
    import json

    assert json.loads(json.dumps(filled.health().to_dict()))["journal_mode"] == "wal"
