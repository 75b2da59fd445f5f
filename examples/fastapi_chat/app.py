"""A chat API: sign in, conversations, answers that are streamed while they are written, a limit on tokens.

Run it with ``uvicorn --factory --app-dir examples fastapi_chat.app:create_app``. The model is an echo: put yours in its
place.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from anyio import CancelScope
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from peewee_conv.account_records import User
from peewee_conv.aio import AsyncProject
from peewee_conv.errors import PeeweeConvError, ReferralKeyRequired
from peewee_conv.http_status import retry_after, status_of
from peewee_conv.records import Message
from peewee_conv.window import estimate_tokens, tokens_of

Answer = Callable[[list[dict[str, str]]], AsyncIterator[str]]
DAILY_TOKENS = 100_000


class Profile(BaseModel):
    """Who signs in. A real application takes this from an identity provider."""

    google_id: str
    email: str
    name: str


class Post(BaseModel):
    """What a user says."""

    content: str = Field(min_length=1, max_length=10_000)


async def echo(messages: list[dict[str, str]]) -> AsyncIterator[str]:
    """Answer like a model, word by word."""
    for word in f"You said: {messages[-1]['content']}".split(" "):
        await asyncio.sleep(0)
        yield word + " "


def create_app(path: str | None = None, answer: Answer = echo) -> FastAPI:
    """Make the application.

    :param path: the directory of its project; ``CHAT_PROJECT`` otherwise.
    :param answer: the model.
    """
    project = AsyncProject(path or os.environ.get("CHAT_PROJECT", "chat"))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await project.conversations.interrupt_stale(60)  # what a killed server left behind
        yield
        await project.dispose()

    app = FastAPI(title="chat", lifespan=lifespan)
    app.state.project, app.state.answer = project, answer
    app.add_exception_handler(PeeweeConvError, tell)
    _add_routes(app)
    return app


async def tell(request: Request, error: Any) -> JSONResponse:
    """Answer with the right status and one sentence."""
    status, sentence = status_of(error)
    seconds = retry_after(error)
    headers = None if seconds is None else {"Retry-After": str(seconds)}
    return JSONResponse({"error": sentence}, status, headers)


# --- who asks ---


def project_of(request: Request) -> AsyncProject:
    """Return the project of the application."""
    project: AsyncProject = request.app.state.project
    return project


Project = Annotated[AsyncProject, Depends(project_of)]


async def user_of(project: Project, authorization: Annotated[str, Header()] = "") -> User:
    """Return whom the token of the request belongs to."""
    user = await project.accounts.validate_session(authorization.removeprefix("Bearer "))
    if user is None:
        raise HTTPException(401, "sign in first")
    return user


SignedIn = Annotated[User, Depends(user_of)]


# --- what they ask for ---


def _add_routes(app: FastAPI) -> None:
    app.post("/sign-in")(sign_in)
    app.get("/conversations")(conversations)
    app.post("/conversations", status_code=201)(create)
    app.get("/conversations/{conversation_id}/messages")(messages)
    app.post("/conversations/{conversation_id}/messages")(post)
    app.get("/health")(health)
    app.get("/metrics")(metrics)


async def sign_in(profile: Profile, project: Project) -> dict[str, str]:
    """Sign in, and return the token for the header ``Authorization: Bearer``."""
    try:
        signed = await project.accounts.sign_in(profile.model_dump())
    except ReferralKeyRequired:  # somebody new, and everybody is invited here
        signed = await project.accounts.sign_in(profile.model_dump(), await project.accounts.create_key())
    return {"token": signed.token, "user_id": signed.user.id}


async def conversations(user: SignedIn, project: Project, after: str | None = None) -> dict[str, Any]:
    """Return a page of the user's conversations, the newest activity first."""
    page = await project.conversations.for_user(user.id).list(limit=20, after=after)
    return {"conversations": [each.to_dict() for each in page], "next": page.next}


async def create(user: SignedIn, project: Project) -> dict[str, Any]:
    """Begin a conversation."""
    return (await project.conversations.for_user(user.id).create()).to_dict()


async def messages(conversation_id: str, user: SignedIn, project: Project) -> list[dict[str, Any]]:
    """Return what was said."""
    found = await project.conversations.for_user(user.id).messages(conversation_id)
    return [message.to_dict() for message in found]


async def post(
    conversation_id: str, said: Post, user: SignedIn, project: Project, request: Request
) -> StreamingResponse:
    """Store what the user says, and stream the answer as server-sent events."""
    budget = project.usage.with_limit(DAILY_TOKENS)
    if not (await budget.status(user.id)).allowed:
        raise HTTPException(429, "no tokens are left for today")
    mine = project.conversations.for_user(user.id)
    await mine.add_message(conversation_id, "user", said.content)
    window = await mine.context(conversation_id, max_messages=20, max_tokens=4000)
    begun = await mine.begin_message(conversation_id)
    events = _answer(project, user, window, begun, request.app.state.answer)
    return StreamingResponse(events, media_type="text/event-stream")


async def _answer(
    project: AsyncProject, user: User, window: list[Message], begun: Message, answer: Answer
) -> AsyncIterator[str]:
    """Write the answer piece by piece, into the database first: what the user saw is there."""
    mine = project.conversations.for_user(user.id)
    where = begun.conversation_id, begun.sequence
    seen = [{"role": message.role, "content": message.content} for message in window]
    try:
        async for piece in answer(seen):
            await mine.extend_message(*where, piece)
            yield f"data: {json.dumps(piece)}\n\n"
        done = await mine.finish_message(*where)
    except BaseException:  # the model failed, or the reader went away
        with CancelScope(shield=True):
            await mine.interrupt_message(*where)
        raise
    await project.usage.record(
        user.id, sum(map(tokens_of, window)), estimate_tokens(done.content), "echo", conversation_id=where[0]
    )
    yield "event: done\ndata: {}\n\n"


def health(project: Project) -> dict[str, Any]:
    """Say how the database is kept: an ordinary function, which FastAPI runs in a thread of its own."""
    return project.sync.health().to_dict()


def metrics() -> Any:
    """Return the counters for Prometheus."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    from peewee_conv.prometheus import collector

    registry = CollectorRegistry()
    registry.register(collector())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
