"""The demo shows everything, measures, and notices when something is not as it must be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project, demo
from peewee_conv.arguments import ROLES


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(demo, "_SECONDS", 0.02)
    return make_run(capsys)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[dict[str, Project]]:
    projects = demo.create_projects(str(tmp_path))
    demo.store(projects, demo.load_sample())
    yield projects
    for project in projects.values():
        project.dispose()


def failures(projects: dict[str, Project]) -> list[str]:
    return [check.name for check in demo.verify(projects, demo.load_sample()) if not check.ok]


# --- the sample ---


def test_sample_is_as_large_and_varied_as_the_demo_says() -> None:
    talks = demo.load_sample()
    roles = Counter(message["role"] for talk in talks for message in talk.messages)

    assert len(talks) == len({talk.id for talk in talks}) == 40
    assert sum(roles.values()) > 300
    assert set(roles) == set(ROLES)
    assert Counter(talk.desk for talk in talks) == {"bikeshop": 20, "homelab": 20}


def test_no_two_messages_of_the_sample_are_the_same() -> None:
    contents = [message["content"] for talk in demo.load_sample() for message in talk.messages]

    assert len(contents) == len(set(contents))


# --- the work ---


def test_everything_that_was_stored_is_verified(stored: dict[str, Project]) -> None:
    assert failures(stored) == []


def test_message_in_the_wrong_project_is_noticed(stored: dict[str, Project]) -> None:
    astray = stored["homelab"].conversations.messages("sourdough", limit=1)[0]
    stored["bikeshop"].conversations.add_message("squeaky-chain", astray.role, astray.content)

    assert "no message of one project is in the other" in failures(stored)


def test_lost_message_is_noticed(stored: dict[str, Project]) -> None:
    stored["homelab"].conversations.prune("sourdough", 5)

    assert "every message is there, byte for byte, in its order" in failures(stored)
    assert "the messages of each conversation are numbered 1, 2, 3, ..." in failures(stored)


def test_conversation_of_the_other_project_is_noticed_in_a_search(stored: dict[str, Project]) -> None:
    talk = stored["homelab"].conversations.create(id="stray")
    stored["homelab"].conversations.add_message(talk.id, "user", "the")

    assert "a search in one project never finds the other" in failures(stored)


def test_wrong_count_is_noticed(stored: dict[str, Project]) -> None:
    from peewee_conv.models import Conversation

    with stored["homelab"]:
        Conversation.update(message_count=1).where(Conversation.id == "sourdough").execute()

    assert failures(stored) == ["the counts of the list are those of the messages"]


# --- the command ---


def test_demo_shows_every_part_and_leaves_nothing_behind(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    done = run("demo")

    assert (done.status, done.err) == (0, "")
    for shown in (
        "40 conversations, stored in two projects by 8 threads at once",
        "My bike was stolen last night. What do I do first?",
        "$ peewee-conv search '\"night train\"' --project bikeshop\n  nothing found",
        "7 of 10 messages, about 129 tokens",
        "ok  no message of one project is in the other",
        "16 threads",
        "open a project, first read",
    ):
        assert shown in done.out
    assert "WRONG" not in done.out
    assert os.listdir(tmp_path) == []


def test_demo_as_json_says_what_was_verified_and_measured(run: Run) -> None:
    found = run("demo", "--json").json

    assert found["ok"] is True
    assert [project["conversations"] for project in found["projects"]] == [20, 20]
    assert all(check["ok"] for check in found["checks"])
    assert [rate["threads"] for rate in found["measured"]["appends"]] == [1, 4, 16]


def test_demo_keeps_its_projects_where_it_is_told(run: Run, tmp_path: Path) -> None:
    done = run("demo", "--keep", tmp_path / "play ground")

    assert f"$ peewee-conv list --project '{tmp_path / 'play ground' / 'bikeshop'}'" in done.out
    assert sorted(os.listdir(tmp_path / "play ground")) == ["bikeshop", "homelab"]
    assert run("show", "sourdough", "--project", tmp_path / "play ground" / "homelab").status == 0


def test_demo_does_not_touch_an_earlier_one(run: Run, tmp_path: Path) -> None:
    run("demo", "--quiet", "--keep", tmp_path)

    done = run("demo", "--keep", tmp_path)

    assert (done.status, done.out) == (2, "")
    assert "expected a folder that does not hold the projects of an earlier demo" in done.err


def test_demo_that_finds_something_wrong_says_so_and_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "verify", lambda *args: [demo.Check("water flows downhill", False)])

    done = run("demo")

    assert done.status == 1
    assert "WRONG  water flows downhill" in done.out
    assert done.err == "peewee-conv: the demo found what must not be: not true is that water flows downhill\n"


def test_quiet_demo_says_nothing(run: Run) -> None:
    assert run("demo", "--quiet") == (0, "", "")


def test_demo_takes_a_few_seconds_as_a_process() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "peewee_conv", "demo", "--json"], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ok"] is True
    assert time.monotonic() - started < 30  # two to four on an idle machine
