"""Transactions of asyncio: who waits for whom, and what a transaction that was left early says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.aio import AsyncProject, lanes
from peewee_conv.errors import DatabaseBusy, ProjectNotBound


@pytest.fixture
def aurora(project: Project) -> AsyncProject:
    return AsyncProject(project)


def titles(project: Project) -> list[str]:
    return sorted(talk.title or "" for talk in project.conversations.list())


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


# --- who waits for whom -------------------------------------------------------------------------------------------


@contextmanager
def other_writer(project: Project) -> Iterator[None]:
    """Hold the lock of the file outside of asyncio, as another process or a thread would."""
    with project.atomic():
        yield


def test_a_read_goes_on_while_any_number_of_writers_waits(project: Project, aurora: AsyncProject) -> None:
    project.conversations.create()

    async def main() -> int:
        with other_writer(project):
            writers = [asyncio.create_task(aurora.conversations.create()) for _ in range(30)]
            await settle()
            async with asyncio.timeout(5):
                found = len(await aurora.conversations.list())
        await asyncio.gather(*writers)
        return found

    assert asyncio.run(main()) == 1


def test_a_write_waits_for_the_transaction_of_another_task(project: Project, aurora: AsyncProject) -> None:
    async def main() -> None:
        async with aurora.atomic():
            writer = asyncio.create_task(other_write())
            await settle()
            await aurora.conversations.create(title="first")
            assert not writer.done()
        await writer

    async def other_write() -> None:
        lanes._current.set(None)  # as a task that was not started inside the block
        await aurora.conversations.create(title="second")

    asyncio.run(main())

    assert titles(project) == ["first", "second"]


# --- transactions that were left early ----------------------------------------------------------------------------


async def left_behind(aurora: AsyncProject, work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Start *work* as a task inside a transaction, and leave that before the task goes on."""
    go_on = asyncio.Event()
    async with aurora.atomic():
        task = asyncio.create_task(work(go_on))
        await asyncio.wait([task], timeout=0.05)
    go_on.set()
    await task


def test_a_savepoint_whose_transaction_was_left_before_it_says_so(aurora: AsyncProject) -> None:
    async def work(go_on: asyncio.Event) -> None:
        async with aurora.atomic():
            await go_on.wait()

    with pytest.raises(ProjectNotBound, match="ended before its block was left"):
        asyncio.run(left_behind(aurora, work))


def test_a_call_in_a_savepoint_whose_transaction_was_left_says_so(aurora: AsyncProject) -> None:
    async def work(go_on: asyncio.Event) -> None:
        async with aurora.atomic():
            await go_on.wait()
            await aurora.conversations.create()

    with pytest.raises(ProjectNotBound, match="ended before its block was left"):
        asyncio.run(left_behind(aurora, work))


def test_a_savepoint_that_waited_until_the_transaction_had_ended_is_refused(aurora: AsyncProject) -> None:
    async def savepoint() -> None:
        async with aurora.atomic():
            raise AssertionError("entered")

    async def main() -> None:
        async with aurora.atomic() as outer:
            await outer._lane.turn.acquire()
            waiting = asyncio.create_task(savepoint())
            await settle()
        outer._lane.turn.release()
        await waiting

    with pytest.raises(ProjectNotBound, match="before the savepoint's turn came"):
        asyncio.run(main())


# --- transactions that are left while a call is under way ---------------------------------------------------------


async def cancelled_while_it_is_left(aurora: AsyncProject) -> None:
    """Write in a transaction, or a savepoint, and cancel the task while leaving waits for a call of another one."""
    gate = threading.Event()

    async def work() -> None:
        async with aurora.atomic():
            await aurora.conversations.create(title="undone")
            held.append(asyncio.create_task(aurora.run(lambda project: gate.wait(5))))
            await settle()
            raise ZeroDivisionError

    held: list[asyncio.Task[bool]] = []
    task = asyncio.create_task(work())
    while not held:
        await asyncio.sleep(0.001)
    await settle()
    task.cancel()
    await settle()
    assert not task.done()
    gate.set()
    await asyncio.gather(task, *held, return_exceptions=True)


def test_a_savepoint_whose_task_is_cancelled_while_it_is_left_is_taken_back(
    project: Project, aurora: AsyncProject
) -> None:
    async def main() -> None:
        async with aurora.atomic():
            await aurora.conversations.create(title="kept")
            await cancelled_while_it_is_left(aurora)
            await aurora.conversations.create(title="kept too")

    asyncio.run(main())

    assert titles(project) == ["kept", "kept too"]


def test_a_transaction_whose_task_is_cancelled_while_it_is_left_is_taken_back(
    project: Project, aurora: AsyncProject
) -> None:
    async def main() -> None:
        await cancelled_while_it_is_left(aurora)
        await aurora.conversations.create(title="kept")

    asyncio.run(main())

    assert titles(project) == ["kept"]


# --- a transaction that no task is in -----------------------------------------------------------------------------


def test_calls_are_made_in_it_from_any_task_and_only_where_it_is_named(project: Project, aurora: AsyncProject) -> None:
    async def main() -> None:
        lane = await asyncio.create_task(lanes.begin(project))
        await asyncio.create_task(lane.run(project.conversations.create, title="inside"))
        assert list(await aurora.conversations.list()) == []
        await asyncio.create_task(lane.end())

    asyncio.run(main())

    assert titles(project) == ["inside"]


def test_two_of_one_task_are_two_transactions(make_project: Callable[..., Project]) -> None:
    project = make_project(busy_timeout_ms=20)

    async def main() -> None:
        first = await lanes.begin(project)
        with pytest.raises(DatabaseBusy, match="another task keeps a transaction open"):
            await lanes.begin(project)
        await first.end()
        await (await lanes.begin(project)).end()

    asyncio.run(main())


def test_one_that_cannot_begin_leaves_the_turn_to_the_next(make_project: Callable[..., Project]) -> None:
    project = make_project(busy_timeout_ms=20)

    async def main() -> None:
        with other_writer(project), pytest.raises(DatabaseBusy):
            await lanes.begin(project)
        await (await lanes.begin(project)).end()

    asyncio.run(main())


def test_one_that_was_abandoned_is_rolled_back(project: Project, aurora: AsyncProject) -> None:
    async def main() -> None:
        lane = await lanes.begin(project)
        await lane.run(project.conversations.create, title="undone")
        lane.abandon()
        lane.abandon()
        async with asyncio.timeout(5):
            await aurora.conversations.create(title="kept")

    asyncio.run(main())

    assert titles(project) == ["kept"]
