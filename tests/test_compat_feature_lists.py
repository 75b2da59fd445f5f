"""AutoForge's ``feature_list.json``: what is imported, what is exported, and what is left where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from orm_tools import FEATURE_KEYS, column, feature
from orm_tools import maker as maker

from peewee_conv.compat.feature_database import (
    Feature,
    SessionMaker,
    create_database,
    dispose_engine,
    export_to_json,
    get_database_path,
    migrate_json_to_sqlite,
)
from peewee_conv.errors import DatabaseFailure


def write(folder: Path, content: Any) -> Path:
    path = folder / "feature_list.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_a_list_is_imported_and_moved_away(maker: SessionMaker, tmp_path: Path) -> None:
    path = write(tmp_path, [{"name": "a"}, {"name": "b", "passes": True, "in_progress": None, "priority": None}])

    assert migrate_json_to_sqlite(tmp_path, maker) is True

    assert not path.exists()
    assert len(list(tmp_path.glob("feature_list.json.backup.*"))) == 1
    with maker() as session:
        found = session.query(Feature).order_by(Feature.id).all()
    assert [(each.id, each.priority, each.category, each.passes) for each in found] == [
        (1, 1, "uncategorized", False),
        (2, 999, "uncategorized", True),
    ]


def test_unknown_keys_are_left_out_and_named(
    maker: SessionMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = [{"name": "Login", "last_tested_at": None, "owner": {"name": "me"}}, {"name": "Logout", "owner": 1}]
    write(tmp_path, items)

    assert migrate_json_to_sqlite(tmp_path, maker) is True

    assert [one.name for one in maker().query(Feature).order_by(Feature.id).all()] == ["Login", "Logout"]
    assert "which were left out: last_tested_at, owner" in caplog.text
    (backup,) = tmp_path.glob("feature_list.json.backup.*")
    assert json.loads(backup.read_text("utf-8")) == items


def test_an_empty_list_is_imported(maker: SessionMaker, tmp_path: Path) -> None:
    write(tmp_path, [])

    assert migrate_json_to_sqlite(tmp_path, maker) is True


def test_without_a_list_nothing_is_imported(maker: SessionMaker, tmp_path: Path) -> None:
    assert migrate_json_to_sqlite(tmp_path, maker) is False


def test_nothing_is_imported_over_features(maker: SessionMaker, tmp_path: Path) -> None:
    with maker() as session:
        session.add(feature())
        session.commit()
    path = write(tmp_path, [{"name": "a"}])

    assert migrate_json_to_sqlite(tmp_path, maker) is False
    assert path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"{}",
        b"[",
        b'["\xff"]',
        [1],
        [{"id": 2}, {"id": 2}],
        [{"name": None}],
        [{"passes": "yes"}],
        [{"id": 2**64}],
    ],
    ids=str,
)
def test_a_list_that_cannot_be_kept_is_left_where_it_is(
    maker: SessionMaker, tmp_path: Path, content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, content)

    assert migrate_json_to_sqlite(tmp_path, maker) is False

    assert path.exists()
    assert column(tmp_path) == []
    assert "was not imported" in caplog.text


def test_a_folder_in_the_place_of_the_list_is_not_imported(maker: SessionMaker, tmp_path: Path) -> None:
    (tmp_path / "feature_list.json").mkdir()

    assert migrate_json_to_sqlite(tmp_path, maker) is False


def test_features_are_exported_by_priority_and_id(maker: SessionMaker, tmp_path: Path) -> None:
    with maker() as session:
        session.add_all([feature("late", priority=2), feature("caf\u00e9", priority=1), feature("c", priority=1)])
        session.commit()

    path = export_to_json(tmp_path, maker)

    assert path == tmp_path / "feature_list_export.json"
    found = json.loads(path.read_text("ascii"))
    assert [each["name"] for each in found] == ["caf\u00e9", "c", "late"]
    assert list(found[0]) == FEATURE_KEYS


def test_what_is_exported_is_imported_without_loss(maker: SessionMaker, tmp_path: Path) -> None:
    with maker() as session:
        session.add(feature(human_input_request={"prompt": "?", "fields": []}, dependencies=[7], in_progress=True))
        session.commit()
    other = tmp_path / "other"
    other.mkdir()

    export_to_json(tmp_path, maker, other / "feature_list.json")
    exported = (other / "feature_list.json").read_bytes()
    other_maker = create_database(other)[1]

    assert migrate_json_to_sqlite(other, other_maker) is True
    assert export_to_json(other, other_maker).read_bytes() == exported


def test_an_empty_database_is_exported_as_an_empty_list(maker: SessionMaker, tmp_path: Path) -> None:
    assert export_to_json(tmp_path, maker, str(tmp_path / "x.json")).read_text() == "[]"


def test_a_missing_folder_or_one_in_the_place_of_the_file_is_an_error_of_the_system(
    maker: SessionMaker, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        export_to_json(tmp_path, maker, tmp_path / "missing" / "x.json")
    with pytest.raises(IsADirectoryError):
        export_to_json(tmp_path, maker, tmp_path)


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(maker: SessionMaker, tmp_path: Path) -> None:
    name = "x" * 300 + ".json"  # longer than any file system takes

    with pytest.raises(OSError, match="long"):
        export_to_json(tmp_path, maker, tmp_path / name)


def test_a_database_that_cannot_be_read_is_not_exported(maker: SessionMaker, tmp_path: Path) -> None:
    dispose_engine(tmp_path)
    get_database_path(tmp_path).write_bytes(b"no database at all, but long enough" * 100)

    with pytest.raises(DatabaseFailure):
        export_to_json(tmp_path, maker)
