"""The workloads, S1 to S14 and for asyncio A1 and A2. Each is a function that runs its races and yields them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..bench import Bench
from ..measure import Race
from . import (
    append,
    awaited,
    cold_start,
    flatness,
    processes,
    projects,
    pruning,
    reading,
    repository,
    search,
    threads,
    turnover,
)

Workload = Callable[[Bench], Iterator[Race]]

ALL: dict[str, Workload] = {
    "S1": append.one_message,
    "S2": reading.last_messages,
    "S3": reading.whole_conversation,
    "S4": threads.not_synced,
    "S5": threads.synced,
    "S6": processes.appends,
    "S7": projects.many_projects,
    "S8": reading.newest_conversations,
    "S9": search.rare_word,
    "S10": pruning.to_a_hundred,
    "S11": flatness.every_length,
    "S12": cold_start.fresh_process,
    "S13": append.a_thousand_at_once,
    "S14": turnover.ten_thousand,
    "A1": awaited.awaited,
    "A2": repository.fifty_coroutines,
}
