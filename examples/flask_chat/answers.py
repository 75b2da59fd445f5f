"""Answers of the model, written to the conversation while they are sent: what is sent survives a killed server."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any, TypeAlias

from flask import current_app

from peewee_conv import Project
from peewee_conv.account_records import User
from peewee_conv.errors import NotFound, RateLimited
from peewee_conv.records import Message
from peewee_conv.services.usage import Usage

from . import models

Event: TypeAlias = tuple[str, dict[str, Any]]

_CONTEXT_MESSAGES, _CONTEXT_TOKENS = 20, 4_000
_SHOWN = ("sequence", "role", "content", "status", "created_at")


def shown(message: Message) -> dict[str, Any]:
    """Return what a client is told of a message. Its integer id stays here: JavaScript would round it."""
    return {name: value for name, value in message.to_dict().items() if name in _SHOWN}


def usage_of(project: Project) -> Usage:
    """Return the budget of the project's users."""
    return project.usage.with_limit(limit_tokens=current_app.config["CHAT_LIMIT_TOKENS"])


def check_budget(project: Project, user: User) -> None:
    """Refuse a user who has no token left.

    :raises RateLimited: so it is.
    """
    status = usage_of(project).status(user.id)
    if not status.allowed:
        raise RateLimited(status.limit_tokens, status.usage_tokens, status.resets_in_seconds or 0.0)


def read(project: Project, user: User, talk_id: str, **page: int) -> list[Message]:
    """Return messages of a conversation; answers whose server died are marked on the way."""
    talks = project.conversations.for_user(user.id)
    messages = talks.messages(talk_id, **page)
    if any(message.status == "streaming" for message in messages):
        talks.interrupt_stale(current_app.config["CHAT_STALE_SECONDS"])
        messages = talks.messages(talk_id, **page)
    return messages


class Answer:
    """One answer: refused at once where it must be, else written by whoever takes its events.

    :param project: the project itself, since the events are taken when the request is over.
    :raises RateLimited: the context is more than the user may still use.
    :raises ConversationNotFound: there is none of that id, or it is another user's.
    """

    def __init__(self, project: Project, user: User, talk_id: str) -> None:
        self._talks = project.conversations.for_user(user.id)
        self._usage, self._user, self._talk_id = usage_of(project), user, talk_id
        context = self._talks.context(talk_id, max_messages=_CONTEXT_MESSAGES, max_tokens=_CONTEXT_TOKENS)
        tokens = sum(message.token_count or 0 for message in context)
        self._usage.spend(user.id, tokens, 0, models.NAME, conversation_id=talk_id)
        model: models.Model = current_app.config["CHAT_MODEL"]
        self._parts = model(context)
        self.message = self._talks.begin_message(talk_id)

    def events(self) -> Generator[Event]:
        """Yield what happens: ``start``, a ``text`` for each part, then ``done`` or ``failed``.

        Each part is stored before it is yielded. If the reader leaves, or the process ends, the parts stay.
        """
        is_whole = False
        try:
            yield "start", shown(self.message)
            for text in self._parts:
                self.message = self._talks.extend_message(self._talk_id, self.message.sequence, text)
                yield "text", {"text": text}
            is_whole = True
        except models.ModelFailed:
            pass
        finally:
            with suppress(NotFound):  # the conversation was deleted meanwhile
                self._end(is_whole)
        yield ("done" if is_whole else "failed"), shown(self.message)

    def _end(self, is_whole: bool) -> None:
        end = self._talks.finish_message if is_whole else self._talks.interrupt_message
        self.message = end(self._talk_id, self.message.sequence)
        tokens = self.message.token_count or 0
        self._usage.record(self._user.id, 0, tokens, models.NAME, conversation_id=self._talk_id)
