"""The workloads, by the names S1 to S14. Each is a function that runs its races and yields them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..bench import Bench
from ..measure import Race
from . import append, reading

Workload = Callable[[Bench], Iterator[Race]]

ALL: dict[str, Workload] = {
    "S1": append.one_message,
    "S2": reading.last_messages,
    "S3": reading.whole_conversation,
    "S8": reading.newest_conversations,
    "S13": append.a_thousand_at_once,
}
