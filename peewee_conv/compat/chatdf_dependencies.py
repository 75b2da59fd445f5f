"""The dependencies of ChatDF's routes, for ``Depends``; FastAPI is imported when a route asks for them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Generic, ParamSpec, TypeVar

from ..errors import ConversationNotFound, InvalidArgument, MissingExtra
from .chatdf_accounts import validate_session
from .chatdf_connection import Connection
from .naive_times import iso

P = ParamSpec("P")
R = TypeVar("R")

_COOKIE = "session_token"


class Dependency(Generic[P, R]):
    """A coroutine function that FastAPI can ask for its dependencies; called by hand it is that function alone.

    :param function: what it does.
    :param depends: by the name of a parameter, the dependency that gives its value.
    """

    def __init__(self, function: Callable[P, Awaitable[R]], **depends: Dependency[..., Any]) -> None:
        self._function, self._depends = function, depends
        self.__name__, self.__doc__ = function.__name__.lstrip("_"), function.__doc__

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do it."""
        return await self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # Not a property: of the class itself inspect would take that for a signature.
        if name == "__signature__":
            return self._signature()
        raise AttributeError(name)

    def _signature(self) -> inspect.Signature:
        signature = inspect.signature(self._function)
        try:
            from fastapi import Depends, Request
        except ImportError:
            return signature
        found = []
        for name, parameter in signature.parameters.items():
            if name == "request":
                parameter = parameter.replace(annotation=Request)
            elif name in self._depends:
                parameter = parameter.replace(annotation=Any, default=Depends(self._depends[name]))
            else:
                parameter = parameter.replace(annotation=str)
            found.append(parameter)
        return inspect.Signature(found)


async def _get_db(request: Any) -> Connection:
    """Return the connection that the application keeps as ``app.state.db``, or the writer of ``app.state.db_pool``."""
    state = request.app.state
    found: Connection = state.db if hasattr(state, "db") else state.db_pool.get_write_connection()
    return found


async def _get_current_user(request: Any, db: Connection) -> dict[str, Any]:
    """Return the user of the cookie ``session_token``, or answer 401 "Not authenticated"."""
    user = await validate_session(db, request.cookies.get(_COOKIE))
    if user is None:
        raise _http_error(401, "Not authenticated")
    return user


async def _get_conversation(conversation_id: str, user: dict[str, Any], db: Connection) -> dict[str, Any]:
    """Return the conversation, or answer 404 "Conversation not found" or, if it is another user's, 403.

    It has ``id``, ``user_id``, ``title``, ``created_at`` and ``updated_at``.
    """
    try:
        found = await db.project.conversations.get(conversation_id)
    except (ConversationNotFound, InvalidArgument) as error:  # what cannot be an id names nothing
        raise _http_error(404, "Conversation not found") from error
    if found.user_id != user["id"]:
        raise _http_error(403, "Not authorized")
    return {
        "id": found.id,
        "user_id": found.user_id,
        "title": found.title or "",
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
    }


get_db = Dependency(_get_db)
get_current_user = Dependency(_get_current_user, db=get_db)
get_conversation = Dependency(_get_conversation, user=get_current_user, db=get_db)


def _http_error(status: int, detail: str) -> Exception:
    """Return the exception that FastAPI answers with; its own first, for which applications have handlers."""
    for framework in ("fastapi", "starlette.exceptions"):
        with suppress(ImportError):
            error: Exception = import_module(framework).HTTPException(status_code=status, detail=detail)
            return error
    raise MissingExtra("answering with an HTTP status", "FastAPI", None)
