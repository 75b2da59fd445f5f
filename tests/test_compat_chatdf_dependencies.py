"""The dependencies of ChatDF's routes, called by hand: no web framework is needed until one has to answer."""

from __future__ import annotations

import asyncio
import inspect
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from chatdf_tools import Chat, sign_up, talk_of, user_id
from chatdf_tools import chat as chat

from peewee_conv.compat import chatdf
from peewee_conv.compat.chatdf import Connection, DatabasePool
from peewee_conv.errors import MissingExtra


@pytest.fixture
def no_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fastapi", "starlette", "starlette.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)


def request(token: str | None = None, **state: Any) -> Any:
    cookies = {} if token is None else {"session_token": token}
    return SimpleNamespace(cookies=cookies, app=SimpleNamespace(state=SimpleNamespace(**state)))


def test_the_connection_is_that_of_the_application(chat: Chat) -> None:
    async def body(db: Connection) -> bool:
        return await chatdf.get_db(request(db=db)) is db

    assert chat(body)


def test_an_application_with_a_pool_gives_its_writer(chat: Chat) -> None:
    async def main() -> bool:
        pool = DatabasePool(str(chat.path), pool_size=1)
        await pool.initialize()
        found = await chatdf.get_db(request(db_pool=pool)) is pool.get_write_connection()
        await pool.close()
        return found

    assert asyncio.run(main())


def test_the_user_is_that_of_the_cookie(chat: Chat) -> None:
    async def body(db: Connection) -> tuple[dict[str, Any], Any]:
        entry = await sign_up(db)
        return await chatdf.get_current_user(request(entry["session_token"]), db), entry["user_id"]

    user, id = chat(body)
    assert (user["id"], user["name"]) == (id, "Ada")


def test_the_conversation_of_its_owner_is_given(chat: Chat) -> None:
    async def body(db: Connection) -> dict[str, Any]:
        user = await user_id(db)
        return await chatdf.get_conversation(await talk_of(db, user), {"id": user}, db)

    moment = "2026-03-01T12:00:00"
    found = chat(body)
    assert found == {**found, "id": "c-1", "title": "", "created_at": moment, "updated_at": moment}
    assert list(found) == ["id", "user_id", "title", "created_at", "updated_at"]


@pytest.mark.usefixtures("no_framework")
@pytest.mark.parametrize("token", [None, "", "unknown"])
def test_without_a_framework_a_refusal_says_what_to_install(chat: Chat, token: str | None) -> None:
    with pytest.raises(MissingExtra, match="answering with an HTTP status needs FastAPI: pip install fastapi"):
        chat(lambda db: chatdf.get_current_user(request(token), db))


@pytest.mark.usefixtures("no_framework")
def test_the_signature_without_a_framework_is_that_of_the_function() -> None:
    assert list(inspect.signature(chatdf.get_current_user).parameters) == ["request", "db"]
    assert chatdf.get_current_user.__name__ == "get_current_user"
    assert "401" in (chatdf.get_current_user.__doc__ or "")


def test_a_dependency_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        chatdf.get_db.dependency  # noqa: B018 - what it is refused is the test
