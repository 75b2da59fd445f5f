"""The connection object that all requests of a ChatDF application share.

Tasks do not share a transaction: each has its own from its first write to its ``commit()`` or ``rollback()``, however
many others use the same object meanwhile.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ..aio import AsyncProject
from ..aio import task_transactions as transactions
from ..aio.task_transactions import Task, current_task
from ..aio.threads import settled, write_in_thread
from ..errors import InvalidArgument, ProjectDisposed
from . import chatdf_statements, urls
from .chatdf_cursor import Cursor, Pending
from .chatdf_errors import named
from .chatdf_statements import NOTHING, Fetched, RowFactory
from .chatdf_times import Parameters

#: Answers a message: ``await model(messages, datasets, ws_send, cancel_event=, pool=, db=, conversation_id=)``.
Model: TypeAlias = Callable[..., Awaitable[Any]]
Row = sqlite3.Row

_DAY = 86_400
_ABSOLUTE = 30 * _DAY  # of a session, unless a shorter one may be idle for longer
_RENEWAL = 3_600

_ENDS = {"commit": transactions.commit, "rollback": transactions.rollback}

_in_use: Counter[str] = Counter()  # open connections by the path of their project
_lock = threading.Lock()


class Settings(NamedTuple):
    """What an application may decide; any object with some of these attributes serves as well.

    :param token_limit: tokens that a user may use within 24 hours.
    :param session_duration_days: a session that is not used for so long ends.
    :param max_datasets: datasets of one conversation.
    """

    token_limit: int = 5_000_000
    session_duration_days: int = 7
    max_datasets: int = 5

    @classmethod
    def of(cls, settings: object) -> Settings:
        """Take what there is from *settings*, and the defaults for the rest."""
        values: dict[str, Any] = {name: getattr(settings, name, cls._field_defaults[name]) for name in cls._fields}
        return cls(**values)


class Connection:
    """A connection to the project that stands for a ChatDF database; any number of tasks may use it.

    :param project: the project.
    :param settings: limits, as for :func:`~peewee_conv.compat.chatdf.connect`.
    :param model: what answers messages.
    :ivar row_factory: makes a row of a cursor and a tuple of values, :class:`sqlite3.Row` unless changed; ``None``
        leaves the tuples.
    """

    row_factory: RowFactory = Row

    def __init__(self, project: AsyncProject, settings: object = None, model: Model | None = None) -> None:
        self.project, self.settings, self.model = project, Settings.of(settings), model
        idle = self.settings.session_duration_days * _DAY
        self.accounts = project.accounts.with_session_limits(
            idle_seconds=idle, absolute_seconds=max(_ABSOLUTE, idle), renew_seconds=min(_RENEWAL, idle)
        )
        self.usage = project.usage.with_limit(self.settings.token_limit)
        self.datasets = project.datasets.with_limit(self.settings.max_datasets)
        self._is_closed = False
        with _lock:
            _in_use[str(project.path)] += 1

    # --- statements: the task that calls is the one whose transaction counts, whichever awaits the result ---

    def execute(self, sql: str, parameters: Parameters | None = None) -> Pending[Cursor]:
        """Run one SQL statement on the project's tables; await it or enter it for its cursor.

        The first that writes begins the task's transaction. Times are naive here, whatever the tables have.

        :raises InvalidArgument: a statement that writes messages or is about the file itself, or a bad parameter.
        :raises IntegrityError: the statement breaks a rule of a table.
        :raises DatabaseFailure: SQLite refused the statement; ``__cause__`` has its report.
        :raises DatabaseBusy: another writer kept the lock for longer than ``busy_timeout_ms``.
        """
        return Pending(self._execute(current_task(), sql, () if parameters is None else parameters))

    def executemany(self, sql: str, parameters: Iterable[Parameters]) -> Pending[Cursor]:
        """Run one SQL statement that writes, with each of several sets of parameters."""
        return Pending(self._execute_many(current_task(), sql, parameters))

    async def fetchone(self, sql: str, parameters: Parameters | None = None) -> Any:
        """Return the first row of a query, or ``None``."""
        return await (await self.execute(sql, parameters)).fetchone()

    async def fetchall(self, sql: str, parameters: Parameters | None = None) -> list[Any]:
        """Return all rows of a query."""
        return await (await self.execute(sql, parameters)).fetchall()

    def commit(self) -> Awaitable[None]:
        """Commit what this task has written, and nothing else.

        :raises ProjectDisposed: the connection was closed, and that took it back.
        """
        return self._commit(current_task())

    def rollback(self) -> Awaitable[None]:
        """Take back what this task has written since its last commit, and nothing else."""
        return transactions.rollback(self.project.sync, current_task())

    async def close(self) -> None:
        """Take back what this task has not committed. The last connection of a project closes its files too."""
        if self._is_closed:
            return
        self._is_closed = True
        is_last = _leave(str(self.project.path))
        try:
            await (transactions.rollback_all(self.project.sync) if is_last else self.rollback())
        finally:  # also where that was cancelled
            if is_last:
                await settled(write_in_thread(urls.close, self.project.sync), must_happen=True)

    # --- how they are run ---

    async def _commit(self, task: Task) -> None:
        self._check_open()
        await transactions.commit(self.project.sync, task)

    async def _execute(self, task: Task, sql: str, parameters: Parameters) -> Cursor:
        self._check_open()
        kind = chatdf_statements.kind_of(sql)
        if kind in _ENDS:
            await _ENDS[kind](self.project.sync, task)
            return Cursor(NOTHING)
        if kind == "begin":
            await transactions.begin(self.project.sync, task)
            return Cursor(NOTHING)
        if kind == "setting":
            kind, sql = "read", chatdf_statements.asking(sql)
        work = partial(chatdf_statements.run, self.project.sync, sql, parameters, self.row_factory)
        if kind == "read":
            return Cursor(await transactions.read(self.project.sync, task, work))
        with named():
            return Cursor(await (self._alone(task, work) if kind == "alone" else self._write(task, work)))

    async def _execute_many(self, task: Task, sql: str, parameters: Iterable[Parameters]) -> Cursor:
        self._check_open()
        chatdf_statements.kind_of(sql)
        if not isinstance(parameters, Iterable):
            raise InvalidArgument("parameters", parameters, "an iterable of sets of parameters")
        work = partial(chatdf_statements.run_many, self.project.sync, sql, list(parameters))
        with named():
            return Cursor(await self._write(task, work))

    async def _write(self, task: Task, work: Callable[[], Fetched]) -> Fetched:
        return await transactions.write(self.project.sync, task, work)

    async def _alone(self, task: Task, work: Callable[[], Fetched]) -> Fetched:
        """Run what begins no transaction, CREATE TABLE for example: committed at once outside of one."""
        if transactions.is_open(self.project.sync, task):
            return await self._write(task, work)
        try:
            fetched = await self._write(task, work)
        except BaseException:
            await transactions.rollback(self.project.sync, task)
            raise
        await transactions.commit(self.project.sync, task)
        return fetched

    def _check_open(self) -> None:
        if self._is_closed:
            raise ProjectDisposed(self.project.path, "has no open connection here: this one was closed")

    def __repr__(self) -> str:
        return f"Connection({str(self.project.path)!r})"


def _leave(path: str) -> bool:
    """Count a connection less; say whether it was the last one."""
    with _lock:
        _in_use[path] -= 1
        if _in_use[path] > 0:
            return False
        del _in_use[path]
        return True
