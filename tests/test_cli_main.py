"""Whatever goes wrong on the command line: one sentence, a status that a script can use, and nothing made or broken."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project, cli
from peewee_conv.cli import conversations

COMMANDS = [
    "demo",
    "import",
    "export",
    "list",
    "show",
    "search",
    "context",
    "stats",
    "users",
    "usage",
    "keys",
    "migrate",
    "check",
    "backup",
]
READING = [
    ("list",),
    ("show", "1"),
    ("search", "word"),
    ("context", "1"),
    ("stats",),
    ("users",),
    ("usage",),
    ("keys",),
    ("keys", "list"),
    ("export",),
    ("check",),
    ("check", "--repair"),
    ("backup", "copy.db"),
    ("migrate",),
    ("migrate", "status"),
    ("migrate", "up"),
    ("migrate", "down", "--yes"),
]
PEEWEE_CONV = [sys.executable, "-m", "peewee_conv"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    monkeypatch.delenv("PEEWEE_CONV_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return make_run(capsys)


@pytest.fixture
def path(project: Project) -> Path:
    project.conversations.create(id="talk", title="Talk")
    project.dispose()
    return project.path


def is_one_sentence(text: str) -> bool:
    return text.startswith("peewee-conv: ") and text.count("\n") == 1 and text.endswith("\n")


# --- help and usage ---


def test_help_names_every_command_and_every_status(run: Run) -> None:
    done = run("--help")

    assert done.status == 0
    assert set(COMMANDS) <= set(re.findall(r"^    ([a-z]+)", done.out, re.MULTILINE))
    assert all(f"\n  {status:<3}  " in done.out for status in (0, 1, 2, 3, 130, 141))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples_and_shared_options(run: Run, command: str) -> None:
    done = run(command, "--help")

    assert done.status == 0
    assert f"  peewee-conv {command}" in done.out.partition("examples:")[2]
    assert "--project PATH" in done.out


def test_no_command_prints_the_help_as_wrong_usage(run: Run) -> None:
    done = run()

    assert (done.status, done.out) == (2, "")
    assert "commands:" in done.err


@pytest.mark.parametrize(
    "argv",
    [
        ("lst",),
        ("list", "--limit", "many"),
        ("list", "--limit", "-1"),
        ("list", "--lim", "1"),
        ("show",),
        ("show", "1", "--first", "1", "--last", "1"),
        ("search",),
        ("search", "word", "--role", "robot"),
        ("search", "word", "--since", "yesterday"),
        ("context", "1", "--pin", "everything"),
        ("migrate", "sideways"),
        ("migrate", "down", "--to", "zero"),
    ],
)
def test_wrong_usage_is_one_sentence_with_status_2(run: Run, argv: tuple[str, ...]) -> None:
    done = run(*argv)

    assert (done.status, done.out) == (2, "")
    assert is_one_sentence(done.err)
    assert "--help' shows what there is" in done.err


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (("list", "--limit", "0"), "limit"),
        (("list", "--after", "page 2"), "after"),
        (("search", "..."), "query"),
        (("show", "talk", "--last", "0"), "limit"),
        (("context", "talk", "--max-messages", "0"), "max_messages"),
        (("show", ""), "conversation_id"),
        (("migrate", "--schema", "tickets"), "--schema"),
    ],
)
def test_argument_that_the_library_refuses_is_wrong_usage(
    run: Run, path: Path, argv: tuple[str, ...], named: str
) -> None:
    done = run(*argv, "--project", path)

    assert (done.status, done.out) == (2, "")
    assert is_one_sentence(done.err)
    assert f"invalid {named}" in done.err


def test_version_names_what_a_report_of_a_bug_needs(run: Run) -> None:
    done = run("--version")

    assert done.status == 0
    assert done.out.startswith("peewee-conv ")
    assert f"SQLite {sqlite3.sqlite_version}" in done.out


# --- which project ---


@pytest.mark.parametrize("argv", READING, ids=" ".join)
def test_command_that_reads_never_makes_a_project(run: Run, tmp_path: Path, argv: tuple[str, ...]) -> None:
    missing = tmp_path / "missing"

    done = run(*argv, "--project", missing)

    assert done == (3, "", f"peewee-conv: {missing} is no project: there is no such directory\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("argv", READING, ids=" ".join)
def test_command_that_reads_makes_no_file_in_a_folder(run: Run, tmp_path: Path, argv: tuple[str, ...]) -> None:
    done = run(*argv)

    assert done.status == 3
    assert done.err == (
        f"peewee-conv: {tmp_path} is no project: it has no assistant database; "
        "name the project with --project PATH or PEEWEE_CONV_PROJECT\n"
    )
    assert os.listdir(tmp_path) == []


def test_project_is_named_before_or_after_the_command(run: Run, path: Path) -> None:
    assert run("--project", path, "list").status == 0
    assert run("list", "--project", path).status == 0


def test_project_is_that_of_the_environment_or_the_current_directory(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEEWEE_CONV_PROJECT", str(path))
    assert run("list").status == 0

    monkeypatch.delenv("PEEWEE_CONV_PROJECT")
    monkeypatch.chdir(path)
    assert run("list").status == 0


def test_project_that_is_named_wins_over_the_environment(
    run: Run, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEEWEE_CONV_PROJECT", str(tmp_path / "other"))

    assert run("list", "--project", path).status == 0


def test_file_in_place_of_a_project_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = run("list", "--project", tmp_path / "file")

    assert done.status == 2
    assert is_one_sentence(done.err)


# --- errors ---


@pytest.mark.parametrize("argv", [("list",), ("show", "1"), ("search", "a"), ("stats",), ("migrate",)], ids=" ".join)
def test_damaged_file_is_one_sentence_with_status_3(run: Run, path: Path, argv: tuple[str, ...]) -> None:
    database = path / ".peewee_conv" / "assistant.db"
    database.write_bytes(b"this is no database, but long enough to be taken for one" * 100)

    done = run(*argv, "--project", path)

    assert (done.status, done.out) == (3, "")
    assert is_one_sentence(done.err)
    assert str(database) in done.err


def test_newer_schema_is_refused_and_left_alone(run: Run, path: Path) -> None:
    database = path / ".peewee_conv" / "assistant.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 999")

    done = run("list", "--project", path)

    assert done.status == 3
    assert "schema version 999 is newer" in done.err
    assert "upgrade peewee_conv" in done.err


def break_show(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(conversations, "print_heading", fail)


def test_bug_of_ours_is_one_sentence_too(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_show(monkeypatch, ZeroDivisionError("division by zero"))

    done = run("show", "talk", "--project", path)

    assert done.status == 3
    assert done.err == (
        "peewee-conv: this is a bug of peewee_conv (ZeroDivisionError: division by zero); --debug shows where\n"
    )


def test_fault_of_the_system_names_the_file(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_show(monkeypatch, PermissionError(13, "Permission denied", "talk.md"))

    assert run("show", "talk", "--project", path) == (3, "", "peewee-conv: talk.md: Permission denied\n")


def test_interrupted_command_has_status_130(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_show(monkeypatch, KeyboardInterrupt())

    assert run("show", "talk", "--project", path) == (130, "", "peewee-conv: interrupted\n")


@pytest.mark.parametrize("place", ["before", "after", "environment"])
def test_traceback_is_shown_on_demand(run: Run, path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = {
        "before": ("--debug", "show", "nope"),
        "after": ("show", "nope", "--debug"),
        "environment": ("show", "nope"),
    }
    if place == "environment":
        monkeypatch.setenv("PEEWEE_CONV_DEBUG", "1")

    done = run(*argv[place], "--project", path)

    assert done.status == 1
    assert "Traceback (most recent call last)" in done.err
    assert done.err.endswith("peewee-conv: conversation 'nope' does not exist\n")


def test_project_is_closed_after_an_error(run: Run, path: Path) -> None:
    from peewee_conv.database.cache import cache

    run("show", "nope", "--project", path)

    assert cache.connection_count == 0


def test_project_that_may_not_be_looked_into_is_not_called_missing(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.lstat

    def refuse(name: str, **options: int) -> os.stat_result:
        if str(name).endswith("assistant.db"):
            raise PermissionError(13, "Permission denied", str(name))
        return look(name, **options)

    monkeypatch.setattr(os, "lstat", refuse)

    file = path / ".peewee_conv" / "assistant.db"
    assert run("list", "--project", path) == (cli.ERROR, "", f"peewee-conv: {file}: Permission denied\n")


def test_file_that_cannot_be_there_is_not_called_missing(run: Run, path: Path) -> None:
    name = "x" * 300

    for command in ("import", "restore"):
        done = run(command, name, "--project", path)
        assert (done.status, done.err) == (cli.ERROR, f"peewee-conv: {name}: File name too long\n")


# --- as a process ---


def test_module_and_script_are_the_same_command() -> None:
    done = subprocess.run([*PEEWEE_CONV, "--version"], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("peewee-conv ")


def test_reader_who_goes_away_is_no_reason_to_complain(project: Project) -> None:
    talk = project.conversations.create()
    project.conversations.add_messages(talk.id, [{"role": "user", "content": "x" * 1000}] * 2000)
    project.dispose()

    command = [*PEEWEE_CONV, "show", talk.id, "--project", str(project.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()

    assert (process.returncode, complaint) == (cli.READER_GONE, b"")


def test_reader_who_was_never_there_is_no_reason_to_complain(path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    command = [*PEEWEE_CONV, "list", "--project", str(path)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)

    assert (done.returncode, done.stderr) == (cli.READER_GONE, b"")


def test_output_onto_a_full_disk_is_one_sentence(path: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [*PEEWEE_CONV, "list", "--project", str(path)]
        buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=buffered)
        nobody_to_tell = subprocess.run([*PEEWEE_CONV, "show", "nobody"], stdout=full, stderr=full, env=buffered)

    assert (done.returncode, done.stderr) == (cli.ERROR, b"peewee-conv: No space left on device\n")
    assert nobody_to_tell.returncode == cli.ERROR


@pytest.mark.parametrize(
    ("closed", "complaint"),
    [
        (">&-", b"peewee-conv: nothing was changed: add --yes to go ahead"),
        ("<&-", b"peewee-conv: nothing was changed: add --yes to go ahead"),
        ("<&- >&- 2>&-", b""),
    ],
)
def test_streams_that_are_closed_are_as_if_they_led_nowhere(path: Path, closed: str, complaint: bytes) -> None:
    command = [*PEEWEE_CONV, "migrate", "down", "--to", "1", "--project", str(path)]

    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True)

    assert (done.returncode, done.stderr.strip().rpartition(b"\n")[2]) == (cli.PROBLEM, complaint)


def test_ctrl_c_ends_a_process_with_one_line(project: Project) -> None:
    talk = project.conversations.create()
    project.conversations.add_messages(talk.id, [{"role": "user", "content": "x" * 1000}] * 2000)
    project.dispose()

    command = [*PEEWEE_CONV, "show", talk.id, "--project", str(project.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()  # it runs now, and waits for a reader soon
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate()

    assert (process.returncode, complaint) == (cli.INTERRUPTED, b"peewee-conv: interrupted\n")


def test_output_that_the_locale_cannot_show_is_escaped(project: Project) -> None:
    talk = project.conversations.create(title="日本")
    project.dispose()
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}

    command = [*PEEWEE_CONV, "show", talk.id, "--project", str(project.path)]
    done = subprocess.run(command, capture_output=True, text=True, env=ascii_only)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("\\u65e5\\u672c\n")
