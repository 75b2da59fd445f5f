"""``feature_list.json`` in and out: once, whole or not at all, and nothing is lost on the way."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peewee_conv import Project
from peewee_conv.errors import ImportRejected, InvalidArgument
from peewee_conv.feature_transfer import export_features, import_features
from peewee_conv.schemas import features as schema


@pytest.fixture
def folder(project: Project) -> Path:
    project.path.mkdir(exist_ok=True)
    return project.path


def write(folder: Path, content: Any) -> Path:
    path = folder / "feature_list.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def imported(project: Project, *items: Any) -> list[dict[str, Any]]:
    write(project.path, list(items))
    assert import_features(project).outcome == "imported"
    return [feature.to_dict() for feature in project.features.all()]


# --- in ---


def test_without_a_file_nothing_happens(project: Project) -> None:
    assert import_features(project) == ("no file", 0, None)


def test_the_file_is_moved_away_after_its_import(project: Project, folder: Path) -> None:
    path = write(folder, [{"name": "a"}])

    done = import_features(project)

    assert (done.outcome, done.stored) == ("imported", 1)
    assert done.backup is not None
    assert done.backup.startswith(f"{path}.backup.")
    assert not path.exists()
    assert json.loads(Path(done.backup).read_text()) == [{"name": "a"}]


def test_an_older_backup_of_the_same_second_is_kept(
    project: Project, folder: Path, make_project: Callable[..., Project]
) -> None:
    backups = set()
    for number in range(3):
        write(folder, [{"name": str(number)}])
        backups.add(import_features(project).backup)
        project.features.delete(1)

    names = [name for name in backups if name is not None]
    assert sorted(json.loads(Path(name).read_text())[0]["name"] for name in names) == ["0", "1", "2"]


def test_a_file_that_cannot_be_moved_is_imported_nevertheless(project: Project, folder: Path) -> None:
    path = write(folder, [{"name": "a"}])
    with path.open() as file:
        source = f"/dev/fd/{file.fileno()}"  # no folder in which anything can be renamed

        assert import_features(project, source) == ("imported", 1, None)
        assert import_features(project, source).outcome == "not empty"

    assert path.exists()


def test_a_queue_with_features_is_left_alone(project: Project, folder: Path) -> None:
    project.features.create("mine")
    path = write(folder, [{"name": "theirs"}])

    assert import_features(project) == ("not empty", 0, None)
    assert path.exists()
    assert [feature.name for feature in project.features.all()] == ["mine"]


def test_an_empty_list_is_imported_and_moved(project: Project, folder: Path) -> None:
    path = write(folder, [])

    assert import_features(project).outcome == "imported"
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"features": []},
        None,
        b"",
        b"{",
        b"\xff\xfe[]",
        b"\xff",
        b'[{"name": "\xff"}]',
        b'[{"name": "a", "name": "b"}]',
        b"[" * 100_000,
        b"[1e999]",
    ],
    ids=repr,
)
def test_what_is_no_list_in_json_is_refused_and_stays(project: Project, folder: Path, content: Any) -> None:
    path = write(folder, content)

    with pytest.raises(ImportRejected, match="nothing was written"):
        import_features(project)

    assert path.exists()
    assert project.features.all() == []


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_what_is_no_file_is_refused(project: Project, folder: Path, kind: str) -> None:
    path = folder / "feature_list.json"
    make = {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "dangling link": lambda: path.symlink_to("nowhere")}
    make[kind]()

    with pytest.raises(ImportRejected, match="this is no file"):
        import_features(project)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "it is NoneType"),
        ("x", "it is str"),
        ([], "it is list"),
        ({"id": 1}, "id 1 occurs twice"),
        ({"id": "seven"}, "id is"),
        ({"id": "7"}, "id is"),
        ({"id": 0}, "id is"),
        ({"id": 2**63}, "id is"),
        ({"id": True}, "id is"),
        ({"id": 1.5}, "id is"),
        ({"priority": "high"}, "priority is"),
        ({"priority": 1.5}, "priority is"),
        ({"name": None}, "name is null"),
        ({"category": None}, "category is null"),
        ({"description": None}, "description is null"),
        ({"name": "\ud800"}, "name is"),
        ({"passes": "yes"}, "passes is"),
        ({"passes": "true"}, "passes is"),
        ({"passes": 2}, "passes is"),
        ({"steps": "one"}, "steps is"),
        ({"steps": ["\ud800"]}, "steps is"),
        ({"steps": [float("nan")]}, "NaN is no JSON"),
        ({"dependencies": "1"}, "dependencies is"),
        ({"dependencies": [1, "2"]}, "dependencies is"),
        ({"dependencies": [1, 1]}, "dependencies is"),
        ({"dependencies": list(range(21))}, "dependencies is"),
        ({"id": 2, "dependencies": [2]}, "it would wait for itself: 2 -> 2"),
        ({"human_input_request": "?"}, "human_input_request is"),
        ({"owner": "me"}, "unknown key 'owner'"),
    ],
    ids=repr,
)
def test_one_bad_item_refuses_the_whole_import_and_is_named(
    project: Project, folder: Path, item: Any, reason: str
) -> None:
    path = write(folder, [{"id": 1, "name": "good"}, item])

    with pytest.raises(ImportRejected) as caught:
        import_features(project)

    assert reason in caught.value.reason
    assert "item 2" in caught.value.reason or "NaN" in reason
    assert path.exists()
    assert project.features.all() == []


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, {"id": 1, "priority": 1, "name": "Feature 1", "category": "uncategorized", "description": ""}),
        ({"id": None, "priority": None}, {"id": 1, "priority": 999}),
        ({"passes": None, "in_progress": None}, {"passes": False, "in_progress": False}),
        ({"passes": 1, "in_progress": 0}, {"passes": True, "in_progress": False}),
        ({"in_progress": True}, {"in_progress": True}),
        ({"steps": None, "dependencies": None}, {"steps": [], "dependencies": []}),
        ({"steps": [1, {"a": None}]}, {"steps": [1, {"a": None}]}),
        ({"dependencies": [99]}, {"dependencies": [99]}),
        ({"needs_human_input": True}, {"needs_human_input": True}),
        ({"human_input_request": {"prompt": "é"}}, {"human_input_request": {"prompt": "é"}}),
        ({"human_input_response": {"fields": {}}}, {"human_input_response": {"fields": {}}}),
        ({"name": "x" * 300}, {"name": "x" * 300}),
    ],
    ids=repr,
)
def test_what_an_item_leaves_out_gets_the_documented_default(
    project: Project, folder: Path, item: dict[str, Any], expected: dict[str, Any]
) -> None:
    (found,) = imported(project, item)

    assert {name: found[name] for name in expected} == expected


def test_ids_that_are_left_out_never_clash_with_others(project: Project, folder: Path) -> None:
    found = imported(project, {"id": 2, "name": "a"}, {"name": "b"}, {"name": "c"}, {"id": 9, "name": "d"})

    assert [(feature["id"], feature["name"]) for feature in found] == [(2, "a"), (10, "b"), (3, "c"), (9, "d")]


def test_a_byte_order_mark_is_read_over(project: Project, folder: Path) -> None:
    write(folder, b'\xef\xbb\xbf[{"name": "a"}]')

    assert import_features(project).stored == 1


def test_a_list_of_another_place_can_be_imported(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("[{}]")

    assert import_features(project, path).backup is not None
    assert not path.exists()


def test_what_is_no_path_is_refused(project: Project) -> None:
    with pytest.raises(InvalidArgument, match="path"):
        import_features(project, 7)  # type: ignore[arg-type]


def test_new_features_get_ids_after_the_imported_ones(project: Project, folder: Path) -> None:
    imported(project, {"id": 41})

    assert project.features.create("x").id == 42


# --- out ---


def test_an_export_is_ordered_by_priority_then_id(project: Project, folder: Path) -> None:
    project.features.create_many([{"name": "x", "priority": priority} for priority in (3, 1, 1)])

    found = json.loads(Path(export_features(project)).read_bytes())

    assert [item["id"] for item in found] == [2, 3, 1]
    assert found[0] == project.features.get(2).to_dict()


def test_an_export_is_ascii_with_two_spaces_and_no_end_of_line(project: Project, folder: Path) -> None:
    project.features.create("café")

    text = Path(export_features(project)).read_bytes()

    assert text.startswith(b'[\n  {\n    "id": 1,\n')
    assert b'"name": "caf\\u00e9"' in text
    assert text.endswith(b"\n]")


def test_an_empty_queue_is_exported_as_an_empty_list(project: Project, tmp_path: Path) -> None:
    path = export_features(project, tmp_path / "out.json")

    assert Path(path).read_bytes() == b"[]"


def test_an_older_export_is_replaced_and_no_draft_is_left(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for _ in range(2):
        export_features(project, folder / "list.json")

    assert os.listdir(folder) == ["list.json"]


def test_a_missing_folder_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="a path in a folder that exists"):
        export_features(project, tmp_path / "nowhere" / "list.json")


def test_an_export_does_not_replace_the_database_in_use(project: Project) -> None:
    project.features.create("x")

    with pytest.raises(InvalidArgument, match="database, or its log"):
        export_features(project, project.database_path(schema))


# --- there and back ---

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
values = st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts, st.lists, max_leaves=5)
objects = st.none() | st.dictionaries(texts, values, max_size=3)
items = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.integers(-9, 9),
        "name": texts,
        "category": texts,
        "description": texts,
        "steps": st.lists(values, max_size=3),
        "passes": st.booleans(),
        "in_progress": st.booleans(),
        "needs_human_input": st.booleans(),
        "dependencies": st.lists(st.integers(50, 60), max_size=3, unique=True),
        "human_input_request": objects,
        "human_input_response": objects,
    },
)


@given(st.lists(items, max_size=5))
@settings(max_examples=30, deadline=None)
def test_export_import_export_gives_the_same_bytes(found: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = (Project(os.path.join(folder, name), durability="normal") for name in ("first", "second"))
        first.path.mkdir()
        write(first.path, found)
        import_features(first)
        exported = Path(export_features(first, os.path.join(folder, "list.json"))).read_bytes()
        import_features(second, os.path.join(folder, "list.json"))

        again = Path(export_features(second, os.path.join(folder, "again.json"))).read_bytes()

        first.dispose(), second.dispose()
    assert again == exported
