"""Transactions of tasks: what is in them, what waits for them, and how they end."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.aio import AsyncProject
from peewee_conv.errors import DatabaseBusy, ProjectNotBound


def play(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(main())


@pytest.fixture
def aurora(make_project: Callable[..., Project]) -> AsyncProject:
    return AsyncProject(make_project(durability="normal", busy_timeout_ms=300))


@pytest.fixture
def talk(aurora: AsyncProject) -> str:
    return aurora.sync.conversations.create().id


def contents(aurora: AsyncProject, talk: str) -> list[str]:
    return [message.content for message in aurora.sync.conversations.iterate(talk)]


async def say(aurora: AsyncProject, talk: str, text: str) -> None:
    await aurora.conversations.add_message(talk, "user", text)


class Failure(Exception):
    pass


def test_a_transaction_is_kept_whole(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        async with aurora.atomic():
            await say(aurora, talk, "a")
            assert await aurora.run(lambda project: len(project.conversations.messages(talk))) == 1
            await say(aurora, talk, "b")

    play(main)

    assert contents(aurora, talk) == ["a", "b"]


def test_a_failure_leaves_the_block(aurora: AsyncProject) -> None:
    async def fail() -> None:
        async with aurora.atomic():
            raise Failure

    with pytest.raises(Failure):
        play(fail)


def test_a_transaction_that_fails_leaves_nothing(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        with suppress(Failure):
            async with aurora.atomic():
                await say(aurora, talk, "gone")
                raise Failure
        await say(aurora, talk, "kept")

    play(main)

    assert contents(aurora, talk) == ["kept"]


def test_a_cancelled_task_takes_its_transaction_back(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        inside = asyncio.Event()

        async def work() -> None:
            async with aurora.atomic():
                await say(aurora, talk, "gone")
                inside.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await say(aurora, talk, "kept")

    play(main)

    assert contents(aurora, talk) == ["kept"]


def test_a_task_cancelled_on_its_way_in_leaves_nothing_locked(aurora: AsyncProject, talk: str) -> None:
    async def enter() -> None:
        async with aurora.atomic():
            await say(aurora, talk, "gone")
            await asyncio.sleep(60)

    async def main() -> None:
        for rounds in range(30):
            task = asyncio.create_task(enter())
            for _ in range(rounds % 10):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await say(aurora, talk, "kept")

    play(main)

    assert contents(aurora, talk) == ["kept"]


def test_other_tasks_are_not_in_the_transaction_and_wait_with_their_writes(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        inside, other_read = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            with suppress(Failure):
                async with aurora.atomic():
                    await say(aurora, talk, "gone")
                    inside.set()
                    await other_read.wait()
                    raise Failure

        async def other() -> None:
            await inside.wait()
            assert await aurora.conversations.messages(talk) == []  # a reader waits for nobody
            writes = asyncio.create_task(say(aurora, talk, "other"))
            await asyncio.sleep(0.02)
            assert not writes.done()
            other_read.set()
            await writes

        await asyncio.gather(work(), other())

    play(main)

    assert contents(aurora, talk) == ["other"]


def test_tasks_started_inside_take_part_one_after_another(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        with suppress(Failure):
            async with aurora.atomic():
                await asyncio.gather(*(say(aurora, talk, str(n)) for n in range(10)))
                assert len(await aurora.conversations.messages(talk)) == 10
                raise Failure

    play(main)

    assert contents(aurora, talk) == []


def test_a_task_that_outlives_the_transaction_goes_on_without_it(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        left = asyncio.Event()

        async def later() -> None:
            await left.wait()
            await say(aurora, talk, "later")

        async with aurora.atomic():
            task = asyncio.create_task(later())
            await say(aurora, talk, "inside")
        left.set()
        await task

    play(main)

    assert contents(aurora, talk) == ["inside", "later"]


def test_a_call_that_comes_too_late_for_its_transaction_says_so(aurora: AsyncProject, talk: str) -> None:
    async def main() -> Any:
        async with aurora.atomic():
            calls = [asyncio.create_task(say(aurora, talk, str(n))) for n in range(50)]
            await asyncio.sleep(0)
        return await asyncio.gather(*calls, return_exceptions=True)

    ends = play(main)

    done = [str(n) for n, end in enumerate(ends) if end is None]
    assert sorted(contents(aurora, talk)) == sorted(done)
    assert {type(end) for end in ends if end is not None} <= {ProjectNotBound}


def test_a_savepoint_takes_back_its_own_part(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        async with aurora.atomic():
            await say(aurora, talk, "a")
            with suppress(Failure):
                async with aurora.atomic():
                    await say(aurora, talk, "gone")
                    raise Failure
            async with aurora.atomic():
                await say(aurora, talk, "b")

    play(main)

    assert contents(aurora, talk) == ["a", "b"]


def test_savepoints_of_several_tasks_do_not_cross(aurora: AsyncProject, talk: str) -> None:
    async def part(n: int) -> None:
        async with aurora.atomic():
            await say(aurora, talk, f"{n}a")
            await asyncio.sleep(0.001 * (5 - n))
            await say(aurora, talk, f"{n}b")
            if n % 2:
                raise Failure

    async def main() -> None:
        async with aurora.atomic():
            await asyncio.gather(*(part(n) for n in range(5)), return_exceptions=True)

    play(main)

    assert contents(aurora, talk) == ["0a", "0b", "2a", "2b", "4a", "4b"]


def test_commit_and_rollback_in_the_middle(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        async with aurora.atomic() as transaction:
            await say(aurora, talk, "a")
            await transaction.commit()
            await say(aurora, talk, "gone")
            await transaction.rollback()
            await say(aurora, talk, "b")

    play(main)

    assert contents(aurora, talk) == ["a", "b"]


def test_transactions_of_two_projects_are_two(make_project: Callable[..., Project], aurora: AsyncProject) -> None:
    other = AsyncProject(make_project("other"))
    talks = [each.sync.conversations.create().id for each in (aurora, other)]

    async def main() -> None:
        async with aurora.atomic():
            await say(aurora, talks[0], "kept")
            with suppress(Failure):
                async with other.atomic():
                    await say(aurora, talks[0], "kept too")
                    await say(other, talks[1], "gone")
                    raise Failure

    play(main)

    assert contents(aurora, talks[0]) == ["kept", "kept too"]
    assert contents(other, talks[1]) == []


def test_hundred_tasks_take_turns_without_a_thread_each(aurora: AsyncProject, talk: str) -> None:
    async def add_two(n: int) -> None:
        async with aurora.atomic():
            before = len(await aurora.conversations.messages(talk, limit=1000))
            await say(aurora, talk, f"{n}")
            assert len(await aurora.conversations.messages(talk, limit=1000)) == before + 1

    async def main() -> None:
        await asyncio.gather(*(add_two(n) for n in range(100)))

    play(main)

    assert len(contents(aurora, talk)) == 100


@pytest.mark.parametrize("wants", ["write", "transaction"])
def test_who_waits_too_long_for_a_transaction_hears_that_the_database_is_busy(
    aurora: AsyncProject, talk: str, wants: str
) -> None:
    async def main() -> None:
        async def other() -> None:
            call = say(aurora, talk, "other") if wants == "write" else aurora.atomic().__aenter__()
            with pytest.raises(DatabaseBusy, match="another task keeps a transaction open"):
                await call

        task = asyncio.get_running_loop().create_task(other(), context=contextvars.Context())
        async with aurora.atomic():
            await say(aurora, talk, "kept")
            await task

    play(main)

    assert contents(aurora, talk) == ["kept"]


def test_a_transaction_may_be_left_in_another_context(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        block = aurora.atomic()
        await asyncio.get_running_loop().create_task(block.__aenter__())
        await asyncio.get_running_loop().create_task(block.__aexit__(None, None, None))
        await say(aurora, talk, "free again")

    play(main)

    assert contents(aurora, talk) == ["free again"]
