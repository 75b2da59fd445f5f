"""Tasks of one thread: each works with its own project, and none joins the transaction of another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.errors import DatabaseBusy, ProjectNotBound
from peewee_conv.models import Conversation

MakeProject = Callable[..., Project]


def titles(project: Project) -> list[str | None]:
    return [talk.title for talk in reversed(project.conversations.list())]


def test_tasks_of_one_thread_never_cross(make_project: MakeProject) -> None:
    projects = [make_project(f"p{number}") for number in range(4)]

    async def work(project: Project) -> None:
        for _ in range(15):
            with project:
                project.conversations.create(title=project.name)
                await asyncio.sleep(0)
                Conversation.update(title=project.name).execute()
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(work(project) for project in projects for _ in range(3)))

    asyncio.run(main())

    for project in projects:
        assert titles(project) == [project.name] * 45


@pytest.fixture
def held(project: Project) -> Callable[[Callable[[], object]], object]:
    """Run something in a second task while a first one holds a transaction over an ``await``."""

    def run(other: Callable[[], object]) -> object:
        async def main() -> object:
            entered, leave = asyncio.Event(), asyncio.Event()

            async def hold() -> None:
                with pytest.raises(KeyError), project.atomic():  # noqa: PT012
                    project.conversations.create(title="undone")
                    entered.set()
                    await leave.wait()
                    raise KeyError

            async def try_other() -> object:
                await entered.wait()
                try:
                    return other()
                finally:
                    leave.set()

            _, result = await asyncio.gather(hold(), asyncio.create_task(try_other()))
            return result

        return asyncio.run(main())

    return run


Held = Callable[[Callable[[], object]], object]


def test_a_read_sees_nothing_of_another_tasks_transaction(project: Project, held: Held) -> None:
    assert held(project.conversations.list) == []


def test_a_write_does_not_wait_for_another_task_of_its_thread(project: Project, held: Held) -> None:
    with pytest.raises(DatabaseBusy, match="this thread holds a transaction"):
        held(project.conversations.create)

    assert titles(project) == []


def test_a_transaction_does_not_wait_for_another_task_of_its_thread(project: Project, held: Held) -> None:
    with pytest.raises(DatabaseBusy, match="this thread holds a transaction"):
        held(project.atomic().__enter__)


def test_inside_a_common_scope_a_read_does_not_join(project: Project, held: Held) -> None:
    with project:
        assert held(project.conversations.list) == []


def test_inside_a_common_scope_a_write_does_not_join(project: Project, held: Held) -> None:
    with project, pytest.raises(DatabaseBusy):
        held(project.conversations.create)


def test_inside_a_common_scope_models_do_not_join(project: Project, held: Held) -> None:
    with project, pytest.raises(DatabaseBusy, match="another task"):
        held(Conversation.select().count)


def test_inside_a_common_scope_a_transaction_does_not_join(project: Project, held: Held) -> None:
    with project, pytest.raises(DatabaseBusy, match="another task"):
        held(project.atomic().__enter__)


def test_a_task_in_to_thread_uses_services_but_no_models(project: Project) -> None:
    async def main() -> None:
        with project:
            project.conversations.create(title="x")
            assert len(await asyncio.to_thread(project.conversations.list)) == 1
            with pytest.raises(ProjectNotBound):
                await asyncio.to_thread(Conversation.select().count)

    asyncio.run(main())


def test_a_cancelled_task_rolls_back(project: Project) -> None:
    async def hold(entered: asyncio.Event) -> None:
        with project.atomic():
            project.conversations.create(title="undone")
            entered.set()
            await asyncio.sleep(60)

    async def main() -> None:
        entered = asyncio.Event()
        task = asyncio.create_task(hold(entered))
        await entered.wait()
        task.cancel()
        await asyncio.wait([task])
        project.conversations.create(title="kept")

    asyncio.run(main())

    assert titles(project) == ["kept"]


def test_models_and_services_of_one_task_share_its_transaction(project: Project, tickets: Tickets) -> None:
    async def main() -> None:
        with project, tickets.schema.database.atomic():
            tickets.Ticket.create(title="x")
            await asyncio.sleep(0)
            assert tickets.Ticket.select().count() == 1

    asyncio.run(main())
