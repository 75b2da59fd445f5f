"""``backup`` copies a project while it is in use, and replaces nothing unasked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    return make_run(capsys)


@pytest.fixture
def path(project: Project) -> Path:
    project.conversations.create(id="talk")
    project.dispose()
    return project.path


def ids(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [id for (id,) in connection.execute("SELECT id FROM conversations")]


def test_backup_is_a_database_with_everything(run: Run, path: Path, tmp_path: Path) -> None:
    done = run("backup", "copy.db", "--project", path)

    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"copied to {tmp_path / 'copy.db'}, ")
    assert ids(tmp_path / "copy.db") == ["talk"]


def test_backup_as_json_says_where_and_how_large(run: Run, path: Path, tmp_path: Path) -> None:
    found = run("backup", "copy.db", "--json", "--project", path).json

    assert found["path"] == str(tmp_path / "copy.db")
    assert found["bytes"] == (tmp_path / "copy.db").stat().st_size


def test_backup_does_not_replace_a_file_unasked(run: Run, path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")

    refused = run("backup", "copy.db", "--project", path)

    assert (refused.status, refused.out) == (2, "")
    assert "expected a file that is not there yet, or --overwrite" in refused.err
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_backup_replaces_a_file_when_asked(run: Run, path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("old")

    assert run("backup", "copy.db", "--overwrite", "--project", path).status == 0
    assert ids(tmp_path / "copy.db") == ["talk"]


def test_backup_into_a_missing_folder_is_refused(run: Run, path: Path) -> None:
    done = run("backup", "nowhere/copy.db", "--project", path)

    assert done.status == 2
    assert "expected a path in a folder that exists" in done.err


# --- other schemas, and the way back ---


def test_backup_of_another_schema(run: Run, path: Path, tmp_path: Path) -> None:
    Project(path).features.create("Log in")

    assert run("backup", "queue.db", "--schema", "features", "--project", path).status == 0

    with closing(sqlite3.connect(tmp_path / "queue.db")) as connection:
        assert connection.execute("SELECT name FROM features").fetchall() == [("Log in",)]


def test_restore_brings_the_backup_back_and_keeps_the_database(run: Run, path: Path) -> None:
    run("backup", "copy.db", "--project", path)
    with Project(path) as project:
        project.conversations.delete("talk")
    project.dispose()

    done = run("restore", "copy.db", "--project", path)

    kept = project.database_path().with_name("assistant.db.before-restore")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[1] == f"the database from before is {kept}"
    assert (ids(project.database_path()), ids(kept)) == (["talk"], [])


def test_restore_as_json_makes_a_project_where_there_is_none(run: Run, path: Path, tmp_path: Path) -> None:
    run("backup", "copy.db", "--project", path)

    found = run("restore", "copy.db", "--json", "--project", tmp_path / "new").json

    assert (found["version"], found["kept"]) == (2, None)
    assert ids(Path(found["path"])) == ["talk"]


def test_restore_of_what_is_no_backup_changes_nothing(run: Run, path: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    assert run("restore", "nowhere.db", "--project", path).err == "peewee-conv: nowhere.db: No such file or directory\n"
    assert run("restore", "notes.txt", "--project", path).status == 3
    assert ids(Project(path).database_path()) == ["talk"]
