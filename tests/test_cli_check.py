"""``check`` finds what is wrong, says so with its status, and mends it on demand."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    return make_run(capsys)


@pytest.fixture
def path(project: Project) -> Path:
    project.conversations.create(id="talk")
    project.conversations.add_message("talk", "user", "Is anybody there?", token_count=4)
    project.conversations.search("anybody")
    project.dispose()
    return project.path


@pytest.fixture
def damage(path: Path) -> Callable[[str], None]:
    def execute(sql: str) -> None:
        with closing(sqlite3.connect(path / ".peewee_conv" / "assistant.db")) as connection, connection:
            connection.execute(sql)

    return execute


def test_sound_project_has_no_problem(run: Run, path: Path) -> None:
    assert run("check", "--project", path) == (0, "no problems found\n", "")
    assert run("check", "--json", "--project", path).json == {"ok": True, "problems": [], "mended": [], "backup": None}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE conversations SET message_count = 7",
        "UPDATE conversations SET token_count = 7",
        "INSERT INTO message_search (message_search) VALUES ('delete-all')",
    ],
)
def test_what_can_be_mended_is_found_and_mended(run: Run, path: Path, damage: Callable[[str], None], sql: str) -> None:
    damage(sql)

    found = run("check", "--json", "--project", path)
    mended = run("check", "--repair", "--json", "--project", path)

    assert found.status == 1
    assert all(problem["repairable"] for problem in found.json["problems"])
    assert (mended.status, mended.json["ok"]) == (0, True)
    assert mended.json["mended"] == found.json["problems"]
    assert Path(mended.json["backup"]).is_file()
    assert run("check", "--project", path).status == 0


def test_problem_is_told_with_its_cure(run: Run, path: Path, damage: Callable[[str], None]) -> None:
    damage("UPDATE conversations SET message_count = 7")

    found = run("check", "--project", path).out
    mended = run("check", "--repair", "--project", path).out

    assert found.startswith("problem  ")
    assert found.endswith(" (--repair mends it)\n1 problem found\n")
    assert mended.startswith("mended   ")
    assert "a copy from before is " in mended
    assert mended.endswith("no problem left\n")


def test_damaged_file_is_a_problem_and_stays_as_it_is(run: Run, path: Path) -> None:
    database = path / ".peewee_conv" / "assistant.db"
    database.write_bytes(b"this is no database, but long enough to be taken for one" * 100)
    before = database.read_bytes()

    done = run("check", "--repair", "--project", path)

    assert done.status == 1
    assert done.out.startswith("problem  corrupt: ")
    assert done.out.endswith("1 problem found\n")
    assert database.read_bytes() == before


def test_gap_in_a_conversation_is_found(run: Run, path: Path, damage: Callable[[str], None]) -> None:
    project = Project(path)
    project.conversations.add_messages("talk", [{"role": "user", "content": "again"}] * 3)
    project.dispose()
    damage("DELETE FROM messages WHERE sequence = 3")

    assert run("check", "--project", path).status == 1


def test_orphan_is_found(run: Run, path: Path, damage: Callable[[str], None]) -> None:
    damage("UPDATE conversations SET assistant_id = 'nobody'")

    done = run("check", "--json", "--project", path)

    assert done.status == 1
    assert not done.json["ok"]


def test_quiet_check_says_nothing_where_nothing_is_wrong(run: Run, path: Path) -> None:
    assert run("check", "--quiet", "--project", path) == (0, "", "")


def test_another_schema_is_checked_and_mended_on_its_own(run: Run, path: Path) -> None:
    Project(path).features.create("Log in")
    with closing(sqlite3.connect(path / ".peewee_conv" / "features.db")) as connection:
        connection.execute("DROP INDEX ix_feature_status")

    assert run("check", "--project", path).status == 0
    assert "index ix_feature_status is missing (--repair" in run("check", "--schema", "features", "--project", path).out
    assert run("check", "--schema", "features", "--repair", "--project", path).status == 0
