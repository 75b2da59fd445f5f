"""A2: fifty coroutines on the repository of HAIA, while conversations are deleted under them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from peewee_conv.compat.repository import ConversationNotFoundError, ConversationRepository
from peewee_conv.compat.repository_session import Engine

from .. import data, lag
from ..bench import Bench
from ..measure import Race, check

REPOSITORY = "ours, HAIA's names"

_COROUTINES = 50


def fifty_coroutines(bench: Bench) -> Iterator[Race]:
    """A2: each message in a session of its own; afterwards every acknowledged one is there, and nothing else."""
    with bench.space() as folder, asyncio.Runner() as loop:
        crew = _Crew(Engine(f"sqlite:///{os.path.join(folder, 'haia.db')}", durability="normal"), bench.pick(20, 8, 2))
        race = Race("A2", f"lag, {_COROUTINES} coroutines", unit="ms", reference=lag.IDLE)
        bench.race(race, lag.runners(loop, REPOSITORY, crew.work), bench.pick(10, 4, 1))
        loop.run(crew.check())
        seconds = sum(piece.seconds for taken in race.rounds for piece in taken[REPOSITORY])
        adds = crew.adds_per_slice * sum(len(taken[REPOSITORY]) for taken in race.rounds)
        race.notes.append(f"{REPOSITORY}: {adds / seconds:,.0f} messages a second, each in a session of its own.")
        yield race
        loop.run(crew.engine.dispose())


class _Crew:
    """The coroutines, and what they were told is stored.

    :param count: messages of each of them in a slice.
    """

    def __init__(self, engine: Engine, count: int) -> None:
        self.engine, self._count = engine, count
        self.adds_per_slice = (_COROUTINES + 1) * count  # those of the doomed conversation too, in vain or not
        self._kept: dict[int, list[str]] = {}

    async def work(self) -> None:
        """Begin two conversations; all add to one, and some to the other, which is deleted meanwhile."""
        kept, doomed = await self._begin(), await self._begin()
        self._kept[kept] = []
        await asyncio.gather(
            *(self._add_all(kept, at) for at in range(_COROUTINES)),
            self._add_until_deleted(doomed),
            self._delete(doomed),
        )

    async def _begin(self) -> int:
        async with self.engine.session() as session:
            talk = await ConversationRepository(session).create_conversation()
            await session.commit()
            return talk.id

    async def _add(self, id: int, content: str) -> None:
        async with self.engine.session() as session:
            await ConversationRepository(session).add_message(id, "user", content)
            await session.commit()

    async def _add_all(self, id: int, at: int) -> None:
        for number in range(self._count):
            content = data.content(f"talk-{at}", number)
            await self._add(id, content)
            self._kept[id].append(content)

    async def _add_until_deleted(self, id: int) -> None:
        try:
            for number in range(self._count):
                await self._add(id, str(number))
        except ConversationNotFoundError:
            pass

    async def _delete(self, id: int) -> None:
        async with self.engine.session() as session:
            check(await ConversationRepository(session).delete_conversation(id), f"conversation {id} was not there")
            await session.commit()

    async def check(self) -> None:
        """See that what was acknowledged is stored, and that nothing else is."""
        async with self.engine.session() as session:
            talks = await ConversationRepository(session).list_conversations(limit=10_000)
        stored = {talk.id: sorted(message.content for message in talk.messages) for talk in talks}
        # A session that has committed may hear of it after the next one has: the order is the file's alone.
        expected = {id: sorted(contents) for id, contents in self._kept.items()}
        check(stored == expected, f"{REPOSITORY} lost or doubled a message, or kept a deleted conversation")
        check(self.engine.project.check() == [], f"{REPOSITORY} left something behind")
