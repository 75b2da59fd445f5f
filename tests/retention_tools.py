"""What the tests of retention share: conversations that grow old, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from account_tools import Clock

from peewee_conv import Project

MakeProject = Callable[..., Project]


class Interrupted(BaseException):
    """Like Ctrl-C."""


def talk(project: Project, id: str, messages: int = 3, size: int = 10, **given: Any) -> str:
    """Store a conversation; each is a little younger than the one before if the clock moves."""
    project.conversations.create(id=id, **given)
    new = [{"role": "user", "content": f"{id} {number} ".ljust(size, "x")} for number in range(messages)]
    project.conversations.add_messages(id, new)
    return id


def ids(project: Project) -> list[str]:
    """Return the ids of the conversations that are left, the newest activity first."""
    return [found.id for found in project.conversations.list(limit=1000)]


def contents(project: Project, id: str) -> list[int]:
    return [int(message.content.split()[1]) for message in project.conversations.messages(id, limit=10_000)]


@pytest.fixture
def project(make_project: MakeProject, clock: Clock) -> Project:
    return make_project(now=clock)


@pytest.fixture
def talks(project: Project, clock: Clock) -> list[str]:
    """Four conversations, one each day, the newest first."""
    for number in range(4):
        talk(project, f"t{number}", messages=number + 1)
        clock.advance(days=1)
    return ids(project)
