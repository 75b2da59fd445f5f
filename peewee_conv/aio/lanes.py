"""Transactions for asyncio: each has a thread of its own, because a transaction of SQLite belongs to one.

A task inside ``async with project.atomic():``, and every task that it starts there, makes its calls in that thread,
one after another. Calls of other tasks that write wait for the end of the block in the event loop, not in a thread.

:func:`begin` opens a transaction that no task is in: whoever has it makes calls in it and ends it, from any task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from ..database.schema import Schema
from ..database.transactions import Transaction
from ..errors import DatabaseBusy, ProjectNotBound
from ..project import Project
from ..schemas import assistant
from .threads import called, read_in_thread, settled, write_in_thread

P = ParamSpec("P")
R = TypeVar("R")

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Project, asyncio.Lock]] = WeakKeyDictionary()


class Lane:
    """One level of an open transaction: the outermost, or a savepoint in it.

    :param outer: the lane that it is a savepoint of; ``None`` for the outermost, which has a thread of its own.
    :param parent: the lane that was current around it, of this project or of another one.
    :param place: held until the lane has ended: the project's turn, or that of *outer*.
    """

    def __init__(
        self, project: Project, schema: Schema, outer: Lane | None, parent: Lane | None, place: asyncio.Lock
    ) -> None:
        self.project, self.parent = project, parent
        self.loop = asyncio.get_running_loop()
        self.turn = asyncio.Lock()  # calls of several tasks, and savepoints, one after another
        self.is_open = False
        self.transaction: Transaction
        self._place, self._is_outermost = place, outer is None
        self._block: AbstractContextManager[Transaction] = project.atomic(schema)
        self._thread: ThreadPoolExecutor = outer._thread if outer else ThreadPoolExecutor(1, "peewee_conv-transaction")

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run work in the transaction's thread, after what other tasks do there."""
        async with self.turn:
            if not self.is_open:
                raise ProjectNotBound("this transaction was ended before the call's turn came")
            return await settled(self._submit(work, *args, **kwargs))

    async def enter(self) -> None:
        """Begin, and let the place go if that fails."""
        try:
            await self._enter(self._submit(self._block.__enter__))
        finally:
            if not self.is_open:
                self._let_go()

    async def _enter(self, entering: Future[Transaction]) -> None:
        try:
            self.transaction = await settled(entering)
            self.is_open = True
        except asyncio.CancelledError as error:
            if not entering.cancelled() and entering.exception() is None:
                await self._leave(error)
            raise

    async def end(self, error: BaseException | None = None) -> None:
        """End behind the calls that are under way: commit, or roll back if there was an error."""
        self.is_open = False
        try:
            await self._leave(error)
        except ProjectNotBound:
            if error is None:
                raise
        finally:
            self._let_go()

    async def _leave(self, error: BaseException | None) -> None:
        # Also where the task is cancelled while other calls are before it: what is not left stays, or holds the lock.
        await settled(self._submit(_leave, self._block, error), must_happen=True)

    def abandon(self) -> None:
        """Roll back without waiting for it, from any thread: for who finds that nobody will end it."""
        if not self.is_open:
            return
        self.is_open = False
        with suppress(RuntimeError):  # the process ends, or the event loop is closed and nobody waits in it
            self._thread.submit(_leave, self._block, ProjectNotBound("this transaction was never ended"))
            self.loop.call_soon_threadsafe(self._let_go)

    def _submit(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        try:
            return self._thread.submit(called, work, *args, **kwargs)
        except RuntimeError:  # the outermost block was left meanwhile, and its thread has gone
            raise ProjectNotBound("this transaction was ended before its block was left") from None

    def _let_go(self) -> None:
        if self._is_outermost:
            self._thread.shutdown(wait=False)
        self._place.release()


def _leave(block: AbstractContextManager[Transaction], error: BaseException | None) -> None:
    kind: type[BaseException] | None = None if error is None else type(error)
    traceback: TracebackType | None = None if error is None else error.__traceback__
    try:
        block.__exit__(kind, error, traceback)
    except BaseException as raised:
        if raised is not error:
            raise


# --- which transaction a task is in -------------------------------------------------------------------------------

_current: ContextVar[Lane | None] = ContextVar("peewee_conv_lane", default=None)
#: What tasks have open without a block: theirs alone, not of the tasks that they start.
of_tasks: WeakKeyDictionary[asyncio.Task[Any], dict[Project, Lane]] = WeakKeyDictionary()


def lane_of(project: Project) -> Lane | None:
    """Return the innermost open transaction of *project* that this task is in."""
    lane = _current.get()
    while lane is not None and not (lane.is_open and lane.project == project and _is_of_this_loop(lane)):
        lane = lane.parent
    return lane or lane_of_task(project, asyncio.current_task())


def lane_of_task(project: Project, task: asyncio.Task[Any] | None) -> Lane | None:
    """Return the transaction of *project* that a task has open without a block."""
    if not of_tasks or task is None:
        return None
    lane = of_tasks.get(task, {}).get(project)
    return lane if lane is not None and lane.is_open else None


def _is_of_this_loop(lane: Lane) -> bool:
    return lane.loop is asyncio.get_running_loop()


async def read(project: Project, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run work that waits for no writer."""
    lane = lane_of(project)
    if lane is not None:
        return await lane.run(work, *args, **kwargs)
    return await settled(read_in_thread(work, *args, **kwargs))


async def write(project: Project, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run work that may write: after the transactions that tasks of this event loop have open."""
    lane = lane_of(project)
    if lane is not None:
        return await lane.run(work, *args, **kwargs)
    turn = _turns_of_this_loop().get(project)
    if turn is not None and turn.locked():
        await _acquire(turn, project)
        turn.release()
    return await settled(write_in_thread(work, *args, **kwargs))


# --- opening one --------------------------------------------------------------------------------------------------


async def begin(project: Project, schema: Schema = assistant) -> Lane:
    """Open a transaction that no task is in, when those that are open in this event loop have ended.

    Whoever gets it ends it.

    :raises DatabaseBusy: another task, thread or process kept the lock for longer than ``busy_timeout_ms``.
    """
    turns = _turns_of_this_loop()
    turn = turns.get(project) or turns.setdefault(project, asyncio.Lock())
    await _acquire(turn, project)
    lane = Lane(project, schema, None, _current.get(), turn)
    await lane.enter()
    return lane


async def _savepoint(outer: Lane, schema: Schema) -> Lane:
    await outer.turn.acquire()
    if not outer.is_open:
        outer.turn.release()
        raise ProjectNotBound("this transaction was ended before the savepoint's turn came")
    lane = Lane(outer.project, schema, outer, _current.get(), outer.turn)
    await lane.enter()
    return lane


def _turns_of_this_loop() -> WeakValueDictionary[Project, asyncio.Lock]:
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = WeakValueDictionary()
    return turns


async def _acquire(turn: asyncio.Lock, project: Project) -> None:
    try:
        async with asyncio.timeout(project.settings.busy_timeout_ms / 1000):
            await turn.acquire()
    except TimeoutError:
        raise DatabaseBusy(str(project.path), "another task keeps a transaction open") from None


@asynccontextmanager
async def transaction(project: Project, schema: Schema = assistant) -> AsyncIterator[AsyncTransaction]:
    """Open a transaction, or a savepoint where this task is in one of the same project already."""
    outer = lane_of(project)
    lane = await (begin(project, schema) if outer is None else _savepoint(outer, schema))
    reset = _current.set(lane)
    try:
        yield AsyncTransaction(lane)
    except BaseException as error:
        await lane.end(error)
        raise
    else:
        await lane.end()
    finally:
        with suppress(ValueError):  # left in another context than it was entered: there it never was current
            _current.reset(reset)


class AsyncTransaction:
    """An open transaction or savepoint, as ``async with project.atomic()`` gives it."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def commit(self) -> None:
        """Commit what was done so far; the block goes on in a new transaction."""
        await self._lane.run(self._lane.transaction.commit)

    async def rollback(self) -> None:
        """Take back what was done so far; the block goes on in a new transaction."""
        await self._lane.run(self._lane.transaction.rollback)
