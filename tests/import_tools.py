"""Sources for imports."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from peewee_conv import Project

Maker = Callable[..., Project]
HELLO = {"id": "c-1", "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]}


def source_of(*conversations: Any) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(one).encode() + b"\n" for one in conversations))


def talk(id: str, *contents: str, **head: Any) -> dict[str, Any]:
    return {"id": id, **head, "messages": [{"role": "user", "content": content} for content in contents]}


def contents_of(project: Project, id: str) -> list[str]:
    return [message.content for message in project.conversations.iterate(id)]
