"""The names behind ids: users and assistants, looked up once for a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..account_records import User
from ..project import Project
from ..records import Assistant

_MOST = 200  # entries of a list to choose from


def users(project: Project, ids: Iterable[str | None]) -> dict[str, User]:
    """Return the users with these ids, by id; without those who are gone."""
    found = {id: project.accounts.find(id) for id in set(ids) if id is not None}
    return {id: user for id, user in found.items() if user is not None}


def assistants(project: Project, ids: Iterable[str | None]) -> dict[str, Assistant]:
    """Return the assistants with these ids, by id."""
    found = {id: project.assistants.find(id) for id in set(ids) if id is not None}
    return {id: assistant for id, assistant in found.items() if assistant is not None}


def to_choose_from(project: Project) -> dict[str, list[Any]]:
    """Return the users and assistants that a form offers: the newest ones, where there are many."""
    return {"users": project.accounts.list(limit=_MOST), "assistants": project.assistants.list(limit=_MOST)}
