"""A server that is killed in the middle of an answer: what was sent of it is there when it comes back."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import load
import pytest
from web_servers import ROOT, Server, gunicorn, running

from peewee_conv import Projects


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    Projects(tmp_path / "projects").create("aurora")
    environment = {
        "FLASK_PEEWEE_CONV_ROOT": str(tmp_path / "projects"),
        "FLASK_CHAT_OPEN": "true",
        "FLASK_CHAT_DELAY": "0.02",
        "FLASK_CHAT_STALE_SECONDS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "examples")]),
    }
    with running(gunicorn("flask_chat:create_app()", tmp_path, workers=1), tmp_path, environment, "/health") as server:
        yield server


def texts(answer: HTTPResponse, count: int) -> Iterator[str]:
    """Yield the texts of the first events that have one."""
    while count:
        line = answer.readline().decode()
        if line.startswith("data: ") and "text" in (data := json.loads(line.removeprefix("data: "))):
            count -= 1
            yield data["text"]


def messages_of(server: Server, account: load.Account) -> list[dict[str, Any]]:
    cookie = f"chat_session={account.cookie}"
    answer = server.request("GET", f"/p/aurora/api/talks/{account.talk}/messages", Cookie=cookie)
    found: list[dict[str, Any]] = answer.json["messages"]
    return found


def test_partial_answer_survives_a_killed_server(server: Server) -> None:
    account = load.sign_in(server.port, "aurora")
    headers = {"Cookie": f"chat_session={account.cookie}", "X-CSRF-Token": account.token}
    base = f"/p/aurora/api/talks/{account.talk}"
    server.request("POST", f"{base}/messages", {"content": "word " * 500}, **headers)

    connection = server.connect()
    connection.request("POST", f"{base}/answer", "{}", {**headers, "Content-Type": "application/json"})
    received = "".join(texts(connection.getresponse(), 10))
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    connection.close()
    deadline = time.monotonic() + 15
    while (kept := messages_of(server, account)[-1])["status"] == "streaming" and time.monotonic() < deadline:
        time.sleep(0.1)

    assert received.count("word") == 8
    assert (kept["role"], kept["status"]) == ("assistant", "interrupted")
    assert kept["content"].startswith(received)
    assert kept["content"].count("word") < 500
