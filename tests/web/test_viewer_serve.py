"""``peewee-conv serve``: what it refuses, and that it serves until it is told to end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    return make_run(capsys)


@pytest.fixture
def path(make_project: Callable[..., Project]) -> Path:
    project = make_project("aurora")
    project.conversations.create(title="Outlook")
    project.dispose()
    return project.path


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "viewer.lan"])
def test_an_address_that_others_reach_needs_a_word_more(run: Run, path: Path, host: str) -> None:
    done = run("serve", path, "--host", host)

    assert done.status == 2
    assert f"invalid --host {host!r}" in done.err
    assert "everybody who reaches that address reads every conversation. Pass --allow-remote" in done.err


@pytest.mark.parametrize("extra", [["--port", "65536"], ["--root", "."], ["--limit-tokens", "0"]])
def test_bad_arguments_are_refused(run: Run, path: Path, extra: list[str]) -> None:
    done = run("serve", path, *extra)

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("peewee-conv: invalid ")


def test_what_is_no_project_is_refused(run: Run, tmp_path: Path) -> None:
    assert "is no project" in run("serve", tmp_path / "none").err
    assert "is no project" in run("serve", "--project", tmp_path).err
    assert "is no folder of projects" in run("serve", "--root", tmp_path / "none").err
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_a_sentence(run: Run, path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", path, "--port", str(taken.getsockname()[1]))

    assert done.status == 3
    assert done.err.startswith("peewee-conv: ")
    assert "in use" in done.err


def test_without_flask_the_extra_is_named(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask", None)

    done = run("serve", path)

    assert (done.status, done.err) == (3, "peewee-conv: the viewer needs Flask: pip install 'peewee-conv[web]'\n")


@contextmanager
def serving(*arguments: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command in a process of its own and yield its address."""
    command = [sys.executable, "-m", "peewee_conv", "serve", "--port", "0", "--json", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            yield json.loads("".join(lines))["url"], process
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(path: Path, ending: signal.Signals) -> None:
    with serving("--root", path.parent) as (url, process):
        with urllib.request.urlopen(url + "p/aurora/?q=secret+words") as response:
            page, headers = response.read().decode(), response.headers
        process.send_signal(ending)
        out, err = process.communicate(timeout=20)

    assert "No conversations like these" in page
    assert headers["Content-Security-Policy"]
    assert (process.returncode, out, err) == (0, "", "")
