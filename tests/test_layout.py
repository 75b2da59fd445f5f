"""An old layout moves into the data folder, and loses nothing while others read and write."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from legacy_files import ASSISTANT, NEWEST, NEWEST_ROWS, dump, make

from peewee_conv import Project
from peewee_conv.errors import DatabaseBusy, DatabaseGone, ProjectDisposed
from peewee_conv.layout import move_layout
from peewee_conv.schemas import features

MakeProject = Callable[..., Project]
PLACES = [".autoforge", ".autocoder", "."]


def old_project(tmp_path: Path, place: str = ".autoforge", journal: str = "wal") -> Path:
    folder = tmp_path / "project" / place
    make(folder / "features.db", NEWEST + NEWEST_ROWS, journal)
    return folder / "features.db"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_files_move_from_every_old_place(tmp_path: Path, make_project: MakeProject, place: str, journal: str) -> None:
    old = old_project(tmp_path, place, journal)
    make(old.with_name("assistant.db"), ASSISTANT)
    project = make_project(journal_mode=journal)

    lines = move_layout(project)

    prefix = "" if place == "." else f"{place}/"
    assert lines == [f"{prefix}{name}.db -> .peewee_conv/{name}.db" for name in ("assistant", "features")]
    assert project.database_path(features) == tmp_path / "project" / ".peewee_conv" / "features.db"
    assert [name for name in os.listdir(old.parent) if name.endswith((".db", "-wal", "-shm"))] == []
    assert [feature.id for feature in project.features.all()] == [1, 4, 9]
    assert project.conversations.list() == []


def test_a_second_move_does_nothing(tmp_path: Path, make_project: MakeProject) -> None:
    old_project(tmp_path)
    project = make_project()
    move_layout(project)

    assert move_layout(project) == []


def test_a_project_of_ours_has_nothing_to_move(project: Project) -> None:
    project.features.create("x")

    assert move_layout(project) == []


def test_the_first_old_place_with_the_file_counts(tmp_path: Path, make_project: MakeProject) -> None:
    for number, place in enumerate(PLACES, start=1):
        make(tmp_path / "project" / place / "features.db", f"{NEWEST}{feature(number)}")

    assert [found.id for found in make_project().features.all()] == [1]


def feature(id: int) -> str:
    return (
        "INSERT INTO features (id, priority, category, name, description, steps, passes, in_progress,"
        f" needs_human_input) VALUES ({id}, 1, 'a', 'b', 'c', '[]', 0, 0, 0);"
    )


def test_a_reader_in_the_middle_of_a_snapshot_loses_nothing(tmp_path: Path, make_project: MakeProject) -> None:
    old = old_project(tmp_path)
    project = make_project()
    project.features.stats()
    with closing(sqlite3.connect(old, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM features").fetchone()
        made = [project.features.create(f"after the snapshot {n}").id for n in range(15)]

        move_layout(project)

        assert reader.execute("SELECT count(*) FROM features").fetchone() == (3,)
    assert [found.id for found in project.features.all()][-15:] == made


def test_a_write_through_an_open_project_lands_in_the_new_file(tmp_path: Path, make_project: MakeProject) -> None:
    old_project(tmp_path)
    project, other = make_project(), make_project()
    project.features.create("before")

    move_layout(project)
    made = other.features.create("after")

    assert made.id in [row["id"] for row in dump(project.database_path(features), "features")]


def test_nothing_that_was_acknowledged_is_lost_while_threads_write(tmp_path: Path, make_project: MakeProject) -> None:
    old_project(tmp_path)
    project = make_project()
    acknowledged: list[int] = []
    moved = threading.Event()

    def write() -> None:
        after = 0
        while after < 20:
            try:
                acknowledged.append(project.features.create("x").id)
            except (DatabaseGone, DatabaseBusy):
                continue
            after += moved.is_set()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    move_layout(project)
    moved.set()
    for thread in threads:
        thread.join()

    stored = [feature.id for feature in project.features.all()]
    assert len(acknowledged) == len(set(acknowledged)) >= 80
    assert set(acknowledged) <= set(stored)


def test_a_writer_that_does_not_end_keeps_the_old_layout(tmp_path: Path, make_project: MakeProject) -> None:
    old = old_project(tmp_path)
    project = make_project(busy_timeout_ms=50)
    project.features.stats()
    with closing(sqlite3.connect(old, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        with pytest.raises(DatabaseBusy):
            move_layout(project)

    assert old.exists()
    assert not project.path.joinpath(".peewee_conv", "features.db").exists()
    assert move_layout(project) != []


def test_whoever_holds_the_old_file_open_writes_nothing_into_it(tmp_path: Path, make_project: MakeProject) -> None:
    old_project(tmp_path)
    project = make_project()
    with project:
        features.database.execute_sql("SELECT count(*) FROM features")
        thread = threading.Thread(target=move_layout, args=(project,))
        thread.start()
        thread.join()

        with pytest.raises((DatabaseGone, ProjectDisposed)):
            project.features.create("into the void")

    assert project.features.create("into the new file").id == 10


def test_other_files_of_the_old_place_stay(tmp_path: Path, make_project: MakeProject) -> None:
    old = old_project(tmp_path)
    (old.parent / "prompts").mkdir()

    move_layout(make_project())

    assert "prompts" in os.listdir(old.parent)


# --- deleting ---


@pytest.mark.parametrize("place", PLACES)
def test_a_project_with_a_file_in_an_old_place_exists_until_it_is_deleted(
    tmp_path: Path, make_project: MakeProject, place: str
) -> None:
    old = old_project(tmp_path, place)
    make(old.with_name("assistant.db"), ASSISTANT)
    project = make_project()
    assert project.exists()

    assert project.delete() is True

    assert not project.exists()
    assert list(project.path.rglob("*.db*")) == []
    assert project.delete() is False


def test_an_upgraded_project_is_deleted_with_its_copies_and_rejects(tmp_path: Path, make_project: MakeProject) -> None:
    old = old_project(tmp_path)
    old.with_name("features.db.rejected.jsonl").write_text("{}\n")
    project = make_project()
    project.features.stats()

    project.delete()

    assert os.listdir(project.path) == []


def test_deleting_leaves_the_files_of_others(tmp_path: Path, make_project: MakeProject) -> None:
    old = old_project(tmp_path)
    for name in ("features.db.bak", "my-features.db", "settings.json"):
        old.with_name(name).write_text("mine")
    make(tmp_path / "project" / "assistant.db", "CREATE TABLE recipes (id INTEGER PRIMARY KEY);")
    project = make_project()

    assert project.delete() is True

    assert sorted(os.listdir(old.parent)) == ["features.db.bak", "my-features.db", "settings.json"]
    assert (project.path / "assistant.db").exists()
    assert project.delete() is False
