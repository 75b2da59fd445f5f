"""HAIA's repository under fifty coroutines: no message is lost, nothing is left behind, and the event loop goes on."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from peewee_conv.compat import repository as haia
from peewee_conv.compat.repository import ConversationRepository
from peewee_conv.compat.repository_session import Engine

COROUTINES = 50


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(f"sqlite:///{tmp_path}/haia.db", durability="normal")


async def new_talk(engine: Engine) -> int:
    async with engine.session() as session:
        talk = await ConversationRepository(session).create_conversation()
        await session.commit()
        return talk.id


async def add(engine: Engine, id: int, content: str) -> bool:
    """Add a message in a session of its own; return whether there still was a conversation."""
    async with engine.session() as session:
        try:
            await ConversationRepository(session).add_message(id, "user", content)
        except haia.ConversationNotFoundError:
            return False
        await session.commit()
        return True


def test_fifty_coroutines_lose_no_message(engine: Engine) -> None:
    async def work(id: int, number: int) -> None:
        for turn in range(4):
            assert await add(engine, id, f"{number} {turn}")

    async def main() -> list[str]:
        id = await new_talk(engine)
        await asyncio.gather(*(work(id, number) for number in range(COROUTINES)))
        async with engine.session() as session:
            repository = ConversationRepository(session)
            messages = await repository.get_all_messages(id)
            assert await repository.get_message_count(id) == len(messages)
            return [message.content for message in messages]

    stored = asyncio.run(main())

    assert sorted(stored) == sorted(f"{number} {turn}" for number in range(COROUTINES) for turn in range(4))
    for number in range(COROUTINES):
        assert [text for text in stored if text.startswith(f"{number} ")] == [f"{number} {turn}" for turn in range(4)]


def test_deletion_during_adds_leaves_no_orphan_and_tells_who_came_too_late(engine: Engine) -> None:
    async def delete(id: int) -> bool:
        async with engine.session() as session:
            is_deleted = await ConversationRepository(session).delete_conversation(id)
            await session.commit()
            return is_deleted

    async def main() -> tuple[int, list[bool], int]:
        id, other = await new_talk(engine), await new_talk(engine)
        adds = [asyncio.create_task(add(engine, id, str(number))) for number in range(COROUTINES // 2)]
        deletion = asyncio.create_task(delete(id))
        adds += [asyncio.create_task(add(engine, id, str(number))) for number in range(COROUTINES // 2)]
        others = [asyncio.create_task(add(engine, other, str(number))) for number in range(COROUTINES)]
        assert await deletion
        assert all(await asyncio.gather(*others))
        return other, await asyncio.gather(*adds), await new_talk(engine)

    other, added, following = asyncio.run(main())

    half = COROUTINES // 2
    assert added == [True] * half + [False] * half
    talks = engine.project.conversations
    counts = {talk.number: talk.message_count for talk in talks.list()}
    assert counts == {other: COROUTINES, following: 0}
    assert engine.project.check() == []


def test_the_event_loop_goes_on_while_a_writer_waits_for_the_lock(engine: Engine) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with engine.project.atomic():
            held.set()
            release.wait(10)

    async def main() -> int:
        id = await new_talk(engine)
        other = threading.Thread(target=hold)
        other.start()
        await asyncio.to_thread(held.wait, 10)
        writers = [asyncio.create_task(add(engine, id, str(number))) for number in range(COROUTINES)]
        await asyncio.wait(writers, timeout=0.05)  # the loop is free for this timer
        async with engine.session() as session:
            seen = await ConversationRepository(session).get_message_count(id)
        release.set()
        assert all(await asyncio.gather(*writers))
        other.join()
        return seen

    assert asyncio.run(main()) == 0
    assert engine.project.conversations.list()[0].message_count == COROUTINES
