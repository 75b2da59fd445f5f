"""A project as an object: its identity, its paths, and what it does not do."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.errors import InvalidArgument, PeeweeConvError
from peewee_conv.schemas import features

MakeProject = Callable[..., Project]


def test_projects_are_equal_by_resolved_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    same = [Project(tmp_path / "real"), Project(str(tmp_path / "real")), Project(tmp_path / "link" / "." / "")]

    assert same[0] == same[1] == same[2]
    assert len({*same, Project(tmp_path / "other")}) == 2


def test_a_project_is_not_equal_to_its_path(project: Project) -> None:
    assert project != project.path
    assert project != str(project.path)


def test_a_project_shows_its_path(tmp_path: Path) -> None:
    assert repr(Project(tmp_path / "aurora")) == f"Project('{tmp_path}/aurora')"


def test_a_project_has_the_name_of_its_directory(tmp_path: Path) -> None:
    project = Project(tmp_path / "aurora")

    assert (project.name, project.path) == ("aurora", tmp_path / "aurora")


def test_a_project_exists_when_it_has_files_of_ours(project: Project) -> None:
    assert project.exists() is False
    project.path.mkdir()
    assert project.exists() is False

    project.conversations.create()

    assert project.exists() is True


def test_the_path_of_a_file_is_known_before_it_is_made(project: Project, tickets: Tickets) -> None:
    folder = project.path / ".peewee_conv"

    assert project.database_path() == folder / "assistant.db"
    assert project.database_path(features) == folder / "features.db"
    assert project.database_path(tickets.schema) == folder / "tickets.db"
    assert not folder.exists()


@pytest.mark.parametrize("path", [None, 7, b"x", "", " ", "a\0b"])
def test_a_bad_path_is_one_clear_error(path: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid path"):
        Project(path)


def test_a_path_like_object_is_a_path(tmp_path: Path) -> None:
    class Somewhere:
        def __fspath__(self) -> str:
            return os.fspath(tmp_path / "aurora")

    assert Project(Somewhere()) == Project(tmp_path / "aurora")


def test_a_project_is_usable_as_a_key_while_it_is_in_use(project: Project) -> None:
    seen = {project: 1}
    with project:
        project.conversations.create()

    assert seen[Project(project.path)] == 1


def test_a_disposed_project_still_has_its_identity(project: Project) -> None:
    project.dispose()

    assert project == Project(project.path)
    assert project.name == "project"


def test_reading_a_project_that_is_not_there_makes_it(project: Project) -> None:
    assert project.conversations.list() == []
    assert project.exists()


def test_every_error_of_a_project_is_of_the_one_tree(project: Project) -> None:
    with pytest.raises(PeeweeConvError):
        project.conversations.get("missing")
    with pytest.raises(LookupError):
        project.conversations.get("missing")


def test_records_travel_between_processes(project: Project) -> None:
    talk = project.conversations.create(title="x")
    project.dispose()

    assert pickle.loads(pickle.dumps(talk)) == talk
