"""Answering a message: the limit, the context, the model, what is stored, and what the browser hears of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from ..errors import InvalidArgument
from ..window import estimate_tokens
from . import chatdf_datasets, chatdf_messages, chatdf_usage
from .chatdf_connection import Connection, Model
from .chatdf_errors import ConflictError, RateLimitError, translated

#: Sends an event to the user's browser: ``await ws_send(kind, data)``.
Send: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[Any]]

MAX_MESSAGES = 50
MAX_TOKENS = 800_000

_log = logging.getLogger("peewee_conv")
_active: dict[tuple[Path, str], asyncio.Event] = {}  # what stops the answer, by project and conversation


@dataclass
class StreamResult:
    """What a model returns; any object with these attributes serves as well.

    :ivar sql_query: the query that the answer rests on, stored with it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    assistant_message: str = ""
    sql_query: str | None = None


async def process_message(
    db: Connection,
    conversation_id: str,
    user_id: str,
    content: str,
    ws_send: Send,
    pool: object = None,
) -> dict[str, Any]:
    """Store a user's message, have the connection's model answer it, store the answer and what it used.

    The model sees the newest 50 messages, 800,000 tokens at most. It is awaited as ``model(messages, datasets,
    ws_send, cancel_event=..., pool=pool, db=db, conversation_id=...)``, sends its tokens by *ws_send* itself, and
    returns a :class:`StreamResult`. Answer and usage are stored together; if the model fails the question stays.

    :param ws_send: gets ``rate_limit_warning``, ``rate_limit_exceeded``, ``query_status``, ``chat_complete`` and
        ``chat_error``, each with its data.
    :returns: the answer: ``id``, ``conversation_id``, ``role``, ``content``, ``sql_query``, ``token_count`` and
        ``created_at``.
    :raises ConflictError: this process answers another message of the conversation.
    :raises RateLimitError: the user's budget is spent; nothing is stored.
    :raises NotFoundError: there is no such user, or the conversation is not theirs.
    """
    model = _model_of(db)
    with _answering(db, conversation_id) as stop:
        try:
            await db.commit()  # what the caller has pending: nobody waits for a model with the file locked
            await _check_budget(db, user_id, ws_send)
            messages = await _ask(db, conversation_id, user_id, content)
            datasets = await chatdf_datasets.get_datasets(db, conversation_id)
            await _send(ws_send, "query_status", phase="generating")
            result = await model(
                messages, datasets, ws_send, cancel_event=stop, pool=pool, db=db, conversation_id=conversation_id
            )
            answer = await _store(db, conversation_id, user_id, result)
            await _tell(db, user_id, ws_send, answer)
        except RateLimitError:
            raise
        except Exception as error:
            await _tell_error(ws_send, error)
            raise
    return answer


def stop_generation(conversation_id: str) -> None:
    """Ask the model to stop answering in a conversation, if it does: sets its ``cancel_event``."""
    for (_, active), stop in _active.items():
        if active == conversation_id:
            stop.set()


def _model_of(db: Connection) -> Model:
    if not callable(db.model):
        raise InvalidArgument("model", db.model, "a coroutine function that answers: set it as connection.model")
    return db.model


@contextmanager
def _answering(db: Connection, conversation_id: str) -> Iterator[asyncio.Event]:
    key = db.project.path, conversation_id
    if key in _active:
        raise ConflictError("Generation already in progress for this conversation")
    stop = _active[key] = asyncio.Event()
    try:
        yield stop
    finally:
        del _active[key]


async def _check_budget(db: Connection, user_id: str, ws_send: Send) -> None:
    status = await _warn(db, user_id, ws_send)
    if not status.allowed:
        resets = status.resets_in_seconds or 0
        await _send(ws_send, "rate_limit_exceeded", resets_in_seconds=resets)
        raise RateLimitError("Daily token limit exceeded", resets_in_seconds=resets)


async def _warn(db: Connection, user_id: str, ws_send: Send) -> chatdf_usage.RateLimitStatus:
    status = await chatdf_usage.check_limit(db, user_id)
    if status.warning:
        await _send(
            ws_send,
            "rate_limit_warning",
            usage_percent=status.usage_percent,
            remaining_tokens=status.remaining_tokens,
        )
    return status


async def _ask(db: Connection, conversation_id: str, user_id: str, content: str) -> list[dict[str, Any]]:
    """Store the question and return what the model sees."""
    conversations = db.project.conversations.for_user(user_id)
    with translated():
        await conversations.add_message(conversation_id, "user", content, external_id=str(uuid4()))
        # Not the stored counts: that of an answer has the tokens of all that the model read for it.
        window = await conversations.context(
            conversation_id,
            max_messages=MAX_MESSAGES,
            max_tokens=MAX_TOKENS,
            pin="system",
            count_tokens=estimate_tokens,
        )
    return [chatdf_messages.to_dict(message) for message in window]


async def _store(db: Connection, conversation_id: str, user_id: str, result: Any) -> dict[str, Any]:
    """Store the answer and its usage, or neither."""
    sql_query = getattr(result, "sql_query", None)
    with translated():
        async with db.project.atomic():
            answer = await db.project.conversations.for_user(user_id).add_message(
                conversation_id,
                "assistant",
                result.assistant_message,
                token_count=result.input_tokens + result.output_tokens,
                metadata=None if sql_query is None else {"sql_query": sql_query},
                external_id=str(uuid4()),
            )
            await db.usage.record(
                user_id,
                result.input_tokens,
                result.output_tokens,
                chatdf_usage.DEFAULT_MODEL,
                conversation_id=conversation_id,
            )
    await db.commit()  # of what the model wrote in this task
    return chatdf_messages.to_dict(answer)


async def _tell(db: Connection, user_id: str, ws_send: Send, answer: dict[str, Any]) -> None:
    await _send(
        ws_send,
        "chat_complete",
        message_id=answer["id"],
        sql_query=answer["sql_query"],
        token_count=answer["token_count"],
    )
    await _warn(db, user_id, ws_send)


async def _tell_error(ws_send: Send, error: Exception) -> None:
    try:
        await _send(ws_send, "chat_error", error=str(error), details=type(error).__name__)
    except Exception as failure:  # noqa: BLE001 - the browser has gone: the caller hears of the first error all the same
        _log.warning("a failed answer could not be reported: %s", type(failure).__name__)


async def _send(ws_send: Send, kind: str, **data: Any) -> None:
    await ws_send(kind, {"type": kind, **data})
