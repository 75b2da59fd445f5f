"""The ``flask conv`` commands, on the projects of an application."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import flask
import pytest
from click.testing import Result
from flask_app import make_app, make_project

from peewee_conv import Project
from peewee_conv.flask_ext import PeeweeConv


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("aurora", "borealis"):
        project = make_project(tmp_path / "projects", name, "Outlook")
        project.conversations.add_message(project.conversations.list()[0].id, "user", f"Hello {name}")
        project.dispose()
    return tmp_path / "projects"


def run(app: flask.Flask, *words: str | Path) -> Result:
    return app.test_cli_runner().invoke(args=["conv", *map(str, words)])


def test_list_names_the_projects(root: Path) -> None:
    assert run(make_app(root), "list").output == "aurora\nborealis\n"


def test_check_reads_all_projects(root: Path) -> None:
    done = run(make_app(root), "check")

    assert (done.exit_code, done.output) == (0, "aurora\nno problems found\nborealis\nno problems found\n")


def test_check_reads_those_named(root: Path) -> None:
    assert run(make_app(root), "check", "borealis").output == "borealis\nno problems found\n"


def test_check_finds_and_mends(root: Path) -> None:
    with closing(sqlite3.connect(root / "borealis" / ".peewee_conv" / "assistant.db")) as connection, connection:
        connection.execute("UPDATE conversations SET message_count = 7")
    app = make_app(root)

    assert [run(app, "check").exit_code, run(app, "check", "--repair").exit_code, run(app, "check").exit_code] == [
        1,
        0,
        0,
    ]


def test_upgrade_opens_what_there_is(root: Path) -> None:
    Project(root / "aurora").features.stats()

    done = run(make_app(root), "upgrade")

    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == [
        "aurora",
        "assistant",
        "features",
        "borealis",
        "assistant",
    ]


def test_stats_shows_the_counts(root: Path) -> None:
    done = run(make_app(root), "stats", "aurora")

    assert done.exit_code == 0
    assert "conversations" in done.output
    assert "1: 1 user" in done.output


def test_backup_copies_every_project(root: Path, tmp_path: Path) -> None:
    app, folder = make_app(root), tmp_path / "copies" / "monday"

    first, second = run(app, "backup", folder), run(app, "backup", folder)
    third = run(app, "backup", folder, "--overwrite")

    assert [first.exit_code, second.exit_code, third.exit_code] == [0, 2, 0]
    assert sorted(path.name for path in folder.iterdir()) == ["aurora.db", "borealis.db"]


def test_backup_makes_a_folder_for_its_owner_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    try:
        done = run(make_app(root), "backup", "copies")
    finally:
        os.umask(before)

    assert done.exit_code == 0
    assert stat.S_IMODE((tmp_path / "copies").stat().st_mode) == 0o700


def test_backup_into_a_folder_that_cannot_be_made_is_one_sentence(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = run(make_app(root), "backup", tmp_path / "file" / "copies")

    assert (done.exit_code, done.output) == (1, f"Error: {tmp_path / 'file' / 'copies'}: Not a directory\n")


def test_project_without_a_database_is_passed_over(root: Path) -> None:
    (root / "empty").mkdir()

    done = run(make_app(root), "check")

    assert (done.exit_code, done.output.splitlines()[-2:]) == (0, ["empty", "no database yet"])
    assert list((root / "empty").iterdir()) == []


@pytest.mark.parametrize("name", ["nowhere", "../projects/aurora", "/etc"])
def test_unknown_project_is_one_sentence(root: Path, name: str) -> None:
    done = run(make_app(root), "stats", name)

    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1


def test_commands_use_the_settings_of_the_application(root: Path) -> None:
    app = make_app(root, PEEWEE_CONV_DATA_DIR="elsewhere")

    assert run(app, "check").output == "aurora\nno database yet\nborealis\nno database yet\n"


def test_one_fixed_project_needs_no_name(root: Path) -> None:
    app = flask.Flask("sample")
    app.config["PEEWEE_CONV_PROJECT"] = root / "aurora"
    PeeweeConv(app)

    assert run(app, "list").output == "aurora\n"
    assert run(app, "check", "aurora").output == run(app, "check").output == "aurora\nno problems found\n"
    assert run(app, "check", "borealis").output.startswith("Error: invalid project 'borealis': expected 'aurora'")


def test_group_may_have_another_name_or_be_left_out() -> None:
    other, none = flask.Flask("other"), flask.Flask("none")
    PeeweeConv(other, cli_group="chats")
    PeeweeConv().init_app(none, cli_group=None)

    assert (list(other.cli.commands), list(none.cli.commands)) == (["chats"], [])


def test_application_without_projects_says_so() -> None:
    app = flask.Flask("sample")
    PeeweeConv(app)

    assert run(app, "list").output == "Error: the application has no root of projects: set PEEWEE_CONV_ROOT\n"
