"""HAIA's repository in a FastAPI application: sessions by ``Depends(get_db)``, answers by the pydantic shapes."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from pydantic import ValidationError

from peewee_conv.compat.repository import (
    AsyncSession,
    Conversation,
    ConversationNotFoundError,
    ConversationRepository,
    ConversationResponse,
    Message,
    MessageCreate,
    MessageResponse,
    async_session,
    close_db,
    engine,
    get_db,
    init_db,
)

Database = Annotated[AsyncSession, Depends(get_db)]
Talk = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]

app = FastAPI()


@app.post("/conversations", response_model=ConversationResponse)
async def create(db: Database) -> Conversation:
    return await ConversationRepository(db).create_conversation()


@app.get("/conversations/{id}", response_model=ConversationResponse)
async def read(id: int, db: Database) -> Conversation | None:
    return await ConversationRepository(db).get_conversation(id)


@app.post("/conversations/{id}/messages", response_model=MessageResponse)
async def add(id: int, message: MessageCreate, db: Database) -> Message:
    try:
        return await ConversationRepository(db).add_message(id, message.role, message.content)
    except ConversationNotFoundError as error:
        raise HTTPException(404, str(error)) from error


@app.post("/conversations/{id}/broken")
async def broken(id: int, db: Database) -> None:
    await ConversationRepository(db).add_message(id, "user", "undone")
    raise HTTPException(500, "the model is gone")


@app.post("/later")
async def later(db: Annotated[AsyncSession, Depends(get_db, scope="function")], background: BackgroundTasks) -> None:
    async def answer() -> None:
        async with async_session() as session:
            await ConversationRepository(session).add_message(talk.id, "assistant", "later")
            await session.commit()

    talk = await ConversationRepository(db).create_conversation()
    background.add_task(answer)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Talk], None]:
    """``run(work)`` runs a coroutine function with a client of the application, and closes the database."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/haia.db")

    @asynccontextmanager
    async def served() -> AsyncIterator[httpx.AsyncClient]:
        await init_db()
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://haia") as client:
                yield client
        finally:
            await close_db()

    async def main(work: Talk) -> None:
        async with served() as client:
            await work(client)

    return lambda work: asyncio.run(main(work))


def test_a_conversation_goes_through_the_application(run: Callable[[Talk], None]) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        made = (await client.post("/conversations")).json()
        added = await client.post(f"/conversations/{made['id']}/messages", json={"role": "user", "content": "Hello"})
        talk = (await client.get(f"/conversations/{made['id']}")).json()

        assert (made["message_count"], made["messages"]) == (0, [])
        assert talk["message_count"] == 1
        assert talk["messages"] == [added.json()]
        assert talk["updated_at"] == added.json()["created_at"]
        assert talk["updated_at"].endswith("Z")

    run(work)


def test_an_error_of_a_request_takes_back_what_it_wrote(run: Callable[[Talk], None]) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        await client.post("/conversations")
        failed = await client.post("/conversations/1/broken")
        missing = await client.post("/conversations/99/messages", json={"role": "user", "content": "Hello"})

        assert (failed.status_code, missing.status_code) == (500, 404)
        assert missing.json() == {"detail": "Conversation with ID 99 not found"}
        assert (await client.get("/conversations/1")).json()["message_count"] == 0

    run(work)


def test_requests_at_once_lose_nothing(run: Callable[[Talk], None]) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        await client.post("/conversations")
        bodies = [{"role": "user", "content": str(number)} for number in range(50)]
        answers = await asyncio.gather(*(client.post("/conversations/1/messages", json=body) for body in bodies))
        talk = (await client.get("/conversations/1")).json()

        assert {answer.status_code for answer in answers} == {200}
        assert sorted(int(message["content"]) for message in talk["messages"]) == list(range(50))
        assert engine.project.check() == []

    run(work)


def test_a_background_task_writes_after_the_commit_of_a_dependency_of_the_function(run: Callable[[Talk], None]) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        await asyncio.wait_for(client.post("/later"), 10)

        assert (await client.get("/conversations/1")).json()["message_count"] == 1

    run(work)


def test_a_shape_counts_the_messages_of_an_object(run: Callable[[Talk], None]) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        async with async_session() as session:
            repository = ConversationRepository(session)
            talk = await repository.create_conversation()
            message = await repository.add_message(talk.id, "assistant", "Hello")
            await session.commit()
        shape = ConversationResponse.model_validate(talk)

        assert (shape.message_count, shape.id, shape.updated_at) == (1, talk.id, message.created_at)
        assert shape.messages == [MessageResponse.model_validate(message)]
        assert pickle.loads(pickle.dumps(shape)) == shape

    run(work)


@pytest.mark.parametrize(
    "body", [{"role": "robot", "content": "x"}, {"role": "user\n", "content": "x"}, {"role": "user", "content": ""}]
)
def test_a_request_that_the_repository_would_refuse_does_not_reach_it(body: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        MessageCreate(**body)
