"""``features`` and ``schedules`` on the command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project

AT = "2026-11-24T01:00"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    return make_run(capsys)


@pytest.fixture
def path(make_project: Callable[..., Project]) -> Path:
    """A project with four features, of which one passes, one is in progress, one asks and one waits."""
    project = make_project("aurora")
    queue = project.features
    items = [{"name": "Log in"}, {"name": "Log out", "depends_on_indices": [0]}, {"name": "Serve"}, {"name": "Test"}]
    queue.create_many(items)
    queue.mark_passing(4)
    queue.claim(3)
    queue.request_human_input(3, "?", [{"id": "port", "label": "Port", "type": "text"}])
    queue.claim(1)
    project.dispose()
    return project.path


def test_the_list_shows_each_feature_with_its_state(run: Run, path: Path) -> None:
    assert run("features", "--project", path).out.splitlines() == [
        "id  priority  state               category       name     waits for",
        " 1         1  in progress         uncategorized  Log in",
        " 2         2  open                uncategorized  Log out  1",
        " 3         3  waits for a person  uncategorized  Serve",
        " 4         4  passing             uncategorized  Test",
    ]


def test_the_list_may_be_of_one_status(run: Run, path: Path) -> None:
    done = run("features", "list", "--status", "passing", "--json", "--project", path)

    assert [feature["name"] for feature in done.json["features"]] == ["Test"]


def test_pages_follow_each_other(run: Run, path: Path) -> None:
    first = run("features", "list", "--limit", "3", "--json", "--project", path).json
    second = run("features", "list", "--limit", "3", "--after", first["next"], "--json", "--project", path).json

    assert [feature["id"] for feature in first["features"] + second["features"]] == [1, 2, 3, 4]
    assert second["next"] is None
    assert "more follow: --limit N, or --after" in run("features", "list", "--limit", "3", "--project", path).out


def test_stats_are_counted(run: Run, path: Path) -> None:
    assert run("features", "stats", "--project", path).out.splitlines() == [
        "passing            1 of 4 (25.0 %)",
        "in progress        1",
        "needs human input  1",
    ]
    assert run("features", "stats", "--json", "--project", path).json["percentage"] == 25.0


def test_what_is_blocked_names_what_it_waits_for(run: Run, path: Path) -> None:
    assert run("features", "blocked", "--project", path).out == "id  name     blocked by\n 2  Log out  1\n"
    assert run("features", "blocked", "--json", "--project", path).json["features"][0]["blocked_by"] == [1]


def test_nothing_ready_is_said(run: Run, path: Path) -> None:
    assert run("features", "ready", "--project", path).out == "no feature is ready\n"
    assert run("features", "ready", "--json", "--project", path).json == {"features": []}


def test_what_is_ready_is_listed(run: Run, path: Path) -> None:
    project = Project(path)
    project.features.mark_passing(1)
    project.dispose()

    assert "Log out" in run("features", "ready", "--project", path).out
    assert run("features", "blocked", "--project", path).out == "no feature is blocked\n"


def test_a_list_is_exported_and_imported_again(run: Run, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "queue.json"

    assert run("features", "export", file, "--project", path) == (0, f"features written to {file}\n", "")
    assert len(json.loads(file.read_text())) == 4
    done = run("features", "import", file, "--project", tmp_path / "other")

    assert done.status == 0
    assert done.out.startswith(f"4 features imported; the file is now {file}.backup.")


def test_an_import_that_did_nothing_says_why(run: Run, path: Path, tmp_path: Path) -> None:
    (path / "feature_list.json").write_text("[]")

    assert run("features", "import", "--project", path)[:2] == (1, "nothing imported: the queue has features already\n")
    assert run("features", "import", tmp_path / "x.json", "--project", path)[:2] == (
        1,
        "nothing imported: there is no such file\n",
    )


def test_a_refused_import_names_the_item(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "queue.json"
    file.write_text('[{"name": null}]')

    done = run("features", "import", file, "--project", tmp_path / "project")

    assert (done.status, done.out) == (3, "")
    assert "item 1: name is null, expected a text; nothing was written" in done.err


def test_json_of_the_transfers_has_its_outcome(run: Run, path: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "queue.json")

    assert run("features", "export", file, "--json", "--project", path).json == {"path": file}
    done = run("features", "import", file, "--json", "--project", tmp_path / "other").json
    assert (done["outcome"], done["stored"]) == ("imported", 4)


@pytest.mark.parametrize("command", ["features", "schedules"])
def test_reading_makes_no_project(run: Run, tmp_path: Path, command: str) -> None:
    done = run(command, "--project", tmp_path)

    assert (done.status, done.out) == (3, "")
    assert "it has no features database" in done.err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_queue_says_so(run: Run, make_project: Callable[..., Project]) -> None:
    project = make_project()
    project.features.stats()

    assert run("features", "--project", project.path).out == "no features\n"
    assert run("schedules", "--project", project.path).out == "no schedules\n"


@pytest.fixture
def planned(make_project: Callable[..., Project]) -> Path:
    project = make_project("planned")
    project.schedules.create("22:30", 240, days_of_week=0b1000001)
    project.schedules.create("12:00", 60, enabled=False, model="opus")
    project.schedules.create("12:00", 60, days_of_week=0)
    project.dispose()
    return project.path


def test_the_week_is_drawn_with_a_mark_for_each_half_hour(run: Run, planned: Path) -> None:
    assert run("schedules", "--at", AT, "--project", planned).out.splitlines() == [
        "    00    03    06    09    12    15    18    21",
        "Mon █████········································███",
        "Tue █████···········································",
        *(f"{day} {'·' * 48}" for day in ("Wed", "Thu", "Fri", "Sat")),
        "Sun ·············································███",
        "",
        "id  start  minutes  days       state  agents  crashes  model",
        " 2  12:00       60  every day  off         3        0  opus",
        " 3  12:00       60  never      on          3        0",
        " 1  22:30      240  Mon Sun    on          3        0",
        "",
        "Tue 01:00 UTC: open until Tue 02:30",
    ]


def test_a_time_without_a_window_says_so(run: Run, planned: Path) -> None:
    assert "Wed 01:00 UTC: no window is open" in run("schedules", "--at", "2026-11-25T01:00", "--project", planned).out


def test_schedules_answer_in_json(run: Run, planned: Path) -> None:
    done = run("schedules", "--at", AT, "--json", "--project", planned).json

    assert [row["id"] for row in done["schedules"]] == [2, 3, 1]
    assert [(row["schedule_id"], row["ends_at"]) for row in done["open"]] == [(1, "2026-11-24T02:30:00.000000Z")]


@pytest.mark.parametrize(("columns", "marks"), [("56", 48), ("55", 24)])
def test_a_narrow_terminal_gets_a_mark_for_each_hour(
    run: Run, planned: Path, monkeypatch: pytest.MonkeyPatch, columns: str, marks: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")

    run("schedules", "--at", AT, "--project", planned)

    (wednesday,) = [line for line in terminal.getvalue().splitlines() if line.startswith("Wed ·")]
    assert wednesday == f"Wed {'·' * marks}"
