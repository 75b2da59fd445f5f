"""Sessions of HAIA's repository: one transaction after the other, whichever task works in them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from peewee_conv import Project, maintenance
from peewee_conv.compat import repository as haia
from peewee_conv.compat.repository import ConversationRepository
from peewee_conv.compat.repository_session import AsyncSession, Engine
from peewee_conv.schemas import assistant

MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine(tmp_path: Path) -> MakeEngine:
    def make(**settings: object) -> Engine:
        return Engine(f"sqlite:///{tmp_path}/haia.db", durability="normal", **settings)

    return make


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    return make_engine()


@asynccontextmanager
async def repository_of(engine: Engine) -> AsyncIterator[ConversationRepository]:
    async with engine.session() as session:
        yield ConversationRepository(session)


def count_in(engine: Engine) -> int:
    return len(engine.project.conversations.list())


# --- what is committed, and when ----------------------------------------------------------------------------------


def test_nothing_is_committed_by_itself(engine: Engine) -> None:
    async def main() -> None:
        async with repository_of(engine) as repository:
            await repository.create_conversation()
            await repository.session.flush()
            assert len(await repository.list_conversations()) == 1
            assert count_in(engine) == 0

    asyncio.run(main())

    assert count_in(engine) == 0


def test_a_session_goes_on_after_commit_and_rollback(engine: Engine) -> None:
    async def main() -> list[int]:
        async with repository_of(engine) as repository:
            session = repository.session
            await repository.create_conversation()
            await session.rollback()
            await session.rollback()
            kept = await repository.create_conversation()
            await session.commit()
            await session.commit()
            await repository.add_message(kept.id, "user", "undone")
        return [len(kept.messages)]

    assert asyncio.run(main()) == [0]
    assert [talk.message_count for talk in engine.project.conversations.list()] == [0]


def test_a_session_may_be_closed_twice_and_used_again(engine: Engine) -> None:
    async def main() -> None:
        session = engine.session()
        repository = ConversationRepository(session)
        await repository.create_conversation()
        await session.close()
        await session.close()
        await repository.create_conversation()
        await session.commit()

    asyncio.run(main())

    assert count_in(engine) == 1


def test_reading_takes_no_lock_and_sees_what_others_commit(engine: Engine) -> None:
    async def main() -> list[int]:
        async with repository_of(engine) as reader, repository_of(engine) as writer:
            found = [len(await reader.list_conversations())]
            await writer.create_conversation()
            found.append(len(await reader.list_conversations()))
            await writer.session.commit()
            return [*found, len(await reader.list_conversations())]

    assert asyncio.run(main()) == [0, 0, 1]


def test_a_first_write_that_fails_keeps_nobody_out(make_engine: MakeEngine) -> None:
    engine = make_engine(busy_timeout_ms=50)

    async def main() -> None:
        async with repository_of(engine) as first, repository_of(engine) as second:
            with pytest.raises(haia.ConversationNotFoundError):
                await first.add_message(99, "user", "x")
            await second.create_conversation()
            await second.session.commit()

    asyncio.run(main())

    assert count_in(engine) == 1


# --- sessions and tasks -------------------------------------------------------------------------------------------


def test_two_sessions_of_one_task_are_two_transactions(make_engine: MakeEngine) -> None:
    engine = make_engine(busy_timeout_ms=50)

    async def main() -> None:
        async with repository_of(engine) as first, repository_of(engine) as second:
            await first.create_conversation()
            with pytest.raises(haia.DatabaseConnectionError) as busy:
                await second.create_conversation()
            assert "another task keeps a transaction open" in str(busy.value.original_error)
            await first.session.rollback()
            await second.create_conversation()
            await second.session.commit()

    asyncio.run(main())

    assert count_in(engine) == 1


def test_a_writer_outside_of_asyncio_is_waited_for_no_longer_than_the_timeout(make_engine: MakeEngine) -> None:
    engine = make_engine(busy_timeout_ms=20)

    async def main() -> None:
        with engine.project.atomic():
            async with repository_of(engine) as repository:
                assert await repository.list_conversations() == []
                with pytest.raises(haia.DatabaseConnectionError):
                    await repository.create_conversation()

    asyncio.run(main())


def test_a_session_is_entered_used_and_left_in_three_tasks(engine: Engine) -> None:
    async def main() -> int:
        session = await asyncio.create_task(engine.session().__aenter__())
        repository = ConversationRepository(session)
        talk = await asyncio.create_task(repository.create_conversation())
        await asyncio.create_task(repository.add_message(talk.id, "user", "x"))
        await asyncio.create_task(session.commit())
        await asyncio.create_task(session.close())
        return await ConversationRepository(engine.session()).get_message_count(talk.id)

    assert asyncio.run(main()) == 1


def test_tasks_that_share_a_session_share_its_transaction(engine: Engine) -> None:
    async def main() -> list[str]:
        async with repository_of(engine) as repository:
            talk = await repository.create_conversation()
            await asyncio.gather(*(repository.add_message(talk.id, "user", str(n)) for n in range(20)))
            await repository.session.commit()
            return [message.content for message in talk.messages]

    assert sorted(asyncio.run(main()), key=int) == [str(number) for number in range(20)]


def test_a_cancelled_task_leaves_nothing_behind_and_nobody_waiting(engine: Engine) -> None:
    async def hold(wrote: asyncio.Event) -> None:
        async with repository_of(engine) as repository:
            await repository.create_conversation()
            wrote.set()
            await asyncio.Event().wait()

    async def main() -> None:
        wrote = asyncio.Event()
        task = asyncio.create_task(hold(wrote))
        await wrote.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5), repository_of(engine) as repository:
            await repository.create_conversation()
            await repository.session.commit()

    asyncio.run(main())

    assert count_in(engine) == 1


def test_tasks_that_are_cancelled_at_any_moment_lose_or_keep_a_message_whole(engine: Engine) -> None:
    async def add(id: int, done: list[int], number: int) -> None:
        async with repository_of(engine) as repository:
            await repository.add_message(id, "user", str(number))
            await repository.session.commit()
            done.append(number)

    async def main() -> tuple[list[int], list[int]]:
        async with repository_of(engine) as repository:
            id = (await repository.create_conversation()).id
            await repository.session.commit()
        done: list[int] = []
        tasks = [asyncio.create_task(add(id, done, number)) for number in range(40)]
        for task in itertools.chain(tasks[::3], tasks[::2]):
            await asyncio.sleep(0.0005)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with repository_of(engine) as repository:
            return done, [int(message.content) for message in await repository.get_all_messages(id)]

    done, stored = asyncio.run(main())

    assert set(done) <= set(stored)
    assert len(stored) == len(set(stored))
    assert engine.project.check() == []


def test_a_session_that_nobody_closes_is_rolled_back_with_a_warning(engine: Engine) -> None:
    async def write() -> None:
        async with repository_of(engine) as other:
            await other.create_conversation()
            await other.session.commit()

    async def main() -> None:
        repository = ConversationRepository(engine.session())
        await repository.create_conversation()
        waiting = asyncio.create_task(write())
        await asyncio.wait([waiting], timeout=0.02)
        with pytest.warns(ResourceWarning, match="never closed"):
            del repository
        await asyncio.wait_for(waiting, 5)

    asyncio.run(main())

    assert count_in(engine) == 1


def test_an_engine_is_disposed_while_a_session_is_in_a_transaction_and_nothing_of_it_is_kept(engine: Engine) -> None:
    async def main() -> None:
        async with repository_of(engine) as repository:
            await repository.create_conversation()
            await engine.dispose(timeout=0.05)
            with pytest.raises(haia.DatabaseConnectionError, match="was disposed"):
                await repository.session.commit()
        async with repository_of(engine) as repository:
            assert await repository.list_conversations() == []
            await repository.create_conversation()
            await repository.session.commit()

    asyncio.run(main())

    assert count_in(engine) == 1


def test_a_project_that_somebody_else_disposes_is_opened_again(engine: Engine, make_engine: MakeEngine) -> None:
    async def main() -> None:
        async with repository_of(engine) as repository:
            await repository.create_conversation()
            await repository.session.commit()
        await make_engine().dispose()
        other = make_engine()
        await ConversationRepository(other.session()).list_conversations()
        await other.dispose()
        async with repository_of(engine) as repository:
            assert len(await repository.list_conversations()) == 1

    asyncio.run(main())


# --- the module's own engine --------------------------------------------------------------------------------------


@pytest.fixture
def haia_db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """``DATABASE_URL`` names this file; the project beside it is closed afterwards."""
    path = tmp_path / "data" / "haia.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{path}")
    yield path
    asyncio.run(haia.close_db())


def stored_in(path: Path) -> int:
    return len(Project(f"{path}.project").conversations.list())


async def drive(
    work: Callable[[AsyncSession], Coroutine[Any, Any, object]], error: BaseException | None = None
) -> None:
    """Use ``get_db`` as FastAPI may do: enter it in one task, and throw into it or end it in another one."""
    generator = haia.get_db()

    async def enter() -> AsyncSession:
        return await anext(generator)

    async def leave() -> None:
        await (anext(generator) if error is None else generator.athrow(error))

    await work(await asyncio.create_task(enter()))
    await asyncio.create_task(leave())


async def create(session: AsyncSession) -> None:
    await ConversationRepository(session).create_conversation()


def test_get_db_commits_what_went_well(haia_db: Path) -> None:
    async def main() -> None:
        with pytest.raises(StopAsyncIteration):
            await drive(create)

    asyncio.run(main())

    assert stored_in(haia_db) == 1


@pytest.mark.parametrize("error", [KeyError("x"), asyncio.CancelledError()], ids=["error", "cancelled"])
def test_get_db_rolls_back_and_lets_the_error_out(haia_db: Path, error: BaseException) -> None:
    async def main() -> None:
        with pytest.raises(type(error)):
            await drive(create, error)

    asyncio.run(main())

    assert stored_in(haia_db) == 0


def test_get_db_that_is_left_in_the_middle_commits_nothing(haia_db: Path) -> None:
    async def main() -> None:
        async for session in haia.get_db():
            await ConversationRepository(session).create_conversation()
            break
        async with asyncio.timeout(5), haia.async_session() as other:
            await ConversationRepository(other).create_conversation()
            await other.commit()

    asyncio.run(main())

    assert stored_in(haia_db) == 1


def test_init_db_makes_the_database_with_its_folders_and_may_be_called_again(haia_db: Path) -> None:
    async def main() -> None:
        for _ in range(2):
            await haia.init_db()
            await haia.apply_migrations()

    asyncio.run(main())

    assert Project(f"{haia_db}.project").database_path().is_file()


def test_a_database_of_an_older_version_is_upgraded_on_start(haia_db: Path) -> None:
    async def main() -> list[str]:
        await haia.init_db()
        return [message.content for message in await ConversationRepository(haia.async_session()).get_all_messages(1)]

    project = Project(f"{haia_db}.project")
    project.conversations.add_message(project.conversations.create().id, "user", "kept")
    maintenance.downgrade(project, to=1)
    project.dispose()

    assert asyncio.run(main()) == ["kept"]
    assert maintenance.migration_status(Project(project.path)).version == assistant.migrations.head


def test_the_url_is_read_when_the_database_is_opened(
    haia_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        await haia.init_db()
        await haia.close_db()
        await haia.close_db()
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
        await haia.init_db()

    asyncio.run(main())

    assert haia.engine.project.path == (tmp_path / "other.db.project").resolve()


def test_a_database_that_cannot_be_used_says_so_in_the_words_of_the_original(haia_db: Path) -> None:
    asyncio.run(haia.init_db())
    path = haia.engine.project.database_path()
    asyncio.run(haia.close_db())
    path.write_bytes(b"no database" * 100)

    with pytest.raises(haia.DatabaseConnectionError, match=r"^Database connection failed: .*not a database"):
        asyncio.run(haia.init_db())


def test_a_database_of_the_original_is_neither_touched_nor_left_behind_in_silence(haia_db: Path) -> None:
    haia_db.parent.mkdir()
    haia_db.write_bytes(b"old conversations")

    with pytest.raises(
        haia.DatabaseConnectionError, match=r"run 'peewee-conv adopt .*haia\.db --into .*haia\.db\.project'"
    ):
        asyncio.run(haia.init_db())
    assert haia_db.read_bytes() == b"old conversations"

    Project(f"{haia_db}.project").conversations.create()
    asyncio.run(haia.init_db())


def test_the_memory_url_is_a_database_that_ends_with_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:///:memory:")

    async def main() -> Path:
        async with haia.async_session() as session:
            await ConversationRepository(session).create_conversation()
            await session.commit()
        async with haia.async_session() as session:
            assert len(await ConversationRepository(session).list_conversations()) == 1
        path = haia.engine.project.path
        await haia.close_db()
        return path

    assert not asyncio.run(main()).exists()
