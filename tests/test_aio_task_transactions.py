"""Transactions that tasks of asyncio begin and end without a block."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.aio import AsyncProject
from peewee_conv.aio import task_transactions as transactions
from peewee_conv.errors import ConversationNotFound


@pytest.fixture
def project(project: Project) -> Project:
    project.conversations.create(title="before")
    return project


def create(project: Project, title: str) -> Awaitable[Any]:
    """Store a conversation in the transaction of the task that calls this, whichever awaits it."""
    work = partial(project.conversations.create, title=title)
    return transactions.write(project, transactions.current_task(), work)


def titles(project: Project) -> list[str | None]:
    return sorted(talk.title or "" for talk in project.conversations.list())


async def seen(project: Project) -> list[str | None]:
    """Return the titles that the current task sees."""
    return await transactions.read(project, transactions.current_task(), titles, project)


async def commit(project: Project) -> None:
    await transactions.commit(project, transactions.current_task())


async def rollback(project: Project) -> None:
    await transactions.rollback(project, transactions.current_task())


def test_what_a_task_wrote_is_seen_by_it_at_once_and_by_others_after_its_commit(project: Project) -> None:
    async def main() -> None:
        await create(project, "new")
        assert await seen(project) == ["before", "new"]
        assert await asyncio.create_task(seen(project)) == ["before"]
        await commit(project)
        assert await asyncio.create_task(seen(project)) == ["before", "new"]

    asyncio.run(main())


def test_rollback_takes_back_what_was_written_since_the_last_commit(project: Project) -> None:
    async def main() -> None:
        await create(project, "kept")
        await commit(project)
        await create(project, "taken back")
        await rollback(project)

    asyncio.run(main())

    assert titles(project) == ["before", "kept"]


def test_commit_and_rollback_without_a_transaction_do_nothing(project: Project) -> None:
    async def main() -> None:
        await commit(project)
        await rollback(project)

    asyncio.run(main())

    assert titles(project) == ["before"]


def test_the_commit_of_one_task_leaves_the_transaction_of_another_alone(project: Project) -> None:
    begun, committed = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        await create(project, "half done")
        begun.set()
        await committed.wait()
        await rollback(project)

    async def second() -> None:
        await begun.wait()
        await commit(project)
        committed.set()

    async def main() -> None:
        await asyncio.gather(first(), second())

    asyncio.run(main())

    assert titles(project) == ["before"]


def test_a_second_writer_waits_for_the_commit_of_the_first(project: Project) -> None:
    order: list[str] = []

    async def writer(name: str) -> None:
        await create(project, name)
        order.append(f"{name} wrote")
        await asyncio.sleep(0)
        order.append(f"{name} commits")
        await commit(project)

    async def main() -> None:
        await asyncio.gather(*map(writer, "abc"))

    asyncio.run(main())

    assert order == [f"{name} {step}" for name in "abc" for step in ("wrote", "commits")]


def test_services_of_the_task_join_its_transaction(project: Project) -> None:
    aurora = AsyncProject(project)

    async def main() -> None:
        await create(project, "one")
        await aurora.conversations.create(title="two")
        async with aurora.atomic():
            await aurora.conversations.create(title="three")
        await rollback(project)

    asyncio.run(main())

    assert titles(project) == ["before"]


def test_services_of_a_task_that_it_starts_do_not_join(project: Project) -> None:
    aurora = AsyncProject(project)

    async def main() -> None:
        await create(project, "taken back")
        other = asyncio.create_task(aurora.conversations.create(title="kept"))
        await asyncio.sleep(0)
        await rollback(project)
        await other

    asyncio.run(main())

    assert titles(project) == ["before", "kept"]


def test_writing_inside_a_block_joins_the_block_and_its_commit_is_no_ones_but_the_blocks(project: Project) -> None:
    aurora = AsyncProject(project)

    async def main() -> None:
        async with aurora.atomic():
            await create(project, "taken back")
            await commit(project)
            await aurora.conversations.get("none")

    with pytest.raises(ConversationNotFound):
        asyncio.run(main())

    assert titles(project) == ["before"]


def test_statements_that_run_side_by_side_for_one_task_share_its_transaction(project: Project) -> None:
    async def main() -> None:
        await asyncio.gather(create(project, "one"), create(project, "two"))
        assert await seen(project) == ["before", "one", "two"]
        await commit(project)

    asyncio.run(main())

    assert titles(project) == ["before", "one", "two"]


def test_a_failed_write_leaves_the_transaction_as_it_was(project: Project) -> None:
    async def main() -> None:
        await create(project, "kept")
        task = transactions.current_task()
        with pytest.raises(ConversationNotFound):
            await transactions.write(project, task, project.conversations.add_message, "none", "user", "Hello!")
        await commit(project)

    asyncio.run(main())

    assert titles(project) == ["before", "kept"]


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_what_a_task_leaves_open_is_taken_back_with_a_warning(
    project: Project, caplog: pytest.LogCaptureFixture, is_cancelled: bool
) -> None:
    wrote = asyncio.Event()

    async def forgetful() -> None:
        await create(project, "never committed")
        wrote.set()
        if is_cancelled:
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(forgetful())
        await wrote.wait()
        if is_cancelled:
            task.cancel()
        await asyncio.wait([task])
        await create(project, "next")  # waits for no timeout: the lock is free
        await commit(project)

    with caplog.at_level(logging.WARNING, "peewee_conv"):
        asyncio.run(main())

    assert titles(project) == ["before", "next"]
    assert [record.getMessage() for record in caplog.records] == [
        f"a task ended without a commit, and what it wrote was taken back: {project.path}"
    ]


def test_what_the_last_task_of_an_event_loop_leaves_open_is_taken_back(project: Project) -> None:
    asyncio.run(_create_and_forget(project))
    project.conversations.create(title="next")

    assert titles(project) == ["before", "next"]


async def _create_and_forget(project: Project) -> None:
    await create(project, "never committed")


def test_a_loop_that_is_closed_in_the_middle_of_a_task_leaves_nothing_locked(project: Project) -> None:
    loop = asyncio.new_event_loop()
    wrote = asyncio.Event()

    async def stuck() -> None:
        await create(project, "never committed")
        wrote.set()
        await asyncio.Event().wait()

    task = loop.create_task(stuck())
    loop.run_until_complete(wrote.wait())
    loop.call_exception_handler = lambda context: None  # type: ignore[method-assign]  # "task was destroyed"
    loop.close()
    del task
    gc.collect()

    project.conversations.create(title="next")
    assert titles(project) == ["before", "next"]


def test_rollback_of_all_ends_the_transactions_of_other_tasks(project: Project) -> None:
    wrote, ended = asyncio.Event(), asyncio.Event()

    async def writer() -> None:
        await create(project, "taken back")
        wrote.set()
        await ended.wait()
        await commit(project)

    async def main() -> None:
        task = asyncio.create_task(writer())
        await wrote.wait()
        await transactions.rollback_all(project)
        ended.set()
        await task

    asyncio.run(main())

    assert titles(project) == ["before"]


def test_a_cancelled_commit_happened_or_did_not_and_nothing_stays_locked(project: Project) -> None:
    async def main() -> None:
        await create(project, "new")
        committing = asyncio.create_task(transactions.commit(project, transactions.current_task()))
        await asyncio.sleep(0)
        committing.cancel()
        await asyncio.wait([committing])
        await rollback(project)
        await create(project, "next")
        await commit(project)

    asyncio.run(main())

    assert set(titles(project)) >= {"before", "next"}
