"""Transactions for asyncio: each has a thread of its own, because a transaction of SQLite belongs to one.

A task inside ``async with project.atomic():``, and every task that it starts there, makes its calls in that thread,
one after another. Calls of other tasks that write wait for the end of the block in the event loop, not in a thread:
so no number of waiting writers keeps readers out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from ..database.schema import Schema
from ..database.transactions import Transaction
from ..errors import DatabaseBusy, ProjectNotBound
from ..project import Project
from ..schemas import assistant
from .threads import call_in_thread, settled

P = ParamSpec("P")
R = TypeVar("R")

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Project, asyncio.Lock]] = WeakKeyDictionary()


class Lane:
    """One level of an open transaction: the outermost, or a savepoint in it.

    :param thread: where everything of the transaction runs.
    :param parent: the lane that was current around it, of this project or of another one.
    """

    def __init__(self, project: Project, thread: ThreadPoolExecutor, parent: Lane | None) -> None:
        self.project, self.thread, self.parent = project, thread, parent
        self.loop = asyncio.get_running_loop()
        self.turn = asyncio.Lock()  # calls of several tasks, and savepoints, one after another
        self.is_open = True

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run work in the transaction's thread, after what other tasks do there."""
        async with self.turn:
            if not self.is_open:
                raise ProjectNotBound("this transaction was ended before the call's turn came")
            return await settled(self.thread.submit(work, *args, **kwargs))


_current: ContextVar[Lane | None] = ContextVar("peewee_conv_lane", default=None)


def lane_of(project: Project) -> Lane | None:
    """Return the innermost open transaction of *project* that this task is in."""
    lane = _current.get()
    while lane is not None and not (lane.is_open and lane.project == project and _is_of_this_loop(lane)):
        lane = lane.parent
    return lane


def _is_of_this_loop(lane: Lane) -> bool:
    return lane.loop is asyncio.get_running_loop()


async def read(project: Project, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run work that waits for no writer."""
    lane = lane_of(project)
    if lane is not None:
        return await lane.run(work, *args, **kwargs)
    return await settled(call_in_thread(work, *args, **kwargs))


async def write(project: Project, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run work that may write: after the transactions that tasks of this event loop have open."""
    lane = lane_of(project)
    if lane is not None:
        return await lane.run(work, *args, **kwargs)
    turn = _turns_of_this_loop().get(project)
    if turn is not None and turn.locked():
        await _acquire(turn, project)
        turn.release()
    return await settled(call_in_thread(work, *args, **kwargs))


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
    if outer is not None:
        async with outer.turn, _level(project, schema, outer.thread) as opened:
            yield opened
        return
    turns = _turns_of_this_loop()
    turn = turns.get(project) or turns.setdefault(project, asyncio.Lock())
    await _acquire(turn, project)
    thread = ThreadPoolExecutor(1, thread_name_prefix="peewee_conv-transaction")
    try:
        async with _level(project, schema, thread) as opened:
            yield opened
    finally:
        thread.shutdown(wait=False)
        turn.release()


@asynccontextmanager
async def _level(project: Project, schema: Schema, thread: ThreadPoolExecutor) -> AsyncIterator[AsyncTransaction]:
    block = project.atomic(schema)
    opened = await _entered(block, thread)
    lane = Lane(project, thread, _current.get())
    reset = _current.set(lane)
    try:
        yield AsyncTransaction(opened, lane)
    except BaseException as error:
        await _left(block, lane, error)
        raise
    else:
        await _left(block, lane, None)
    finally:
        with suppress(ValueError):  # left in another context than it was entered: there it never was current
            _current.reset(reset)


async def _entered(block: AbstractContextManager[Transaction], thread: ThreadPoolExecutor) -> Transaction:
    entering = thread.submit(block.__enter__)
    try:
        return await settled(entering)
    except asyncio.CancelledError as error:
        if not entering.cancelled() and entering.exception() is None:
            await settled(thread.submit(_leave, block, error))
        raise


async def _left(block: AbstractContextManager[Transaction], lane: Lane, error: BaseException | None) -> None:
    """End the transaction behind the calls that are under way in it."""
    lane.is_open = False
    await settled(lane.thread.submit(_leave, block, error))


def _leave(block: AbstractContextManager[Transaction], error: BaseException | None) -> None:
    kind: type[BaseException] | None = None if error is None else type(error)
    traceback: TracebackType | None = None if error is None else error.__traceback__
    try:
        block.__exit__(kind, error, traceback)
    except BaseException as raised:
        if raised is not error:
            raise


class AsyncTransaction:
    """An open transaction or savepoint, as ``async with project.atomic()`` gives it."""

    def __init__(self, transaction: Transaction, lane: Lane) -> None:
        self._transaction, self._lane = transaction, lane

    async def commit(self) -> None:
        """Commit what was done so far; the block goes on in a new transaction."""
        await self._lane.run(self._transaction.commit)

    async def rollback(self) -> None:
        """Take back what was done so far; the block goes on in a new transaction."""
        await self._lane.run(self._transaction.rollback)
