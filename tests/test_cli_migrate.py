"""``migrate`` shows and changes schema versions, and asks before data could be lost."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project
from peewee_conv.schemas import assistant

HEAD = assistant.migrations.head
NEWEST = assistant.migrations.scripts[-1].name
UPGRADED_AGAIN = "opening the project with this release upgrades it again: the file is meant for an older one now\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))  # nobody is asked who is no terminal
    return make_run(capsys)


@pytest.fixture
def path(project: Project) -> Path:
    project.conversations.create(id="talk")
    project.dispose()
    return project.path


def test_status_lists_the_scripts(run: Run, path: Path) -> None:
    done = run("migrate", "--project", path)

    assert done.status == 0
    assert f"version {HEAD} of {HEAD}\n" in done.out
    assert f"{NEWEST}  applied\n" in done.out


def test_status_as_json(run: Run, path: Path) -> None:
    found = run("migrate", "status", "--json", "--project", path).json

    assert (found["schema"], found["version"], found["head"]) == ("assistant", HEAD, HEAD)
    assert found["scripts"][0] == {"number": 1, "name": "0001_initial", "applied": True}


def test_up_says_that_there_is_nothing_to_do(run: Run, path: Path) -> None:
    done = run("migrate", "up", "--project", path)

    assert done == (0, f"assistant is at version {HEAD}, there was nothing to do\n", "")


def test_down_and_up_again(run: Run, path: Path) -> None:
    down = run("migrate", "down", "--to", "0", "--yes", "--json", "--project", path)
    up = run("migrate", "up", "--json", "--project", path)

    assert down.err == UPGRADED_AGAIN
    assert (down.json["version"], down.json["reverted"][0]) == (0, NEWEST)
    assert Path(down.json["copy"]).is_file()
    assert (up.json["version"], up.json["applied"][-1]) == (HEAD, NEWEST)


def test_down_goes_one_version_back(run: Run, path: Path) -> None:
    run("migrate", "down", "--yes", "--project", path)

    assert run("migrate", "--json", "--project", path).json["version"] == HEAD - 1


def test_down_refuses_to_lose_data_without_yes(run: Run, path: Path) -> None:
    done = run("migrate", "down", "--to", "0", "--project", path)

    assert (done.status, done.out) == (1, "")
    assert f"going from version {HEAD} to 0 may delete data; the file has 1 row: 1 in conversations\n" in done.err
    assert UPGRADED_AGAIN in done.err
    assert done.err.endswith("peewee-conv: nothing was changed: add --yes to go ahead\n")
    assert run("show", "talk", "--project", path).status == 0


@pytest.mark.parametrize(("answer", "version"), [("y\n", 0), ("Yes\n", 0), ("n\n", HEAD), ("\n", HEAD), ("", HEAD)])
def test_down_asks_who_sits_at_a_terminal(
    run: Run, path: Path, answer: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))

    done = run("migrate", "down", "--to", "0", "--project", path)

    assert "go ahead? [y/N] " in done.err
    assert done.status == (0 if version == 0 else 1)
    assert run("migrate", "--json", "--project", path).json["version"] == version


def test_down_of_an_empty_file_needs_no_yes(run: Run, project: Project) -> None:
    project.conversations.list()
    project.dispose()

    assert run("migrate", "down", "--to", "0", "--project", project.path).status == 0


def test_down_to_a_version_that_the_file_has_not_reached_is_wrong_usage(run: Run, path: Path) -> None:
    done = run("migrate", "down", "--to", "99", "--yes", "--project", path)

    assert (done.status, done.err) == (2, f"peewee-conv: invalid to 99: expected a whole number from 0 to {HEAD}\n")


def test_schema_of_the_user_is_found_by_its_scripts(run: Run, path: Path, tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "0001_initial.py").write_text(
        'def up(migrator, db):\n    db.execute_sql("CREATE TABLE tickets (id INTEGER PRIMARY KEY)")\n'
    )
    from peewee_conv import Schema
    from peewee_conv.maintenance import upgrade

    opened = Project(path)
    upgrade(opened, Schema("tickets", migrations=scripts))
    opened.dispose()

    found = run("migrate", "--schema", "tickets", "--migrations", scripts, "--json", "--project", path).json

    assert (found["schema"], found["version"], found["head"]) == ("tickets", 1, 1)


def test_schema_without_a_file_is_said_to_be_missing(run: Run, path: Path) -> None:
    done = run("migrate", "--schema", "features", "--project", path)

    assert done == (3, "", f"peewee-conv: {path} is no project: it has no features database\n")
