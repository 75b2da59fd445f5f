"""The asyncio face: the same verbs, awaited; calls that settle; tasks that do not mix."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from peewee_conv import Project, Projects, aio
from peewee_conv.aio import AsyncProject, AsyncProjects, services, set_thread_limit
from peewee_conv.errors import ConversationNotFound, InvalidArgument, ProjectDisposed
from peewee_conv.models import Message
from peewee_conv.services.accounts import Accounts
from peewee_conv.services.assistants import Assistants
from peewee_conv.services.conversations import Conversations
from peewee_conv.services.datasets import Datasets
from peewee_conv.services.features import Features
from peewee_conv.services.schedules import Schedules
from peewee_conv.services.usage import Usage

PAIRS = {
    Project: AsyncProject,
    Projects: AsyncProjects,
    Accounts: services.AsyncAccounts,
    Assistants: services.AsyncAssistants,
    Conversations: services.AsyncConversations,
    Datasets: services.AsyncDatasets,
    Features: services.AsyncFeatures,
    Schedules: services.AsyncSchedules,
    Usage: services.AsyncUsage,
}
#: A scope belongs to a thread: tasks have ``run`` for models, and transactions.
ONLY_FOR_THREADS = {"scope"}
ONLY_FOR_TASKS = {"run", "sync"}


def public(of: type) -> dict[str, Any]:
    return {name: getattr(of, name) for name in dir(of) if not name.startswith("_")}


def names(of: type) -> set[str]:
    """Return the public names of the class, and what its instances get when they are made."""
    return set(public(of)) | ({"conversations"} if of is Project else set())


def parameters(function: Callable[..., Any]) -> list[Any]:
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in found if each.name != "self"]


def play(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(main())


@pytest.fixture
def aurora(project: Project) -> AsyncProject:
    return AsyncProject(project)


@pytest.fixture
def talk(project: Project) -> str:
    return project.conversations.create().id


def contents(project: Project, talk: str) -> list[str]:
    return [message.content for message in project.conversations.iterate(talk)]


class Gate:
    """A token counter that holds a call up in its thread until it is told to go on."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, text: str) -> int:
        if "held" in text:
            self.reached.set()
            assert self.open.wait(20)
        return len(text)


# --- parity ---


@pytest.mark.parametrize("sync", PAIRS, ids=lambda each: each.__name__)
def test_every_public_name_is_there_and_no_other(sync: type) -> None:
    assert names(PAIRS[sync]) - ONLY_FOR_TASKS == names(sync) - ONLY_FOR_THREADS


@pytest.mark.parametrize("sync", PAIRS, ids=lambda each: each.__name__)
def test_every_verb_takes_the_same_arguments(sync: type) -> None:
    awaited = public(PAIRS[sync])
    verbs = {name: verb for name, verb in public(sync).items() if inspect.isfunction(verb) and name in awaited}

    assert {name: parameters(awaited[name]) for name in verbs} == {
        name: parameters(verb) for name, verb in verbs.items()
    }


@pytest.mark.parametrize("sync", PAIRS, ids=lambda each: each.__name__)
def test_whatever_reads_or_writes_is_awaited(sync: type) -> None:
    awaited = {name: each for name, each in public(PAIRS[sync]).items() if inspect.isfunction(each)}
    at_once = {
        name
        for name, each in awaited.items()
        if not inspect.iscoroutinefunction(each) and not inspect.isasyncgenfunction(each)
    }

    assert at_once <= {"for_user", "with_limit", "with_session_limits", "atomic"}


# --- calls ---


def test_records_and_errors_are_those_of_the_services(aurora: AsyncProject, project: Project) -> None:
    async def main() -> Any:
        talk = await aurora.conversations.create(title="Outlook")
        with pytest.raises(ConversationNotFound, match="conversation 'nowhere' does not exist"):
            await aurora.conversations.get("nowhere")
        with pytest.raises(InvalidArgument, match="limit"):
            await aurora.conversations.list(limit=0)
        return talk

    talk = play(main)

    assert project.conversations.list() == [talk]


def test_every_service_answers(aurora: AsyncProject) -> None:
    async def main() -> None:
        bot = await aurora.assistants.create("Aurora", "You analyse markets.")
        key = await aurora.accounts.create_key()
        ada = (await aurora.accounts.sign_in({"google_id": "g", "email": "a@b", "name": "Ada"}, key)).user
        hers = aurora.conversations.for_user(ada.id)
        talk = await hers.create(assistant_id=bot.id)
        assert (await aurora.datasets.with_limit(2).for_user(ada.id).add(talk.id, "https://x.org/a.csv")).name
        assert (await aurora.usage.with_limit(10).spend(ada.id, 3, 4, "m")).total_tokens == 7
        assert await aurora.accounts.with_session_limits(idle_seconds=60, renew_seconds=0).find(ada.id) == ada
        feature = await aurora.features.create("Search")
        assert (await aurora.features.claim(feature.id)).feature.in_progress
        assert await aurora.schedules.list() == []

    play(main)


def test_iteration_holds_nothing_between_its_batches(aurora: AsyncProject, talk: str) -> None:
    async def main() -> list[str]:
        await aurora.conversations.add_messages(talk, [{"role": "user", "content": str(n)} for n in range(25)])
        seen = []
        async for message in aurora.conversations.iterate(talk, batch=10):
            seen.append(message.content)
            if len(seen) == 1:
                await aurora.conversations.add_message(talk, "user", "meanwhile")
        return seen

    assert play(main) == [*map(str, range(25)), "meanwhile"]


def test_iteration_over_nothing_raises_at_its_first_step(aurora: AsyncProject) -> None:
    async def main() -> None:
        with pytest.raises(ConversationNotFound):
            async for _ in aurora.conversations.iterate("nowhere"):
                pass

    play(main)


def test_anything_else_runs_with_the_sync_project(aurora: AsyncProject, talk: str) -> None:
    def count(project: Project, *, role: str) -> int:
        with project:
            return int(Message.select().where(Message.role == role).count())

    async def main() -> int:
        await aurora.conversations.add_message(talk, "user", "x")
        return await aurora.run(count, role="user")

    assert play(main) == 1


def test_projects_of_a_root(tmp_path: Path) -> None:
    async def main() -> None:
        projects = AsyncProjects(tmp_path)
        red = await projects.create("red")
        await red.conversations.create()
        assert (await projects.get("red")) == red
        assert await projects.find("blue") is None
        assert await projects.list() == ["red"]
        assert await projects.delete("red")

    play(main)


def test_the_loop_goes_on_while_a_call_is_held_up(make_project: Callable[..., Project]) -> None:
    gate = Gate()
    aurora = AsyncProject(make_project(count_tokens=gate))

    async def main() -> None:
        talk = (await aurora.conversations.create()).id
        held = asyncio.create_task(aurora.conversations.add_message(talk, "user", "held"))
        while not gate.reached.is_set():
            await asyncio.sleep(0)
        assert await aurora.conversations.find(talk) is not None
        gate.open.set()
        assert (await held).token_count == 4

    play(main)


@pytest.mark.parametrize("block", [AsyncProject.atomic, nullcontext])
def test_work_that_raises_stopiteration_is_not_waited_for_without_end(aurora: AsyncProject, block: Any) -> None:
    async def main() -> None:
        async with block(aurora):
            await aurora.run(lambda project: next(iter(project.conversations.list())))

    with pytest.raises(RuntimeError, match="StopIteration"):
        play(main)


def test_a_disposed_project_says_so(aurora: AsyncProject, talk: str) -> None:
    async def main() -> None:
        await aurora.dispose()
        with pytest.raises(ProjectDisposed):
            await aurora.conversations.get(talk)

    play(main)


# --- cancellation ---


def test_a_cancelled_call_that_runs_has_happened_when_its_task_goes_on(make_project: Callable[..., Project]) -> None:
    gate = Gate()
    project = make_project(count_tokens=gate)
    aurora = AsyncProject(project)

    async def main() -> tuple[str, list[str]]:
        talk = (await aurora.conversations.create()).id
        task = asyncio.create_task(aurora.conversations.add_message(talk, "user", "held"))
        while not gate.reached.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # twice changes nothing
        assert not task.done()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return talk, [message.content for message in await aurora.conversations.messages(talk)]

    talk, seen = play(main)

    assert seen == contents(project, talk) == ["held"]


def test_a_cancelled_call_that_waits_for_a_thread_never_happens(make_project: Callable[..., Project]) -> None:
    gate = Gate()
    project = make_project(count_tokens=gate)
    aurora = AsyncProject(project)
    set_thread_limit(1)

    async def main() -> str:
        talk = (await aurora.conversations.create()).id
        held = asyncio.create_task(aurora.conversations.add_message(talk, "user", "held"))
        while not gate.reached.is_set():
            await asyncio.sleep(0)
        waiting = asyncio.create_task(aurora.conversations.add_message(talk, "user", "never"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.open.set()
        await held
        return talk

    assert contents(project, play(main)) == ["held"]


def test_a_timeout_leaves_a_whole_message_or_none(aurora: AsyncProject, project: Project, talk: str) -> None:
    async def hurried(n: int) -> bool:
        try:
            await asyncio.wait_for(aurora.conversations.add_message(talk, "user", str(n)), 0.0005 * (n % 5))
        except TimeoutError:
            return False
        return True

    async def main() -> set[str]:
        acknowledged = await asyncio.gather(*(hurried(n) for n in range(60)))
        return {str(n) for n, done in enumerate(acknowledged) if done}

    assert play(main) <= set(contents(project, talk))
    assert project.check() == []


def test_what_a_cancelled_call_raised_is_not_reported_as_forgotten(
    make_project: Callable[..., Project], caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    aurora = AsyncProject(make_project(count_tokens=gate))

    async def main() -> None:
        task = asyncio.create_task(aurora.conversations.add_message("nowhere", "user", "held"))
        while not gate.reached.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    play(main)

    assert caplog.records == []


def test_a_deletion_of_a_project_that_waits_keeps_no_reader_out(tmp_path: Path) -> None:
    set_thread_limit(1)

    async def main() -> int:
        projects = AsyncProjects(tmp_path)
        aurora, borealis = await projects.create("aurora"), await projects.create("borealis")
        await borealis.conversations.create()
        with aurora.sync:
            aurora.sync.conversations.create()
            deletion = asyncio.create_task(projects.delete("aurora"))  # waits for this block
            await asyncio.sleep(0.05)
            async with asyncio.timeout(1):
                found = await borealis.conversations.list()
        await deletion
        return len(found)

    assert play(main) == 1


# --- threads ---


@pytest.fixture(autouse=True)
def usual_threads() -> Iterator[None]:
    yield
    set_thread_limit(8)


def test_no_more_threads_than_allowed_are_started(aurora: AsyncProject, talk: str) -> None:
    set_thread_limit(3)

    async def main() -> set[str]:
        await asyncio.gather(*(aurora.conversations.add_message(talk, "user", str(n)) for n in range(40)))
        return {thread.name for thread in threading.enumerate() if thread.name.startswith("peewee_conv_")}

    assert len(play(main)) <= 3


@pytest.mark.parametrize("limit", [0, 1001, "8", True])
def test_a_thread_limit_is_checked(limit: Any) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        set_thread_limit(limit)


def test_the_module_names_what_is_public() -> None:
    assert {name for name in vars(aio) if name[0].isupper()} == {"AsyncProject", "AsyncProjects", "AsyncTransaction"}
