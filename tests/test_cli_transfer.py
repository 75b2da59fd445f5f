"""``import`` and ``export`` move conversations, say what they did, and leave nothing half done."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project

TALKS: list[dict[str, Any]] = [
    {"id": "first", "messages": [{"role": "user", "content": "Grüße 🙂\x1b[2J"}, {"role": "assistant", "content": ""}]},
    {"id": "second", "metadata": {"topic": "x"}, "messages": [{"role": "user", "content": "日本"}]},
]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    return make_run(capsys)


def lines(talks: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(talk, ensure_ascii=False) + "\n" for talk in talks)


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    path = tmp_path / "talks.jsonl"
    path.write_text(lines(TALKS), encoding="utf-8")
    return path


def contents(path: Path) -> dict[str, list[tuple[str, str]]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {talk["id"]: [(said["role"], said["content"]) for said in talk["messages"]] for talk in found}


# --- import ---


def test_import_makes_the_project_and_says_what_it_stored(run: Run, talks: Path, tmp_path: Path) -> None:
    done = run("import", talks, "--project", "aurora")

    assert done == (
        0,
        f"read 2 conversations and 3 messages from {talks}\nstored 3 messages in {tmp_path / 'aurora'} (2 new)\n",
        "",
    )


def test_second_import_says_that_nothing_changed(run: Run, talks: Path, tmp_path: Path) -> None:
    run("import", talks, "--project", "aurora")

    done = run("import", talks, "--project", "aurora")

    assert done.out == (
        f"nothing changed: {tmp_path / 'aurora'} has the 2 conversations and 3 messages of {talks} already\n"
    )
    assert run("import", talks, "--json", "--project", "aurora").json["is_unchanged"] is True


def test_import_appends_what_a_conversation_has_got_since(run: Run, talks: Path) -> None:
    run("import", talks, "--project", "aurora")
    longer = [{**TALKS[0], "messages": [*TALKS[0]["messages"], {"role": "user", "content": "more"}]}, TALKS[1]]
    talks.write_text(lines(longer), encoding="utf-8")

    done = run("import", talks, "--project", "aurora")

    assert done.out.endswith("(1 extended, 1 unchanged)\n")
    assert run("show", "first", "--json", "--project", "aurora").json["conversation"]["message_count"] == 3


def test_import_as_json_has_every_count(run: Run, talks: Path, tmp_path: Path) -> None:
    assert run("import", talks, "--json", "--project", "aurora").json == {
        "source": str(talks),
        "conversations": 2,
        "messages": 3,
        "conversations_added": 2,
        "conversations_extended": 0,
        "conversations_unchanged": 0,
        "messages_added": 3,
        "project": str(tmp_path / "aurora"),
        "is_unchanged": False,
    }


def test_import_of_nothing_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()

    done = run("import", "empty.jsonl", "--project", "aurora")

    assert done == (0, "empty.jsonl has no conversation, nothing changed\n", "")


def test_quiet_import_says_nothing(run: Run, talks: Path) -> None:
    assert run("import", talks, "--quiet", "--project", "aurora") == (0, "", "")


def test_import_gives_new_conversations_an_assistant(
    run: Run, talks: Path, make_project: Callable[..., Project]
) -> None:
    project = make_project("aurora")
    bot = project.assistants.create(name="Mira", instructions="You are Mira.", model="none")
    project.dispose()

    run("import", talks, "--assistant", bot.id, "--project", project.path)

    found = run("list", "--assistant", bot.id, "--json", "--project", project.path).json
    assert len(found["conversations"]) == 2


def test_missing_file_is_an_error_before_a_project_is_made(run: Run, tmp_path: Path) -> None:
    done = run("import", "nowhere.jsonl", "--project", "aurora")

    assert done == (3, "", "peewee-conv: nowhere.jsonl: No such file or directory\n")
    assert os.listdir(tmp_path) == []


def test_file_with_a_mistake_is_refused_whole(run: Run, talks: Path, tmp_path: Path) -> None:
    talks.write_text(lines(TALKS) + '{"messages": [{"role": "robot", "content": "x"}]}\n', encoding="utf-8")

    done = run("import", talks, "--project", "aurora")

    assert (done.status, done.out) == (3, "")
    assert f"import rejected ({talks}, line 3)" in done.err
    assert "invalid role 'robot'" in done.err
    assert not (tmp_path / "aurora").exists()


def test_unknown_assistant_is_a_problem(run: Run, talks: Path) -> None:
    done = run("import", talks, "--assistant", "nobody", "--project", "aurora")

    assert done.status == 1
    assert "assistant 'nobody' does not exist" in done.err


# --- export ---


def test_export_gives_back_what_was_imported(run: Run, talks: Path, tmp_path: Path) -> None:
    run("import", talks, "--project", "aurora")

    done = run("export", "out.jsonl", "--project", "aurora")

    assert done == (0, "wrote 2 conversations and 3 messages to out.jsonl\n", "")
    assert contents(tmp_path / "out.jsonl") == contents(talks)


def test_export_of_one_project_is_an_import_of_another(run: Run, talks: Path) -> None:
    run("import", talks, "--project", "aurora")
    run("export", "out.jsonl", "--project", "aurora")

    assert run("import", "out.jsonl", "--project", "borealis").status == 0
    assert "nothing changed" in run("import", "out.jsonl", "--project", "aurora").out


def test_export_as_json_says_what_was_written(run: Run, talks: Path, tmp_path: Path) -> None:
    run("import", talks, "--project", "aurora")

    found = run("export", "out.jsonl", "--json", "--project", "aurora").json

    assert found == {"path": str(tmp_path / "out.jsonl"), "conversations": 2, "messages": 3}


def test_export_to_standard_output_can_be_piped_into_an_import(run: Run, talks: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "peewee_conv"]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    subprocess.run([*command, "import", talks, "--quiet", "--project", "aurora"], check=True)

    exported = subprocess.run(
        [*command, "export", "--project", "aurora"], check=True, capture_output=True, env=ascii_only
    )
    subprocess.run([*command, "import", "-", "--project", "borealis"], check=True, input=exported.stdout)
    (tmp_path / "out.jsonl").write_bytes(exported.stdout)

    assert contents(tmp_path / "out.jsonl") == contents(talks)
    assert run("show", "second", "--json", "--project", "borealis").json["messages"][0]["content"] == "日本"


def test_import_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(TALKS).encode()), encoding="ascii"))

    assert run("import", "-", "--json", "--project", "aurora").json["messages"] == 3


def test_markdown_is_for_people_and_comes_back_whole(run: Run, talks: Path, tmp_path: Path) -> None:
    run("import", talks, "--project", "aurora")

    run("export", "talks.md", "--markdown", "--project", "aurora")
    run("import", "talks.md", "--markdown", "--project", "borealis")
    run("export", "again.jsonl", "--project", "borealis")

    assert "## user\n\n日本\n" in (tmp_path / "talks.md").read_text(encoding="utf-8")
    assert contents(tmp_path / "again.jsonl") == contents(talks)


@pytest.mark.parametrize("form", [(), ("--markdown",)])
def test_export_of_one_conversation_takes_its_number(run: Run, talks: Path, form: tuple[str, ...]) -> None:
    run("import", talks, "--project", "aurora")

    found = run("export", "one", "--conversation", "2", *form, "--json", "--project", "aurora").json

    assert (found["conversations"], found["messages"]) == (1, 1)


def test_export_does_not_replace_a_file_unasked(run: Run, talks: Path) -> None:
    run("import", talks, "--project", "aurora")
    before = talks.read_bytes()

    refused = run("export", talks, "--project", "aurora")
    replaced = run("export", talks, "--overwrite", "--project", "aurora")

    assert refused.status == 2
    assert "expected a file that is not there yet, or --overwrite" in refused.err
    assert replaced.status == 0
    assert talks.read_bytes() != before


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("--json",), "expected a FILE to export to, where the answer is to be JSON"),
        (("--markdown", "--conversation", "1", "--conversation", "2"), "one conversation with --markdown, or none"),
    ],
)
def test_export_refuses_what_makes_no_sense(run: Run, talks: Path, argv: tuple[str, ...], text: str) -> None:
    run("import", talks, "--project", "aurora")

    done = run("export", *argv, "--project", "aurora")

    assert (done.status, done.out) == (2, "")
    assert text in done.err


def test_export_of_a_missing_conversation_is_a_problem_and_leaves_no_file(
    run: Run, talks: Path, tmp_path: Path
) -> None:
    run("import", talks, "--project", "aurora")

    done = run("export", "out.jsonl", "--conversation", "nope", "--project", "aurora")

    assert (done.status, done.err) == (1, "peewee-conv: conversation 'nope' does not exist\n")
    assert not (tmp_path / "out.jsonl").exists()
