"""All projects of a root are brought up to date; one that cannot be does not keep the others from it."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import legacy_files
import pytest
from cli_tools import Run, make_run
from tickets import Tickets, make_tickets

from peewee_conv import Project, Projects, maintenance, migrate
from peewee_conv.schemas import assistant, features
from peewee_conv.upgrades import FileUpgrade, upgrade

HEAD = assistant.migrations.head


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three projects: one current, one of an older release, one without any file."""
    projects = Projects(tmp_path / "root")
    for name in ("current", "old", "empty"):
        project = projects.create(name)
        if name != "empty":
            project.conversations.create(id=name)
        if name == "old":
            maintenance.downgrade(project, to=HEAD - 1)
        project.dispose()
    return projects.path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    return make_run(capsys)


def break_one(root: Path) -> Path:
    file = root / "broken" / ".peewee_conv" / "assistant.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database at all" * 100)
    return file


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def version(root: Path, name: str) -> int:
    return maintenance.migration_status(Project(root / name)).version


# --- what it does ---


def test_an_old_file_is_upgraded_and_a_current_one_is_not(root: Path) -> None:
    report = Projects(root).upgrade()

    assert report.files == [
        FileUpgrade("current", "assistant", "current", HEAD, HEAD),
        FileUpgrade("old", "assistant", "upgraded", HEAD - 1, HEAD),
    ]
    assert (report.projects, report.failed, version(root, "old")) == (3, [], HEAD)


def test_doing_it_again_finds_nothing_to_do(root: Path) -> None:
    Projects(root).upgrade()

    assert {file.state for file in Projects(root).upgrade().files} == {"current"}


def test_a_file_of_an_older_application_is_upgraded_in_its_place(tmp_path: Path) -> None:
    old = tmp_path / "root" / "forge" / "features.db"
    legacy_files.make(old, legacy_files.SHAPES["the newest release"])

    report = Projects(tmp_path / "root").upgrade()

    assert report.files == [FileUpgrade("forge", "features", "upgraded", 0, features.migrations.head)]
    assert [feature.id for feature in Project(tmp_path / "root" / "forge").features.list()] == [1, 4, 9]


def test_a_failure_is_one_sentence_and_the_others_go_on(root: Path) -> None:
    file = break_one(root)

    report = Projects(root).upgrade()

    (failed,) = report.failed
    assert (failed.project, failed.schema, failed.version, failed.head) == ("broken", "assistant", 0, 0)
    assert failed.error == f"file is not a database ({file}): restore a backup, or run 'peewee-conv check'"
    assert version(root, "old") == HEAD


def test_a_script_that_fails_leaves_its_file_and_is_reported(tmp_path: Path) -> None:
    projects = Projects(tmp_path / "root")
    first = make_tickets(tmp_path / "first")
    with projects.create("aurora"):
        first.Ticket.create(title="printer on fire")
    projects.get("aurora").dispose()
    second = make_tickets(tmp_path / "second", "def up(migrator, db):\n    1 / 0\ndef down(migrator, db):\n    pass\n")

    (failed,) = upgrade(projects, schemas=[second.schema]).failed

    assert (failed.schema, failed.version, failed.head) == ("tickets", 1, 2)
    assert "migration 0002_step failed: ZeroDivisionError" in str(failed.error)
    assert maintenance.migration_status(projects.get("aurora"), first.schema).version == 1


def test_a_newer_file_is_reported_and_left_alone(root: Path, tickets: Tickets, tmp_path: Path) -> None:
    newer = make_tickets(tmp_path / "newer", "def up(migrator, db):\n    pass\ndef down(migrator, db):\n    pass\n")
    with Project(root / "old") as project:
        newer.Ticket.select().count()
    project.dispose()

    (failed,) = upgrade(Projects(root), schemas=[tickets.schema]).failed

    assert "schema version 2 is newer than 1" in str(failed.error)


def test_a_project_that_is_in_use_is_upgraded_too(root: Path) -> None:
    project = Project(root / "current")
    with project:
        project.conversations.get("current")

        report = Projects(root).upgrade()

        assert project.conversations.get("current").id == "current"
    assert report.failed == []
    project.dispose()


def test_progress_counts_projects(root: Path) -> None:
    seen: list[tuple[int, int]] = []

    Projects(root).upgrade(on_progress=lambda done, total: seen.append((done, total)))

    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_root_that_does_not_exist_has_no_projects(tmp_path: Path) -> None:
    report = Projects(tmp_path / "nowhere").upgrade()

    assert report == (0, [])
    assert not (tmp_path / "nowhere").exists()


def test_a_dry_run_tells_what_is_due_and_writes_nothing(root: Path) -> None:
    before = files(root)

    report = Projects(root).upgrade(dry_run=True)

    assert [(file.project, file.state) for file in report.files] == [("current", "current"), ("old", "pending")]
    assert files(root) == before
    assert sorted(path.name for path in (root / "empty").iterdir()) == []


def test_an_upgrade_in_the_middle_of_a_look_is_no_disagreement(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.conversations.create()
    maintenance.downgrade(project, to=0)
    plain = migrate.version

    def interrupted(connection: sqlite3.Connection) -> int:
        found = plain(connection)
        monkeypatch.setattr(migrate, "version", plain)
        maintenance.upgrade(project)
        return found

    monkeypatch.setattr(migrate, "version", interrupted)
    scripts = maintenance.migration_status(project).scripts

    assert {script.applied for script in scripts} == {False}


def _upgrade_in_child(root: Path, barrier: Callable[[], object], answers: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    answers.put([file.state for file in Projects(root).upgrade().files])  # type: ignore[attr-defined]


def test_two_processes_upgrade_each_file_once(tmp_path: Path) -> None:
    projects = Projects(tmp_path / "root")
    for number in range(6):
        maintenance.downgrade(projects.create(f"p{number}"), to=0)
        legacy_files.make(projects.path / f"p{number}" / "features.db", legacy_files.SHAPES["the newest release"])
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    children = [context.Process(target=_upgrade_in_child, args=(projects.path, barrier, answers)) for _ in range(2)]
    for child in children:
        child.start()
    found = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join(60)

    assert [child.exitcode for child in children] == [0, 0]
    assert {tuple(sorted(pair)) for pair in zip(*found, strict=True)} == {("current", "upgraded")}


# --- the command ---


def test_command_upgrades_and_sums_up(run: Run, root: Path) -> None:
    done = run("upgrade", root)

    assert done == (
        0,
        f"upgraded  old assistant from version {HEAD - 1} to {HEAD}\n3 projects, files: 1 upgraded, 1 current\n",
        "",
    )


def test_command_says_with_its_status_that_something_failed(run: Run, root: Path) -> None:
    break_one(root)

    done = run("upgrade", root, "--quiet")

    assert done.status == 1
    assert done.out.startswith("failed    broken assistant: file is not a database (")
    assert version(root, "old") == HEAD


def test_command_lists_what_is_due(run: Run, root: Path) -> None:
    done = run("upgrade", root, "--dry-run", "--json")

    assert done.status == 0
    assert done.json["dry_run"] is True
    assert [(each["project"], each["state"]) for each in done.json["files"]] == [
        ("current", "current"),
        ("old", "pending"),
    ]
    assert version(root, "old") == HEAD - 1


def test_command_upgrades_a_schema_of_the_user(run: Run, root: Path, tmp_path: Path) -> None:
    tickets = make_tickets(tmp_path / "scripts")
    with Project(root / "old") as project:
        tickets.Ticket.create(title="printer on fire")
    project.dispose()

    done = run("upgrade", root, "--schema", "tickets", "--migrations", tmp_path / "scripts", "--json")

    assert [(each["project"], each["schema"], each["state"]) for each in done.json["files"]] == [
        ("old", "tickets", "current")
    ]


def test_command_refuses_a_root_that_is_not_there(run: Run, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"

    done = run("upgrade", nowhere)

    assert done == (
        3,
        "",
        f"peewee-conv: {nowhere} is no folder of projects: there is no such directory\n",
    )
