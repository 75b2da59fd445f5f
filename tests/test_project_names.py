"""A root folder of many projects: names are checked, and nothing leaves the root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_paths import HOSTILE

from peewee_conv import Project, Projects
from peewee_conv.errors import (
    AlreadyExists,
    DatabaseFailure,
    InvalidArgument,
    InvalidProjectName,
    ProjectNotFound,
)


@pytest.fixture
def projects(tmp_path: Path) -> Projects:
    return Projects(tmp_path / "root")


def test_a_root_is_made_with_its_first_project(tmp_path: Path, projects: Projects) -> None:
    assert projects.list() == []
    assert not (tmp_path / "root").exists()

    aurora = projects.create("aurora")

    assert aurora == Project(tmp_path / "root" / "aurora")
    assert projects.list() == ["aurora"]


def test_names_come_sorted(projects: Projects) -> None:
    for name in ("c", "a", "b"):
        projects.create(name)

    assert projects.list() == ["a", "b", "c"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("verb", ["get", "find", "create", "delete"])
def test_a_hostile_name_touches_nothing(tmp_path: Path, projects: Projects, name: Any, verb: str) -> None:
    with pytest.raises(InvalidProjectName):
        getattr(projects, verb)(name)

    assert list(tmp_path.iterdir()) == []


def test_get_raises_where_find_answers_none_and_delete_false(projects: Projects) -> None:
    assert projects.find("aurora") is None
    assert projects.delete("aurora") is False
    with pytest.raises(ProjectNotFound, match=r"project 'aurora' does not exist: create it with Projects.create\(\)"):
        projects.get("aurora")


def test_get_and_find_return_the_project(projects: Projects) -> None:
    made = projects.create("aurora")

    assert projects.get("aurora") == projects.find("aurora") == made


@pytest.mark.parametrize("name", ["aurora", "Aurora", "AURORA"])
def test_a_name_is_taken_in_every_case(projects: Projects, name: str) -> None:
    projects.create("aurora")

    with pytest.raises(AlreadyExists, match="already exists"):
        projects.create(name)

    assert projects.list() == ["aurora"]


def test_delete_removes_the_directory_if_it_is_ours_alone(tmp_path: Path, projects: Projects) -> None:
    projects.create("aurora").conversations.create()

    assert projects.delete("aurora") is True

    assert list((tmp_path / "root").iterdir()) == []


def test_delete_keeps_other_files_of_the_directory(projects: Projects) -> None:
    aurora = projects.create("aurora")
    aurora.conversations.create()
    (aurora.path / "notes.txt").write_text("mine")

    assert projects.delete("aurora") is True

    assert [file.name for file in aurora.path.iterdir()] == ["notes.txt"]


def test_settings_of_the_root_are_those_of_its_projects(tmp_path: Path) -> None:
    projects = Projects(tmp_path, data_dir="store")
    projects.create("aurora").conversations.create()

    assert (tmp_path / "aurora" / "store" / "assistant.db").is_file()


def test_what_is_no_project_is_not_listed(tmp_path: Path, projects: Projects) -> None:
    projects.create("aurora")
    root = tmp_path / "root"
    (root / "file").touch()
    (root / ".hidden").mkdir()
    (root / "bad name").mkdir()
    (root / "con").mkdir()

    assert projects.list() == ["aurora"]


@pytest.mark.parametrize("target", ["outside", "root/aurora"])
def test_a_link_is_not_followed(tmp_path: Path, projects: Projects, target: str) -> None:
    projects.create("aurora").conversations.create()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept.txt").write_text("kept")
    (tmp_path / "root" / "link").symlink_to(tmp_path / target)

    for verb in ("get", "find", "create", "delete"):
        with pytest.raises(InvalidArgument, match="a project below the root, but a link leads elsewhere"):
            getattr(projects, verb)("link")

    assert projects.list() == ["aurora"]
    assert (tmp_path / "outside" / "kept.txt").read_text() == "kept"


def test_a_root_may_itself_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    projects = Projects(tmp_path / "link")

    projects.create("aurora")

    assert projects.list() == Projects(tmp_path / "real").list() == ["aurora"]
    assert projects.path == tmp_path / "real"


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidArgument, match="expected a directory"):
        Projects(tmp_path / "file")


@pytest.mark.parametrize("verb", ["list", "create"])
def test_a_root_that_turns_into_a_file_is_one_clear_error(tmp_path: Path, projects: Projects, verb: str) -> None:
    (tmp_path / "root").touch()

    with pytest.raises(DatabaseFailure, match=r"Not a directory|File exists"):
        getattr(projects, verb)(*["aurora"][: verb == "create"])


def test_a_bad_setting_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="invalid durability"):
        Projects(tmp_path, durability="off")


def test_a_root_shows_its_path(tmp_path: Path) -> None:
    assert repr(Projects(tmp_path)) == f"Projects('{tmp_path}')"
