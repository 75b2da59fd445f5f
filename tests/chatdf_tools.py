"""What the tests of ChatDF's functions share: a database for one event loop, people, files to load, a model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from peewee_conv.compat import chatdf
from peewee_conv.compat.chatdf import Connection

T = TypeVar("T")
URL = "https://example.com/{}.parquet"


class Clock(Protocol):
    """The fixture ``clock``, set to 2026-03-01 12:00 UTC."""

    moment: datetime

    def __call__(self) -> str: ...

    def advance(self, seconds: float = 0.0, **kwargs: float) -> datetime: ...


class Chat:
    """``chat(body, **options)`` runs ``await body(connection)`` in an event loop of its own, always on one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, body: Callable[[Connection], Awaitable[T]], **options: Any) -> T:
        return asyncio.run(self._main(body, {"durability": "normal", **options}))

    async def _main(self, body: Callable[[Connection], Awaitable[T]], options: dict[str, Any]) -> T:
        async with chatdf.connect(self.path, **options) as db:
            await chatdf.init_db(db)
            return await body(db)


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    return Chat(tmp_path / "chatdf.db")


@pytest.fixture
def one_talk(chat: Chat) -> Chat:
    """A database with one conversation, without a title."""

    async def body(db: Connection) -> None:
        await talk_of(db, await user_id(db))

    chat(body)
    return chat


def userinfo(name: str = "ada") -> dict[str, str]:
    return {
        "sub": f"google-{name}",
        "email": f"{name}@example.com",
        "name": name.title(),
        "picture": f"https://example.com/{name}.png",
    }


async def sign_up(db: Connection, name: str = "ada") -> dict[str, Any]:
    """Let a new user in, and return what the callback answered."""
    key = await db.accounts.create_key()
    return await chatdf.google_callback(userinfo=userinfo(name), referral_key=key, db=db)


async def user_id(db: Connection, name: str = "ada") -> str:
    return str((await sign_up(db, name))["user_id"])


async def talk_of(db: Connection, user: str, id: str = "c-1") -> str:
    """Make a conversation as ChatDF's route does, and return its id."""
    await db.execute(
        "INSERT INTO conversations (id, user_id, title, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
        (id, user, "", "2026-03-01T12:00:00", "2026-03-01T12:00:00"),
    )
    await db.commit()
    return id


async def titles(db: Connection) -> list[str]:
    return [row["title"] for row in await db.fetchall("SELECT title FROM conversations ORDER BY title")]


async def rename(db: Connection, title: str) -> None:
    """Change the title of the conversation of ``talk_of`` in the transaction of the task that calls."""
    await db.execute("UPDATE conversations SET title = ? WHERE id = 'c-1'", (title,))


async def count(db: Connection, table: str) -> int:
    return int((await db.fetchone(f"SELECT count(*) FROM {table}"))[0])


def with_talk(body: Callable[[Connection, str], Awaitable[T]]) -> Callable[[Connection], Awaitable[T]]:
    """Give *body* a conversation of a new user."""

    async def prepared(db: Connection) -> T:
        return await body(db, await talk_of(db, await user_id(db)))

    return prepared


class Worker:
    """A worker pool that reads every file, unless told otherwise; *gate* makes it wait."""

    def __init__(
        self,
        *,
        validity: dict[str, Any] | None = None,
        schema: dict[str, Any] | None = None,
        error: Exception | None = None,
        gate: asyncio.Event | None = None,
    ) -> None:
        self.validity = {"valid": True} if validity is None else validity
        self.schema = {"columns": [{"name": "amount", "type": "int"}], "row_count": 3} if schema is None else schema
        self.error, self.gate = error, gate
        self.asked = asyncio.Event()

    async def validate_url(self, url: str) -> dict[str, Any]:
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.validity

    async def get_schema(self, url: str) -> dict[str, Any]:
        return self.schema


class Model:
    """A model that says *text* in two tokens; it notes what it was given."""

    def __init__(self, text: str = "Calm.", tokens: tuple[int, int] = (100, 20), **options: Any) -> None:
        self.result = chatdf.StreamResult(*tokens, text, options.get("sql_query"))
        self.error: Exception | None = options.get("error")
        self.gate: asyncio.Event | None = options.get("gate")
        self.began = asyncio.Event()
        self.given: dict[str, Any] = {}

    async def __call__(self, messages: Any, datasets: Any, ws_send: Any, **given: Any) -> chatdf.StreamResult:
        self.given = {"messages": messages, "datasets": datasets, **given}
        self.began.set()
        for token in (self.result.assistant_message[:2], self.result.assistant_message[2:]):
            await ws_send("chat_token", {"type": "chat_token", "token": token})
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.result


class Browser:
    """What a browser hears: ``events`` in their order, and the data of each kind."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data: dict[str, dict[str, Any]] = {}

    async def __call__(self, kind: str, data: dict[str, Any]) -> None:
        self.events.append(kind)
        self.data[kind] = data
