"""ChatDF's dependencies under FastAPI: what its routes get, and what the browser is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse

from peewee_conv.compat.chatdf import (
    Connection,
    NotFoundError,
    RateLimitStatus,
    check_limit,
    connect,
    get_conversation,
    get_current_user,
    get_db,
    google_callback,
    init_db,
)

User = Annotated[dict[str, Any], Depends(get_current_user)]
Db = Annotated[Connection, Depends(get_db)]
Conversation = Annotated[dict[str, Any], Depends(get_conversation)]


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/usage")
    async def usage(user: User, db: Db) -> RateLimitStatus:
        return await check_limit(db, user["id"])

    @app.post("/conversations")
    async def create(user: User, db: Db) -> dict[str, str]:
        moment = "2026-03-01T12:00:00"
        await db.execute(
            "INSERT INTO conversations (id, user_id, title, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
            ("c-1", user["id"], "", moment, moment),
        )
        await db.commit()
        return {"id": "c-1"}

    @app.post("/forgetful")
    async def forgetful(db: Db) -> None:
        await db.execute("UPDATE users SET name = 'never committed'")

    @app.get("/conversations/{conversation_id}")
    async def show(conversation: Conversation) -> dict[str, Any]:
        return conversation

    @app.get("/missing")
    async def missing(db: Db) -> Any:
        return await check_limit(db, "nobody")

    @app.exception_handler(NotFoundError)
    async def not_found(request: Any, error: NotFoundError) -> JSONResponse:
        return JSONResponse({"error": error.message}, 404)

    return app


Body = Callable[[httpx.AsyncClient, Connection], Awaitable[None]]


@pytest.fixture
def served(tmp_path: Path) -> Callable[[Body], None]:
    def serve(body: Body) -> None:
        asyncio.run(_serve(body, tmp_path / "chatdf.db"))

    return serve


async def _serve(body: Body, path: Path) -> None:
    app = make_app()
    async with connect(path, busy_timeout_ms=500) as db, _client_of(app) as client:
        await init_db(db)
        app.state.db = db
        await body(client, db)


@asynccontextmanager
async def _client_of(app: FastAPI) -> Any:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chatdf") as client:
        yield client


async def sign_in(client: httpx.AsyncClient, db: Connection, name: str) -> str:
    """Sign a new user up, put the cookie into the client, return the user's id."""
    userinfo = {"sub": f"g-{name}", "email": f"{name}@example.com", "name": name}
    entry = await google_callback(userinfo=userinfo, referral_key=await db.accounts.create_key(), db=db)
    client.cookies.set("session_token", entry["session_token"])
    return str(entry["user_id"])


@pytest.mark.parametrize("token", [None, "unknown"])
def test_nobody_is_answered_401(served: Callable[[Body], None], token: str | None) -> None:
    async def body(client: httpx.AsyncClient, db: Connection) -> None:
        if token is not None:
            client.cookies.set("session_token", token)
        answer = await client.get("/usage")
        assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})

    served(body)


def test_a_user_is_told_the_status_as_an_object(served: Callable[[Body], None]) -> None:
    async def body(client: httpx.AsyncClient, db: Connection) -> None:
        await sign_in(client, db, "ada")
        answer = await client.get("/usage")
        assert answer.status_code == 200
        assert answer.json()["remaining_tokens"] == 5_000_000

    served(body)


def test_a_conversation_is_shown_to_its_owner_and_nobody_else(served: Callable[[Body], None]) -> None:
    async def body(client: httpx.AsyncClient, db: Connection) -> None:
        user = await sign_in(client, db, "ada")
        assert (await client.post("/conversations")).json() == {"id": "c-1"}
        shown = (await client.get("/conversations/c-1")).json()
        assert (shown["user_id"], shown["title"], shown["updated_at"]) == (user, "", "2026-03-01T12:00:00")
        for missing in ("none", "x" * 5000):
            none = await client.get(f"/conversations/{missing}")
            assert (none.status_code, none.json()) == (404, {"detail": "Conversation not found"})
        await sign_in(client, db, "ben")
        foreign = await client.get("/conversations/c-1")
        assert (foreign.status_code, foreign.json()) == (403, {"detail": "Not authorized"})

    served(body)


def test_the_dependencies_ask_for_nothing_in_the_documentation_but_the_conversation() -> None:
    paths = make_app().openapi()["paths"]

    assert "parameters" not in paths["/usage"]["get"]
    (parameter,) = paths["/conversations/{conversation_id}"]["get"]["parameters"]
    assert (parameter["name"], parameter["in"]) == ("conversation_id", "path")


def test_a_dependency_may_be_overridden(served: Callable[[Body], None]) -> None:
    async def body(client: httpx.AsyncClient, db: Connection) -> None:
        app = make_app()
        app.state.db = db
        app.dependency_overrides[get_current_user] = lambda: {"id": "somebody"}
        async with _client_of(app) as other:
            assert (await other.get("/conversations/none")).status_code == 404

    served(body)


def test_a_request_that_forgets_its_commit_leaves_nothing_and_locks_nobody_out(served: Callable[[Body], None]) -> None:
    async def body(client: httpx.AsyncClient, db: Connection) -> None:
        await sign_in(client, db, "ada")
        await asyncio.create_task(client.post("/forgetful"))  # a server runs each request in a task of its own
        assert (await client.post("/conversations")).status_code == 200
        assert (await db.fetchone("SELECT name FROM users"))["name"] == "ada"

    served(body)


def test_fifty_requests_at_once_share_the_connection(served: Callable[[Body], None]) -> None:
    async def body(client: httpx.AsyncClient, db: Connection) -> None:
        await sign_in(client, db, "ada")
        answers = await asyncio.gather(*(client.get("/usage") for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}

    served(body)


def test_an_exception_of_chatdfs_reaches_its_handler(served: Callable[[Body], None]) -> None:
    async def body(client: httpx.AsyncClient, db: Connection) -> None:
        answer = await client.get("/missing")
        assert (answer.status_code, answer.json()) == (404, {"error": "User not found"})

    served(body)


def test_the_refusal_is_the_exception_of_the_framework(served: Callable[[Body], None]) -> None:
    async def body(client: httpx.AsyncClient, db: Connection) -> None:
        with pytest.raises(HTTPException) as refused:
            await get_conversation("none", {"id": "somebody"}, db)
        assert refused.value.status_code == 404

    served(body)
