"""Real servers on the loopback, each a child process that is told to end by its id."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0

GUNICORN_CONFIG = """\
worker_class = "gthread"
control_socket_disable = True
graceful_timeout = 3
"""


class Answer(NamedTuple):
    """An answer of a server."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Server(NamedTuple):
    """A running server.

    :ivar process: the process that was started; with gunicorn the master.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self, timeout: float = 30.0) -> HTTPConnection:
        """Return a new connection to it."""
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request on a connection of its own; *body* goes as JSON."""
        with contextlib.closing(self.connect()) as connection:
            sent = None if body is None else json.dumps(body)
            kind = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, sent, {**kind, **headers})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def workers(self) -> list[int]:
        """Return the ids of the child processes."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent(int(entry.name)) == self.process.pid:
                found.append(int(entry.name))
        return sorted(found)


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return None if state == "Z" else int(parent)


def open_files(pid: int) -> int:
    """Return how many file descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory_kb(pid: int) -> int:
    """Return the resident memory of a process in kB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


# --- starting and ending them ---


def gunicorn(app: str, folder: Path, workers: int = 2, threads: int = 8, *, preload: bool = False) -> list[str]:
    """Return the command line of gunicorn with threads; ``{port}`` stands for the port."""
    config = folder / "gunicorn_config.py"
    config.write_text(GUNICORN_CONFIG, encoding="utf-8")
    counts = ["--workers", str(workers), "--threads", str(threads)]
    more = ["--preload"] if preload else []
    bind = ["--bind", "127.0.0.1:{port}"]
    return [sys.executable, "-m", "gunicorn", "--config", str(config), *counts, *more, *bind, app]


def waitress(app: str, threads: int = 8) -> list[str]:
    """Return the command line of waitress for ``module:factory``."""
    listen = ["--listen", "127.0.0.1:{port}", "--threads", str(threads)]
    return [sys.executable, "-m", "waitress", *listen, "--call", app]


def development(app: str) -> list[str]:
    """Return the command line of Flask's own development server."""
    return [sys.executable, "-m", "flask", "--app", app, "run", "--port", "{port}", "--no-reload", "--with-threads"]


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, environment: dict[str, str], ready: str) -> Iterator[Server]:
    """Run a server, wait until it answers on the path *ready*, and end it.

    :param folder: its current directory; its log is there afterwards.
    """
    port = free_port()
    log = folder / "server.log"
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths.rstrip(os.pathsep), "PYTHONWARNINGS": "default", **environment}
    words = [word.format(port=port) for word in command]
    with log.open("wb") as sink:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    server = Server(process, port, log)
    try:
        _wait_until_ready(server, ready)
        yield server
    finally:
        _stop(server)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: Server, path: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(OSError, HTTPException):
            if server.request("GET", path).status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{server.log.read_text(errors='replace')[-3000:]}")


def _stop(server: Server) -> None:
    workers = server.workers()
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
        for pid in workers:  # gunicorn's, which their master could not end
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
