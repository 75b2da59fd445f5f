"""The chat example under gunicorn and load: nothing fails, crosses or leaks, and what is acknowledged is kept.

The short runs are part of every run. ``tox run -e stress -- tests/servers`` makes the long ones; the last of them
takes ``CHAT_SOAK_SECONDS``, half an hour if that is not set.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import load
import pytest
from load import Report
from web_servers import ROOT, Server, gunicorn, memory_kb, open_files, running

from peewee_conv import Project, Projects

PROJECTS = 50
#: 64 connections of three descriptors, the sockets of 8 threads and 12 clients, and what a process has anyway.
MAX_FILES = 64 * 3 + 60


class Sample(NamedTuple):
    """What the workers use at one moment, summed over them; the files are those of the one that has the most."""

    files: int
    memory_kb: int


@contextlib.contextmanager
def chat_server(folder: Path, workers: int = 2) -> Iterator[Server]:
    """Run the example over fresh projects."""
    for number in range(PROJECTS):
        Projects(folder / "projects").create(f"project-{number:02}")
    environment = {
        "FLASK_PEEWEE_CONV_ROOT": str(folder / "projects"),
        "FLASK_CHAT_OPEN": "true",
        "FLASK_CHAT_DELAY": "0",
        "FLASK_CHAT_LIMIT_TOKENS": "1000000000",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "examples")]),
    }
    command = gunicorn("flask_chat:create_app()", folder, workers=workers, threads=8)
    with running(command, folder, environment, "/health") as server:
        yield server


@contextlib.contextmanager
def every(seconds: float, work: Callable[[], None]) -> Iterator[None]:
    """Call *work* again and again while the block runs."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def usage_of(server: Server) -> Sample:
    """Look at the workers; one that has just been killed does not count."""
    files, memory = [0], 0
    for pid in server.workers():
        with contextlib.suppress(OSError, ValueError):
            files.append(open_files(pid))
            memory += memory_kb(pid)
    return Sample(max(files), memory)


def contents_of(project: Project, role: str) -> list[str]:
    """Return the contents of the finished messages of one role."""
    talks = project.conversations
    messages = [message for talk in talks.list() for message in talks.iterate(talk.id)]
    return [message.content for message in messages if message.role == role and message.status == "complete"]


def check(report: Report, folder: Path, *, were_killed: bool) -> None:
    """Compare what was acknowledged with what is on disk, and see that no file was damaged."""
    print(report)
    assert report.wrong == []
    assert report.refused == {}
    assert report.broken == 0 or were_killed
    projects = Projects(folder / "projects")
    for name in projects.list():
        project = projects.get(name)
        assert sorted(contents_of(project, "user")) == sorted(report.stored.get(name, ()))
        finished = len(contents_of(project, "assistant"))
        assert finished == report.finished[name] or (were_killed and finished > report.finished[name])
        assert project.check() == []
        project.dispose()


def run_load(
    folder: Path, requests: int | None = None, *, seconds: float | None = None, kill: float = 0
) -> list[Sample]:
    """Run the whole of it; *kill* is how often a worker is killed, in seconds."""
    samples: list[Sample] = []
    killed: list[int] = []
    chance = random.Random(7)
    with chat_server(folder) as server:

        def kill_one() -> None:
            workers = server.workers()
            if len(workers) == 2:
                killed.append(chance.choice(workers))
                os.kill(killed[-1], signal.SIGKILL)

        accounts = [load.sign_in(server.port, f"project-{number:02}") for number in range(PROJECTS)]
        with every(0.5, lambda: samples.append(usage_of(server))), contextlib.ExitStack() as stack:
            if kill:
                stack.enter_context(every(kill, kill_one))
            report = load.run(server.port, accounts, requests=requests, seconds=seconds)
        samples.append(usage_of(server))
        log = server.log.read_text(encoding="utf-8", errors="replace")
    print(f"{len(killed)} workers killed, at most {max(sample.files for sample in samples)} files open")
    assert bool(killed) == bool(kill)
    check(report, folder, were_killed=bool(killed))
    assert max(sample.files for sample in samples) <= MAX_FILES
    assert "Traceback" not in log
    return samples


def test_load_is_served_whole(tmp_path: Path) -> None:
    run_load(tmp_path, 2_000)


def test_acknowledged_messages_survive_killed_workers(tmp_path: Path) -> None:
    run_load(tmp_path, 2_000, kill=0.3)


@pytest.mark.stress
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kill", [0.0, 3.0], ids=["undisturbed", "killed"])
def test_twenty_thousand_requests(tmp_path: Path, kill: float) -> None:
    run_load(tmp_path, 20_000, kill=kill)


@pytest.mark.stress
@pytest.mark.timeout(4_000)
def test_half_an_hour_leaves_memory_and_files_flat(tmp_path: Path) -> None:
    seconds = float(os.environ.get("CHAT_SOAK_SECONDS", "1800"))

    samples = run_load(tmp_path, seconds=seconds, kill=20.0)

    third = len(samples) // 3
    early, late = samples[third : 2 * third], samples[2 * third :]
    print(f"memory {max(early)}, then {max(late)}")
    assert max(sample.files for sample in late) <= max(sample.files for sample in early) + 20
    assert max(sample.memory_kb for sample in late) <= 1.1 * max(sample.memory_kb for sample in early)
