"""The language model behind one function, and the one that needs no network: an echo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from flask import current_app

from peewee_conv.records import Message

NAME = "echo"

#: Takes the context, the oldest message first, and yields the answer in parts.
Model: TypeAlias = Callable[[Sequence[Message]], Iterator[str]]


class ModelFailed(Exception):
    """What a model raises when it cannot go on; what it has said so far is kept."""


def echo(context: Sequence[Message]) -> Iterator[str]:
    """Say again what was said last, word by word."""
    delay = current_app.config["CHAT_DELAY"]
    words = [message.content for message in context if message.role == "user"][-1:]
    return _in_parts("You said: " + "".join(words), delay)


def _in_parts(text: str, delay: float) -> Iterator[str]:
    for word in text.split(" "):
        yield word + " "
        if delay:
            time.sleep(delay)


def count_tokens(text: str) -> int:
    """Count the tokens of a text as the echo does: its words."""
    return len(text.split())
