"""What every test may use: a project that is disposed afterwards, more of them, and a clock that stands still."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tickets import Tickets, make_tickets, write_scripts
from upgrades import File, MakeScripts

from peewee_conv import Project
from peewee_conv.clock import to_text
from peewee_conv.database.cache import cache, set_connection_limit
from peewee_conv.database.scope import current_scope
from peewee_conv.versions import Migrations

# A loaded machine is slow and right all the same: no example fails for the time that it took. One interpreter looks
# for what breaks a property with all examples, the others for what differs there.
EXAMPLES = 100 if sys.version_info[:2] == (3, 13) else 25
settings.register_profile("patient", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A clock for ``Project(path, now=clock)``: it stands still until it is told to move."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def __call__(self) -> str:
        return to_text(self.moment)

    @property
    def text(self) -> str:
        """The moment as it is stored."""
        return to_text(self.moment)

    def advance(self, seconds: float = 0.0, **kwargs: float) -> datetime:
        """Move on (or back) by so much, in the words of ``timedelta``, and return the new moment."""
        self.moment += timedelta(seconds=seconds, **kwargs)
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    """``make_project("name", **settings)`` gives the project in ``tmp_path / "name"``, disposed afterwards."""
    made: list[Project] = []

    def make(name: str = "project", **settings: Any) -> Project:
        project = Project(tmp_path / name, **settings)
        made.append(project)
        return project

    yield make
    for project in made:
        project.dispose()


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project()


@pytest.fixture
def tickets(tmp_path: Path) -> Tickets:
    """A schema of a user's own, with the models ``Ticket`` and ``Comment``."""
    return make_tickets(tmp_path / "migrations")


@pytest.fixture
def scripts(tmp_path: Path) -> MakeScripts:
    """``scripts(body, ...)`` gives the migrations of these scripts, 0001_step.py and so on."""
    return lambda *bodies: Migrations(str(write_scripts(tmp_path / "scripts", *bodies)))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    """An empty file, to be upgraded."""
    file = File(tmp_path)
    yield file
    file.connection.close()


@pytest.fixture(autouse=True)
def dispose_everything() -> Iterator[None]:
    """Leave no open file and no changed limit to the next test."""
    limit = cache.limit
    yield
    set_connection_limit(limit)
    for database in cache.open_databases():
        cache.dispose(database.binding, timeout=5.0)
    assert current_scope() is None, "a scope was left open"
    assert cache.connection_count == 0, "connections are still open after every project was disposed"
