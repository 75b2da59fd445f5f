"""A file that grows past its threshold is warned of: once in the log, and in its health."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from peewee_conv import Project
from peewee_conv.database.cache import cache
from peewee_conv.errors import InvalidArgument
from peewee_conv.models import Message

MakeProject = Callable[..., Project]
BOUND = 600_000


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    project = make_project(warn_size_bytes=BOUND, journal_mode="delete")
    project.conversations.create(id="talk")
    return project


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, logger="peewee_conv")
    return lambda: [record.getMessage() for record in caplog.records]


def grow(project: Project, times: int = 3) -> None:
    for _ in range(times):
        project.conversations.add_message("talk", "user", "x" * 200_000)


def shrink(project: Project) -> None:
    project.conversations.clear("talk")
    with project:
        Message._meta.database.execute_sql("VACUUM")
        Message._meta.database.execute_sql("UPDATE conversations SET title = 'smaller'")


def sentence(project: Project) -> str:
    size = project.database_path().stat().st_size
    return f"the file has {size} bytes, more than warn_size_bytes = {BOUND}: delete what is not needed, then vacuum"


def test_growing_past_the_threshold_is_logged_once(project: Project, warnings: Callable[[], list[str]]) -> None:
    grow(project, 1)
    assert warnings() == []

    grow(project, 5)

    (found,) = warnings()
    assert found.startswith(f"{project.database_path()}: the file has ")


def test_a_file_that_is_large_already_is_logged_when_it_is_opened(
    make_project: MakeProject, warnings: Callable[[], list[str]]
) -> None:
    project = make_project()
    project.conversations.create(id="talk")
    grow(project)
    project.dispose()

    project = make_project(warn_size_bytes=BOUND)
    project.conversations.list()

    assert warnings() == [f"{project.database_path()}: {sentence(project)}"]


def test_opening_it_again_does_not_repeat_the_warning(project: Project, warnings: Callable[[], list[str]]) -> None:
    grow(project)
    for database in cache.open_databases():
        assert cache.discard(database, "evicted")

    grow(project)

    assert len(warnings()) == 1


def test_each_crossing_is_logged(project: Project, warnings: Callable[[], list[str]]) -> None:
    grow(project)
    shrink(project)
    assert len(warnings()) == 1

    grow(project)

    assert len(warnings()) == 2


def test_a_transaction_that_grows_it_is_noticed(project: Project, warnings: Callable[[], list[str]]) -> None:
    with project.atomic():
        grow(project)

    assert len(warnings()) == 1


def test_without_a_threshold_nothing_is_logged(make_project: MakeProject, warnings: Callable[[], list[str]]) -> None:
    project = make_project("quiet", warn_size_bytes=None)
    project.conversations.create(id="talk")

    grow(project)

    assert warnings() == []
    assert project.health().size_warning is None


def test_health_has_the_warning_for_an_operator(project: Project) -> None:
    assert project.health().size_warning is None

    grow(project)
    found = project.health()

    assert found.size_warning == sentence(project)
    assert found.size_warning in found.warnings


@pytest.mark.parametrize("value", [0, -1, 1.5, "1GB", True])
def test_a_threshold_is_a_number_of_bytes(make_project: MakeProject, value: object) -> None:
    with pytest.raises(InvalidArgument, match="expected bytes from 1, or None"):
        make_project("other", warn_size_bytes=value)
