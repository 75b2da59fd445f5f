"""The extension under the servers that people use: threads, processes, and forks of what is open already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from web_servers import Server, development, gunicorn, running, waitress

from peewee_conv import Projects

FACTORY = "sample_app:create_app"
NAMES = ("aurora", "borealis", "corona")
COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "development": lambda folder: development(FACTORY),
    "waitress": lambda folder: waitress(FACTORY),
    "gunicorn": lambda folder: gunicorn(FACTORY + "()", folder),
    "gunicorn-preload": lambda folder: gunicorn(FACTORY + "()", folder, preload=True),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    projects = Projects(tmp_path / "projects")
    for name in NAMES:
        project = projects.create(name)
        project.conversations.create(id="talk")
        project.dispose()
    return tmp_path / "projects"


@pytest.fixture(params=COMMANDS)
def server(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[Server]:
    command = COMMANDS[request.param](tmp_path)
    with running(command, tmp_path, {"SAMPLE_ROOT": str(root)}, "/health") as server:
        yield server


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run *work* in threads at once and raise what one of them raised."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_threads_and_processes_serve_every_project_its_own(server: Server) -> None:
    def work(number: int) -> None:
        for turn in range(15):
            name = NAMES[(number + turn) % len(NAMES)]
            kind = turn % 5
            if kind < 3:
                answer = server.request("POST", f"/{name}/append", {"content": f"{name} {number}.{turn}"})
                assert answer.status == 200, answer
            elif kind == 3:
                assert server.request("GET", f"/{name}/stream").body.count(b"\n") == 3
            else:
                assert server.request("GET", f"/{name}/fail").status == 500

    in_threads(6, work)

    for name in NAMES:
        found = server.request("GET", f"/{name}/messages").json
        assert found["count"] == len(found["contents"])
        assert [content for content in found["contents"] if not content.startswith(f"{name} ")] == []
    assert sum(server.request("GET", f"/{name}/messages").json["count"] for name in NAMES) == 6 * (9 + 3 * 3)
    assert server.request("GET", "/nowhere/messages").status == 404
    assert "ResourceWarning" not in server.log.read_text()
