"""The services once more, awaited: each method runs the one of the same name in a thread.

What takes arguments alone and returns another service (``for_user``, ``with_limit``) is not awaited.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from itertools import islice
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from ..project import Project
from ..records import Message
from ..services.accounts import Accounts
from ..services.assistants import Assistants
from ..services.conversations import Conversations
from ..services.datasets import Datasets
from ..services.features import Features
from ..services.schedules import Schedules
from ..services.usage import Usage
from .lanes import read, write

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
Method = Callable[Concatenate[Any, P], R]
Awaited = Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]


class Service(Generic[S]):
    """The base of the services here: one of a project's, called in threads."""

    def __init__(self, project: Project, service: S) -> None:
        self._project, self._service = project, service

    def _like(self, service: S) -> Self:
        return type(self)(self._project, service)


def _reads(method: Method[P, R]) -> Awaited[P, R]:
    """Return *method*, which waits for no writer, as a coroutine function."""

    @functools.wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await read(self._project, method, self._service, *args, **kwargs)

    return call


def _writes(method: Method[P, R]) -> Awaited[P, R]:
    """Return *method*, which may wait for other writers, as a coroutine function."""

    @functools.wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await write(self._project, method, self._service, *args, **kwargs)

    return call


class AsyncAssistants(Service[Assistants]):
    """:class:`~peewee_conv.services.assistants.Assistants`, awaited."""

    create = _writes(Assistants.create)
    get = _reads(Assistants.get)
    find = _reads(Assistants.find)
    list = _reads(Assistants.list)
    update = _writes(Assistants.update)
    delete = _writes(Assistants.delete)


class AsyncConversations(Service[Conversations]):
    """:class:`~peewee_conv.services.conversations.Conversations`, awaited."""

    create = _writes(Conversations.create)
    get = _reads(Conversations.get)
    find = _reads(Conversations.find)
    find_by_number = _reads(Conversations.find_by_number)
    list = _reads(Conversations.list)
    update = _writes(Conversations.update)
    delete = _writes(Conversations.delete)
    add_message = _writes(Conversations.add_message)
    add_messages = _writes(Conversations.add_messages)
    begin_message = _writes(Conversations.begin_message)
    extend_message = _writes(Conversations.extend_message)
    finish_message = _writes(Conversations.finish_message)
    interrupt_message = _writes(Conversations.interrupt_message)
    interrupt_stale = _writes(Conversations.interrupt_stale)
    messages = _reads(Conversations.messages)
    context = _reads(Conversations.context)
    prune = _writes(Conversations.prune)
    clear = _writes(Conversations.clear)
    search = _reads(Conversations.search)  # what it may write, it gives up after a quarter of a second

    def for_user(self, user_id: str) -> AsyncConversations:
        """Return the same service restricted to one user: the ids of others behave as if they were missing.

        :raises InvalidArgument: *user_id* is no id (``None`` is none), or this service is another user's already.
        """
        return self._like(self._service.for_user(user_id))

    async def iterate(self, conversation_id: str, *, batch: int = 500) -> AsyncIterator[Message]:
        """Yield all messages in their order, in batches: no thread, lock or connection is held between them.

        :param batch: messages that are fetched at a time, 1 to 10000.
        :raises ConversationNotFound: there is none of that id; raised by the first step.
        """
        messages = await read(self._project, self._service.iterate, conversation_id, batch=batch)
        while page := await read(self._project, _taken, messages, batch):
            for message in page:
                yield message


def _taken(messages: Any, count: int) -> list[Message]:
    return list(islice(messages, count))


class AsyncAccounts(Service[Accounts]):
    """:class:`~peewee_conv.services.accounts.Accounts`, awaited."""

    sign_in = _writes(Accounts.sign_in)
    create_session = _writes(Accounts.create_session)
    validate_session = _writes(Accounts.validate_session)  # once in a while it extends the session
    sign_out = _writes(Accounts.sign_out)
    sign_out_everywhere = _writes(Accounts.sign_out_everywhere)
    purge_expired = _writes(Accounts.purge_expired)
    get = _reads(Accounts.get)
    find = _reads(Accounts.find)
    list = _reads(Accounts.list)
    delete = _writes(Accounts.delete)
    create_key = _writes(Accounts.create_key)
    list_keys = _reads(Accounts.list_keys)
    is_key_valid = _reads(Accounts.is_key_valid)
    claim_key = _writes(Accounts.claim_key)

    def with_session_limits(
        self, *, idle_seconds: int = 604_800, absolute_seconds: int = 2_592_000, renew_seconds: int = 3_600
    ) -> AsyncAccounts:
        """Return the same service with other limits for sessions, as ``Accounts.with_session_limits`` says."""
        limited = self._service.with_session_limits(
            idle_seconds=idle_seconds, absolute_seconds=absolute_seconds, renew_seconds=renew_seconds
        )
        return self._like(limited)


class AsyncDatasets(Service[Datasets]):
    """:class:`~peewee_conv.services.datasets.Datasets`, awaited."""

    add = _writes(Datasets.add)
    get = _reads(Datasets.get)
    find = _reads(Datasets.find)
    list = _reads(Datasets.list)
    mark_ready = _writes(Datasets.mark_ready)
    mark_error = _writes(Datasets.mark_error)
    refresh = _writes(Datasets.refresh)
    remove = _writes(Datasets.remove)

    def with_limit(self, limit: int) -> AsyncDatasets:
        """Return the same service with room for *limit* datasets in each conversation, 1 to 1000."""
        return self._like(self._service.with_limit(limit))

    def for_user(self, user_id: str) -> AsyncDatasets:
        """Return the same service restricted to the conversations of one user: other ids behave as if missing.

        :raises InvalidArgument: *user_id* is no id; ``None`` is none.
        """
        return self._like(self._service.for_user(user_id))


class AsyncUsage(Service[Usage]):
    """:class:`~peewee_conv.services.usage.Usage`, awaited."""

    record = _writes(Usage.record)
    spend = _writes(Usage.spend)
    status = _reads(Usage.status)
    totals = _reads(Usage.totals)
    total = _reads(Usage.total)

    def with_limit(
        self, limit_tokens: int = 5_000_000, *, window_seconds: int = 86_400, warning_percent: int = 80
    ) -> AsyncUsage:
        """Return the same service with another budget, as ``Usage.with_limit`` says."""
        limited = self._service.with_limit(limit_tokens, window_seconds=window_seconds, warning_percent=warning_percent)
        return self._like(limited)


class AsyncFeatures(Service[Features]):
    """:class:`~peewee_conv.services.features.Features`, awaited."""

    create = _writes(Features.create)
    create_many = _writes(Features.create_many)
    get = _reads(Features.get)
    find = _reads(Features.find)
    list = _reads(Features.list)
    all = _reads(Features.all)
    update = _writes(Features.update)
    delete = _writes(Features.delete)
    claim = _writes(Features.claim)
    claim_next = _writes(Features.claim_next)
    mark_in_progress = _writes(Features.mark_in_progress)
    mark_passing = _writes(Features.mark_passing)
    mark_failing = _writes(Features.mark_failing)
    clear_in_progress = _writes(Features.clear_in_progress)
    skip = _writes(Features.skip)
    set_dependencies = _writes(Features.set_dependencies)
    add_dependency = _writes(Features.add_dependency)
    remove_dependency = _writes(Features.remove_dependency)
    request_human_input = _writes(Features.request_human_input)
    resolve_human_input = _writes(Features.resolve_human_input)
    ready = _reads(Features.ready)
    blocked = _reads(Features.blocked)
    graph = _reads(Features.graph)
    stats = _reads(Features.stats)


class AsyncSchedules(Service[Schedules]):
    """:class:`~peewee_conv.services.schedules.Schedules`, awaited."""

    create = _writes(Schedules.create)
    get = _reads(Schedules.get)
    find = _reads(Schedules.find)
    list = _reads(Schedules.list)
    update = _writes(Schedules.update)
    delete = _writes(Schedules.delete)
    active_windows = _reads(Schedules.active_windows)
    active_window = _reads(Schedules.active_window)
    add_override = _writes(Schedules.add_override)
    overrides = _reads(Schedules.overrides)
    delete_override = _writes(Schedules.delete_override)
    purge_overrides = _writes(Schedules.purge_overrides)
    record_crash = _writes(Schedules.record_crash)
    reset_crashes = _writes(Schedules.reset_crashes)
