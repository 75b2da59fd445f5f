"""What the tests of AutoForge's assistant database share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from peewee_conv.compat.assistant_database import get_messages


def contents(folder: Path, conversation_id: int) -> list[str]:
    return [message["content"] for message in get_messages(folder, conversation_id)]


def together(work: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    """Call *work* with each item, each in a thread of its own, all at once."""
    barrier = threading.Barrier(len(items))

    def at_once(item: Any) -> Any:
        barrier.wait()
        return work(item)

    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(at_once, items))
