"""Transactions without a block: a task begins its own with its first write, and ends it by commit or rollback.

So one connection object serves any number of tasks, and no task's commit or rollback touches the changes of another.
What a task has not committed when it ends is taken back, with a warning in the log. The tasks that it starts are not
in its transaction: commit before you await what they write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

from ..project import Project
from . import lanes
from .lanes import Lane, lane_of, lane_of_task, of_tasks

P = ParamSpec("P")
R = TypeVar("R")
Task: TypeAlias = "asyncio.Task[Any] | None"

_log = logging.getLogger("peewee_conv")
# Two statements of one task may run side by side, in gather() for example: the first of them begins for both.
_beginning: WeakKeyDictionary[asyncio.Task[Any], asyncio.Lock] = WeakKeyDictionary()


class _RolledBack(Exception):
    """Ends a transaction that is to be taken back; never leaves this module."""


def current_task() -> Task:
    """Return the task that runs, or ``None`` outside of any."""
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        return None


async def read(project: Project, task: Task, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run work that waits for no writer, and sees what *task* has not committed yet."""
    lane = lane_of_task(project, task)
    if lane is None:
        return await lanes.read(project, work, *args, **kwargs)
    return await lane.run(work, *args, **kwargs)


async def write(project: Project, task: Task, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run work in the transaction of *task*, which is begun if need be.

    :raises DatabaseBusy: another writer kept the lock for longer than ``busy_timeout_ms``.
    """
    lane = await begin(project, task)
    return await lane.run(work, *args, **kwargs)


async def begin(project: Project, task: Task) -> Lane:
    """Return the transaction that *task* is in, a new one if there is none."""
    lane = lane_of_task(project, task) or lane_of(project)
    if lane is not None:
        return lane
    owner = cast("asyncio.Task[Any]", task or asyncio.current_task())  # what awaits here is some task
    async with _beginning.setdefault(owner, asyncio.Lock()):
        lane = lane_of_task(project, owner)
        if lane is None:
            lane = of_tasks.setdefault(owner, {})[project] = await lanes.begin(project)
            owner.add_done_callback(partial(_abandon, project, lane))
        return lane


def is_open(project: Project, task: Task) -> bool:
    """Say whether *task* has a transaction of its own."""
    return lane_of_task(project, task) is not None


async def commit(project: Project, task: Task) -> None:
    """Commit what *task* has written; nothing happens without a transaction of its own."""
    await _end(lane_of_task(project, task), task, None)


async def rollback(project: Project, task: Task) -> None:
    """Take back what *task* has written since its last commit."""
    await _end(lane_of_task(project, task), task, _RolledBack())


async def rollback_all(project: Project) -> None:
    """Take back what any task of this event loop has not committed."""
    for reference in of_tasks.keyrefs():
        task = reference()
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            await rollback(project, task)


async def _end(lane: Lane | None, task: Task, error: BaseException | None) -> None:
    if lane is None or task is None:
        return
    async with lane.turn:  # after the calls that came before
        if lane.is_open:
            of_tasks[task].pop(lane.project, None)
            await lane.end(error)


def _abandon(project: Project, lane: Lane, task: asyncio.Task[Any]) -> None:
    if lane.is_open:
        of_tasks.get(task, {}).pop(project, None)
        _log.warning("a task ended without a commit, and what it wrote was taken back: %s", project.path)
        lane.abandon()
