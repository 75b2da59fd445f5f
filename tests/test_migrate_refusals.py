"""Files and folders of scripts that are refused, and left as they are."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tickets import INITIAL
from upgrades import ADD_LABEL, File, MakeScripts

from peewee_conv import Project
from peewee_conv.errors import (
    ForeignDatabase,
    MigrationFailed,
    PeeweeConvError,
    SchemaTooNew,
)
from peewee_conv.models import assistant
from peewee_conv.versions import Migrations

MakeProject = Callable[..., Project]


# --- which files are refused ---


def digest(path: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in path.parent.glob(f"{path.name}*")}


@pytest.fixture(params=["wal", "delete"])
def journal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def refused(project: Project, kind: type[PeeweeConvError], text: str) -> None:
    """Check that every use of the project is refused, and that its file stays as it is, byte for byte."""
    before = digest(project.database_path())

    for _ in range(2):
        with pytest.raises(kind, match=text):
            project.conversations.create()
    project.dispose()

    assert digest(project.database_path()) == before


def test_a_newer_file_is_refused_untouched(make_project: MakeProject, journal: str) -> None:
    project = make_project(journal_mode=journal)
    project.conversations.create()
    project.dispose()
    with sqlite3.connect(project.database_path()) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()

    refused(make_project(), SchemaTooNew, "schema version 9999 is newer than 2, .*: upgrade peewee_conv")


@pytest.mark.parametrize("version", [0, 1])
def test_a_foreign_file_is_refused_untouched(make_project: MakeProject, journal: str, version: int) -> None:
    project = make_project()
    project.database_path().parent.mkdir(parents=True)
    with sqlite3.connect(project.database_path()) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY)")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()

    refused(project, ForeignDatabase, "move it away, or choose another project directory")


def test_a_file_of_another_schema_is_refused(file: File, scripts: MakeScripts) -> None:
    file.upgrade(assistant.migrations)
    before = file.dump()

    with pytest.raises((MigrationFailed, SchemaTooNew)):
        file.upgrade(scripts(INITIAL, *[ADD_LABEL] * assistant.migrations.head))

    assert file.dump() == before


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM schema_migration",
        "UPDATE schema_migration SET name = '0001_other'",
        "PRAGMA user_version = 0",
        "DROP TABLE schema_migration",
    ],
)
def test_a_file_whose_history_disagrees_with_its_version_is_refused(
    file: File, scripts: MakeScripts, damage: str
) -> None:
    file.upgrade(scripts(INITIAL))
    file.run(damage)
    before = file.dump()
    migrations = scripts(INITIAL, ADD_LABEL)

    for look in (file.upgrade, file.status, lambda m: file.downgrade(m, 0)):
        with pytest.raises((MigrationFailed, ForeignDatabase)):
            look(migrations)

    assert file.dump() == before


# --- which folders are refused ---


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "there is no script"),
        (["readme.txt", "initial.py", "1_initial.py"], "there is no script"),
        (["0002_second.py"], "not numbered 0001, 0002"),
        (["0001_a.py", "0003_c.py"], "not numbered 0001, 0002"),
        (["0001_a.py", "0001_b.py"], "not numbered 0001, 0002"),
        (["0000_a.py", "0001_b.py"], "not numbered 0001, 0002"),
    ],
)
def test_a_folder_with_gaps_or_nothing_is_refused(tmp_path: Path, names: list[str], text: str) -> None:
    for name in names:
        (tmp_path / name).write_text(ADD_LABEL)

    with pytest.raises(MigrationFailed, match=text):
        _ = Migrations(str(tmp_path)).head


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationFailed, match="cannot be read"):
        _ = Migrations(str(tmp_path / "missing")).scripts


def test_other_files_beside_the_scripts_are_no_scripts(file: File, scripts: MakeScripts, tmp_path: Path) -> None:
    migrations = scripts(INITIAL)
    for name in ("__init__.py", "notes.md", "0002_draft.txt"):
        (tmp_path / "scripts" / name).write_text("not a script")

    assert file.upgrade(migrations) == ["0001_step"]
