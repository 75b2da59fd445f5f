"""``peewee-conv retain``: its rules, its sizes, and a folder of projects."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_tools import Run, make_run
from retention_tools import MakeProject, talk
from retention_tools import project as project
from retention_tools import talks as talks

from peewee_conv.cli.retain import byte_size


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    return make_run(capsys)


@pytest.fixture
def root(tmp_path: Path, make_project: MakeProject) -> Path:
    for name in ("aurora", "borealis"):
        project = make_project(f"root/{name}")
        talk(project, "one", messages=5)
        project.dispose()
    return tmp_path / "root"


def test_command_tells_what_it_did(run: Run, root: Path) -> None:
    told = run("retain", "--project", root / "aurora", "--prune", "2", "--dry-run")
    done = run("retain", "--project", root / "aurora", "--prune", "2")

    assert (told.status, done.status) == (0, 0)
    assert told.out.startswith("3 messages of 1 conversation would be pruned\n")
    assert done.out == told.out.replace("would be pruned", "pruned")


def test_command_answers_in_json(run: Run, root: Path) -> None:
    done = run("retain", "--project", root / "aurora", "--max-conversations", "0", "--json").json

    assert (done["conversations_deleted"], done["messages_deleted"], done["dry_run"]) == (1, 5, False)


def test_command_goes_through_all_projects_of_a_folder(run: Run, root: Path) -> None:
    (root / "aurora" / ".peewee_conv" / "assistant.db").write_bytes(b"no database" * 500)

    done = run("retain", "--root", root, "--prune", "2", "--json")

    assert done.status == 1
    aurora, borealis = done.json["projects"]
    assert aurora["error"].startswith("file is not a database")
    assert (borealis["error"], borealis["messages_pruned"]) == (None, 3)


def test_command_does_not_take_one_project_for_all_of_a_folder(run: Run, root: Path) -> None:
    done = run("retain", "--root", root, "--project", root / "aurora", "--max-conversations", "0")

    assert done.status == 2
    assert "either --root, for all projects, or one of them" in done.err
    assert run("retain", "--root", root, "--prune", "0").out.count("5 messages of 1 conversation pruned") == 2


def test_command_sums_up_a_folder(run: Run, root: Path) -> None:
    done = run("retain", "--root", root, "--prune", "2")

    assert done.status == 0
    assert done.out.startswith("aurora\n3 messages of 1 conversation pruned\n")
    assert done.out.endswith("2 projects, 0 failed\n")


def test_command_needs_a_rule(run: Run, root: Path) -> None:
    for where in (("--project", root / "aurora"), ("--root", root)):
        done = run("retain", *where)

        assert (done.status, done.out) == (2, "")
        assert "invalid rules None: expected at least one of purge" in done.err


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("1.5gb", 1_500_000_000), ("1000", 1000), ("2 kB", 2000), ("7b", 7)]
)
def test_sizes_are_read_in_their_units(text: str, size: int) -> None:
    assert byte_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-5MB", "5 apples", "1e9", "٣"])
def test_what_is_no_size_is_wrong_usage(run: Run, root: Path, text: str) -> None:
    done = run("retain", "--project", root / "aurora", f"--max-size={text}")

    assert done.status == 2
    assert "is no size such as 500MB" in done.err
