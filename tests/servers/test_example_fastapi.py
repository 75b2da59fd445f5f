"""The FastAPI example: its answers, its errors, and what is left of it when its readers or its server go away."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from peewee_conv import Project
from peewee_conv.database.cache import cache

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "examples"))

from fastapi_chat.app import create_app

ADA = {"google_id": "1", "email": "ada@example.org", "name": "Ada"}
BOB = {"google_id": "2", "email": "bob@example.org", "name": "Bob"}


class Server:
    """The application under uvicorn, in a thread of its own."""

    def __init__(self, app: Any) -> None:
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., httpx.Client]]:
    opened: list[tuple[httpx.Client, Server]] = []

    def start(**options: Any) -> httpx.Client:
        server = Server(create_app(str(tmp_path / "chat"), **options))
        client = httpx.Client(base_url=server.url, timeout=20)
        opened.append((client, server))
        return client

    yield start
    for client, server in opened:
        client.close()
        server.stop()


@pytest.fixture
def client(serve: Callable[..., httpx.Client]) -> httpx.Client:
    return serve()


def sign_in(client: httpx.Client, profile: dict[str, str] = ADA) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.post('/sign-in', json=profile).json()['token']}"}


def begin(client: httpx.Client, who: dict[str, str]) -> str:
    found: str = client.post("/conversations", headers=who).json()["id"]
    return found


def said(client: httpx.Client, who: dict[str, str], talk: str) -> list[tuple[str, str, str]]:
    found = client.get(f"/conversations/{talk}/messages", headers=who).json()
    return [(message["role"], message["content"].strip(), message["status"]) for message in found]


def pieces(response: httpx.Response) -> str:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith('data: "')]
    return "".join(map(json.loads, lines)).strip()


def test_an_answer_is_streamed_and_stored(client: httpx.Client) -> None:
    ada = sign_in(client)
    talk = begin(client, ada)

    response = client.post(f"/conversations/{talk}/messages", headers=ada, json={"content": "Hello <there>"})

    assert pieces(response) == "You said: Hello <there>"
    assert said(client, ada, talk) == [
        ("user", "Hello <there>", "complete"),
        ("assistant", "You said: Hello <there>", "complete"),
    ]
    assert [each["title"] for each in client.get("/conversations", headers=ada).json()["conversations"]] == [
        "Hello <there>"
    ]


def test_nobody_reads_the_conversation_of_another(client: httpx.Client) -> None:
    ada, bob = sign_in(client), sign_in(client, BOB)
    talk = begin(client, ada)

    assert client.get(f"/conversations/{talk}/messages", headers=bob).status_code == 404
    assert client.post(f"/conversations/{talk}/messages", headers=bob, json={"content": "x"}).status_code == 404
    assert client.get("/conversations", headers=bob).json()["conversations"] == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}], ids=["no token", "a wrong one"])
def test_a_stranger_is_asked_to_sign_in(client: httpx.Client, headers: dict[str, str]) -> None:
    response = client.get("/conversations", headers=headers)

    assert (response.status_code, response.json()) == (401, {"detail": "sign in first"})


def test_a_bad_page_is_the_caller_s_fault(client: httpx.Client) -> None:
    response = client.get("/conversations", headers=sign_in(client), params={"after": "x"})

    assert response.status_code == 400
    assert response.json()["error"].startswith("invalid after 'x'")


def test_ordinary_functions_see_the_same_project(client: httpx.Client) -> None:
    begin(client, sign_in(client))

    assert client.get("/health").json()["journal_mode"] in ("wal", "delete")
    assert "peewee_conv" in client.get("/metrics").text


class Failing:
    """A model that says a word and fails."""

    async def __call__(self, messages: list[dict[str, str]]) -> AsyncIterator[str]:
        yield "Well, "
        raise RuntimeError("out of ideas")


def test_an_answer_that_fails_is_kept_as_far_as_it_came(serve: Callable[..., httpx.Client]) -> None:
    client = serve(answer=Failing())
    ada = sign_in(client)
    talk = begin(client, ada)

    with pytest.raises(httpx.RemoteProtocolError):
        client.post(f"/conversations/{talk}/messages", headers=ada, json={"content": "Why?"})

    assert said(client, ada, talk)[1] == ("assistant", "Well,", "interrupted")


class Endless:
    """A model that goes on until its reader goes away."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    async def __call__(self, messages: list[dict[str, str]]) -> AsyncIterator[str]:
        try:
            while True:
                yield "and "
                await asyncio.sleep(0.001)
        finally:
            self.gone.set()


def test_a_reader_who_goes_away_interrupts_the_answer(serve: Callable[..., httpx.Client]) -> None:
    model = Endless()
    client = serve(answer=model)
    ada = sign_in(client)
    talk = begin(client, ada)

    with client.stream("POST", f"/conversations/{talk}/messages", headers=ada, json={"content": "Go on"}) as response:
        next(response.iter_lines())
    assert model.gone.wait(20)

    while (found := said(client, ada, talk)[1])[2] == "streaming":
        pass
    assert found[2] == "interrupted"
    assert found[1].startswith("and")


def test_requests_of_all_kinds_leave_no_connection_behind(serve: Callable[..., httpx.Client], tmp_path: Path) -> None:
    client = serve()
    ada = sign_in(client)
    talk = begin(client, ada)

    async def load() -> None:
        async with httpx.AsyncClient(base_url=client.base_url, headers=ada, timeout=30) as many:
            calls: list[Coroutine[Any, Any, httpx.Response]] = []
            for n in range(60):
                calls.append(many.post(f"/conversations/{talk}/messages", json={"content": str(n)}))
                calls.append(many.get("/health"))
                calls.append(many.get(f"/conversations/{talk}/messages"))
            answers = await asyncio.gather(*calls)
            assert {answer.status_code for answer in answers} == {200}

    asyncio.run(load())

    assert {database._out for database in cache.open_databases()} == {0}
    project = Project(tmp_path / "chat")
    assert project.conversations.get(talk).message_count == 120
    assert {message.status for message in project.conversations.iterate(talk)} == {"complete"}
