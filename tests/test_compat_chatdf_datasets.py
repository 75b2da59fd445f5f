"""ChatDF's datasets: limits, addresses and names that hold for callers at once, and workers that fail."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from chatdf_tools import URL, Chat, Clock, Worker, count, user_id, with_talk
from chatdf_tools import chat as chat

from peewee_conv.compat import chatdf
from peewee_conv.compat.chatdf import Connection, Settings


@pytest.mark.parametrize("url", ["", None, "ftp://example.com/a", "HTTP://example.com/a", "https://exa mple.com", "x"])
def test_a_malformed_address_is_refused(url: Any) -> None:
    with pytest.raises(ValueError, match=r"^Invalid URL format$"):
        chatdf.validate_url(url)


def test_a_good_address_is_not(chat: Chat) -> None:
    chatdf.validate_url("https://example.com/data.parquet?version=1")


def test_a_dataset_is_added_ready(chat: Chat, clock: Clock) -> None:
    async def body(db: Connection, talk: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        return await chatdf.add_dataset(db, talk, URL.format(1), Worker()), await chatdf.get_datasets(db, talk)

    added, listed = chat(with_talk(body), now=clock)
    assert listed == [added]
    assert added == {
        "id": added["id"],
        "conversation_id": "c-1",
        "url": URL.format(1),
        "name": "table1",
        "row_count": 3,
        "column_count": 1,
        "schema_json": json.dumps([{"name": "amount", "type": "int"}]),
        "status": "ready",
        "error_message": None,
        "loaded_at": "2026-03-01T12:00:00",
    }


def test_eight_adds_of_one_address_at_once_accept_one(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> tuple[list[str], int]:
        adds = (chatdf.add_dataset(db, talk, URL.format(1), Worker()) for _ in range(8))
        answers = await asyncio.gather(*adds, return_exceptions=True)
        return sorted(str(each) for each in answers if isinstance(each, ValueError)), await count(db, "datasets")

    assert chat(with_talk(body)) == (["This dataset is already loaded"] * 7, 1)


@pytest.mark.parametrize(("limit", "settings"), [(5, None), (2, Settings(max_datasets=2))])
def test_adds_at_once_never_pass_the_limit(chat: Chat, limit: int, settings: Settings | None) -> None:
    async def body(db: Connection, talk: str) -> tuple[list[str], list[str]]:
        adds = (chatdf.add_dataset(db, talk, URL.format(n), Worker()) for n in range(8))
        answers = await asyncio.gather(*adds, return_exceptions=True)
        refused = [str(each) for each in answers if isinstance(each, ValueError)]
        return refused, sorted(dataset["name"] for dataset in await chatdf.get_datasets(db, talk))

    assert chat(with_talk(body), settings=settings) == (
        [f"Maximum {limit} datasets reached"] * (8 - limit),
        [f"table{n + 1}" for n in range(limit)],
    )


def test_a_duplicate_is_told_before_the_limit(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> None:
        for n in (1, 2, 1):
            await chatdf.add_dataset(db, talk, URL.format(n), Worker())

    with pytest.raises(ValueError, match=r"^This dataset is already loaded$"):
        chat(with_talk(body), settings=Settings(max_datasets=2))


def test_no_name_is_given_twice(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> list[str]:
        first = await chatdf.add_dataset(db, talk, URL.format(1), Worker())
        for n in (2, 3):
            await chatdf.add_dataset(db, talk, URL.format(n), Worker())
        await chatdf.remove_dataset(db, first["id"])
        await chatdf.remove_dataset(db, first["id"])
        await chatdf.add_dataset(db, talk, URL.format(4), Worker())
        return [dataset["name"] for dataset in await chatdf.get_datasets(db, talk)]

    assert chat(with_talk(body)) == ["table2", "table3", "table4"]


def test_a_dataset_may_be_named(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> str:
        name = str((await chatdf.add_dataset(db, talk, URL.format(1), Worker(), name="sales"))["name"])
        with pytest.raises(ValueError, match=r"^This name is already taken$"):
            await chatdf.add_dataset(db, talk, URL.format(2), Worker(), name="sales")
        return name

    assert chat(with_talk(body)) == "sales"


@pytest.mark.parametrize(
    ("worker", "text"),
    [
        (Worker(validity={"valid": False}), "Could not access URL"),
        (Worker(validity={"valid": False, "error": "Not a valid parquet file"}), "Not a valid parquet file"),
        (Worker(schema={"error": "broken footer"}), "broken footer"),
        (Worker(schema={"error_type": "timeout", "message": "Schema extraction timed out"}), "timed out"),
        (Worker(schema={"columns": [], "row_count": -1}), "row_count"),
        (Worker(error=OSError("the pool is gone")), "the pool is gone"),
    ],
)
def test_a_worker_that_fails_leaves_nothing_behind(chat: Chat, worker: Worker, text: str) -> None:
    async def body(db: Connection, talk: str) -> list[dict[str, Any]]:
        with pytest.raises((ValueError, OSError), match=text):
            await chatdf.add_dataset(db, talk, URL.format(1), worker)
        await chatdf.add_dataset(db, talk, URL.format(1), Worker())
        return await chatdf.get_datasets(db, talk)

    assert [dataset["status"] for dataset in chat(with_talk(body))] == ["ready"]


def test_a_cancelled_add_leaves_nothing_behind(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> list[dict[str, Any]]:
        worker = Worker(gate=asyncio.Event())
        task = asyncio.create_task(chatdf.add_dataset(db, talk, URL.format(1), worker))
        await worker.asked.wait()
        assert [dataset["status"] for dataset in await chatdf.get_datasets(db, talk)] == ["loading"]
        task.cancel()
        await asyncio.wait([task])
        return await chatdf.get_datasets(db, talk)

    assert chat(with_talk(body)) == []


def test_nobody_waits_for_a_worker_with_the_file_locked(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> str:
        gate = asyncio.Event()
        worker = Worker(gate=gate)

        async def add() -> None:
            await db.execute("UPDATE conversations SET project_name = 'pending'")
            await chatdf.add_dataset(db, talk, URL.format(1), worker)

        task = asyncio.create_task(add())
        await worker.asked.wait()
        other = await asyncio.create_task(user_id(db, "ben"))
        gate.set()
        await task
        return other

    assert chat(with_talk(body), busy_timeout_ms=200)


def test_a_dataset_that_is_removed_while_it_is_read_stays_removed(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> int:
        gate = asyncio.Event()
        worker = Worker(gate=gate)
        task = asyncio.create_task(chatdf.add_dataset(db, talk, URL.format(1), worker))
        await worker.asked.wait()
        (dataset,) = await chatdf.get_datasets(db, talk)
        await chatdf.remove_dataset(db, dataset["id"])
        gate.set()
        with pytest.raises(ValueError, match=r"^Dataset not found$"):
            await task
        return await count(db, "datasets")

    assert chat(with_talk(body)) == 0


def test_datasets_of_an_unknown_conversation_are_none_and_adding_one_is_refused(chat: Chat) -> None:
    async def body(db: Connection) -> list[dict[str, Any]]:
        with pytest.raises(chatdf.NotFoundError, match=r"^Conversation not found$"):
            await chatdf.add_dataset(db, "none", URL.format(1), Worker())
        return await chatdf.get_datasets(db, "none")

    assert chat(body) == []


def test_refreshing_reads_again_and_puts_the_dataset_last(chat: Chat, clock: Clock) -> None:
    async def body(db: Connection, talk: str) -> tuple[dict[str, Any], list[str]]:
        first = await chatdf.add_dataset(db, talk, URL.format(1), Worker())
        clock.advance(1)
        await chatdf.add_dataset(db, talk, URL.format(2), Worker())
        clock.advance(1)
        worker = Worker(schema={"columns": [{"name": "a"}, {"name": "b"}], "row_count": 9})
        refreshed = await chatdf.refresh_schema(db, first["id"], worker)
        return refreshed, [dataset["name"] for dataset in await chatdf.get_datasets(db, talk)]

    refreshed, names = chat(with_talk(body), now=clock)
    assert (refreshed["row_count"], refreshed["column_count"], refreshed["status"]) == (9, 2, "ready")
    assert refreshed["loaded_at"] == "2026-03-01T12:00:02"
    assert names == ["table2", "table1"]


def test_a_refresh_that_fails_changes_nothing(chat: Chat) -> None:
    async def body(db: Connection, talk: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        added = await chatdf.add_dataset(db, talk, URL.format(1), Worker())
        with pytest.raises(ValueError, match=r"^gone$"):
            await chatdf.refresh_schema(db, added["id"], Worker(validity={"valid": False, "error": "gone"}))
        return added, await chatdf.get_datasets(db, talk)

    added, listed = chat(with_talk(body))
    assert listed == [added]


def test_refreshing_an_unknown_dataset_is_refused(chat: Chat) -> None:
    with pytest.raises(ValueError, match=r"^Dataset not found$"):
        chat(lambda db: chatdf.refresh_schema(db, "none", Worker()))
