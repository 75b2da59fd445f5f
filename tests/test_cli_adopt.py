"""``adopt`` copies a database, prints a count for each table, and ends with the status of its neighbours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import source_databases
from cli_tools import Run, make_run
from legacy_files import dump


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    return make_run(capsys)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "haia.db"
    source_databases.haia(path, talks=2, messages=20)
    return path


def test_adopt_prints_a_count_for_each_table(run: Run, source: Path, tmp_path: Path) -> None:
    found = len(dump(source, "messages"))

    done = run("adopt", source, "--into", "aurora")

    rejects = tmp_path / "aurora" / ".peewee_conv" / "haia.db.rejected.jsonl"
    assert done.status == 0
    assert done.out.splitlines() == [
        "table          found  copied  already there  rejected",
        "conversations      3       3              0         0",
        f"messages          {found}      {found - 2}              0         2",
        f"{source} of HAIA: adopted into {tmp_path / 'aurora'}",
        f"what the project cannot hold as it is, with the reasons: {rejects}",
    ]


def test_second_adopt_says_that_nothing_changed(run: Run, source: Path, tmp_path: Path) -> None:
    run("adopt", source, "--into", "aurora")

    done = run("adopt", source, "--project", "aurora")

    assert f"{source} of HAIA: nothing changed in {tmp_path / 'aurora'}\n" in done.out


def test_adopt_as_json_has_every_count(run: Run, source: Path, tmp_path: Path) -> None:
    found = run("adopt", source, "--into", "aurora", "--json").json

    assert found["tables"]["conversations"] == {"found": 3, "copied": 3, "already_there": 0, "rejected": 0}
    assert (found["system"], found["source"], found["project"]) == ("HAIA", str(source), str(tmp_path / "aurora"))
    assert (found["moved"], found["left"], found["noted"], found["is_unchanged"]) == ([], {}, 0, False)
    assert found["rejects"].endswith("haia.db.rejected.jsonl")


def test_adopt_says_what_could_not_keep_its_id_and_what_was_left(run: Run, tmp_path: Path) -> None:
    source_databases.chatdf(tmp_path / "chatdf.db", talks=1, messages=3, head=True)
    source_databases.haia(tmp_path / "haia.db", talks=1, messages=3)
    left = run("adopt", "chatdf.db", "--into", "aurora").out

    moved = run("adopt", "haia.db", "--into", "aurora").out

    assert "left where they are: 3 rows of query_results_cache\n" in left
    assert "1 row could not keep the id; --json shows which\n" in moved


def test_quiet_adopt_says_nothing(run: Run, source: Path) -> None:
    assert run("adopt", source, "--into", "aurora", "--quiet") == (0, "", "")


def test_missing_source_is_an_error_before_a_project_is_made(run: Run, tmp_path: Path) -> None:
    done = run("adopt", "nowhere.db", "--into", "aurora")

    assert done == (3, "", "peewee-conv: nowhere.db: No such file or directory\n")
    assert os.listdir(tmp_path) == []


def test_source_that_is_not_recognised_is_an_error_and_no_project_is_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.db").touch()

    done = run("adopt", "notes.db", "--into", "aurora")

    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("peewee-conv: its tables are those of no system that is known here")
    assert os.listdir(tmp_path) == ["notes.db"]


def test_two_projects_are_one_too_many(run: Run, source: Path) -> None:
    done = run("adopt", source, "--into", "aurora", "--project", "borealis")

    assert done.status == 2
    assert "expected the same as --into, or nothing" in done.err
