"""The metadata of a thread, which may be any JSON value, in the metadata of a conversation, which is an object.

What is no object is kept under one reserved key, and so is an object that has this very key: what comes out is
always what went in.

>>> wrap({"topic": "gold"}), wrap(["gold", 1])
({'topic': 'gold'}, {'thread_metadata': ['gold', 1]})
>>> unwrap(wrap(["gold", 1]))
['gold', 1]
"""

from __future__ import annotations

from typing import Any, Final

_KEY: Final = "thread_metadata"


def wrap(value: Any) -> dict[Any, Any]:
    """Return the metadata of a conversation for that of a thread."""
    if isinstance(value, dict) and _KEY not in value:
        return value
    return {_KEY: value}


def unwrap(metadata: dict[str, Any]) -> Any:
    """Return the metadata of a thread from that of its conversation."""
    return metadata[_KEY] if metadata.keys() == {_KEY} else metadata
