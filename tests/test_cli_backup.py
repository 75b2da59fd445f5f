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
