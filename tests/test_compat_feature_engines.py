"""AutoForge's engines: one for a path, and the files that they make, find, move and upgrade."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import legacy_files
import pytest
from orm_tools import column, feature
from orm_tools import maker as maker

from peewee_conv.compat import autoforge_paths
from peewee_conv.compat.feature_database import (
    Feature,
    SessionMaker,
    create_database,
    dispose_engine,
    get_database_path,
    get_database_url,
    text,
)
from peewee_conv.database.cache import cache
from peewee_conv.errors import DatabaseCorrupt, InvalidArgument


def test_parent_folders_are_made(tmp_path: Path) -> None:
    create_database(tmp_path / "a" / "b")

    assert get_database_path(tmp_path / "a" / "b").is_file()


def test_asking_for_the_path_makes_nothing(tmp_path: Path) -> None:
    assert get_database_path(tmp_path / "new") == tmp_path / "new" / ".peewee_conv" / "features.db"
    assert get_database_url(tmp_path / "new") == f"sqlite:///{tmp_path.as_posix()}/new/.peewee_conv/features.db"
    assert not (tmp_path / "new").exists()


def test_one_resolved_path_has_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    engine, maker = create_database(tmp_path / "real")

    assert create_database(Path("real")) == (engine, maker)
    assert create_database(Path("link")) == (engine, maker)
    assert engine.url == get_database_url(tmp_path / "link")


def test_threads_that_start_at_once_get_one_engine(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def start(_: int) -> Any:
        barrier.wait(10)
        return create_database(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(start, range(8)))

    assert len(found) == 1


def test_a_file_that_cannot_be_opened_is_no_engine(tmp_path: Path) -> None:
    path = get_database_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"no database at all, but long enough" * 100)

    with pytest.raises(DatabaseCorrupt):
        create_database(tmp_path)
    assert dispose_engine(tmp_path) is False


def test_an_engine_is_disposed_once(tmp_path: Path) -> None:
    create_database(tmp_path)

    assert (dispose_engine(tmp_path), dispose_engine(tmp_path)) == (True, False)


def test_a_session_maker_works_after_its_engine_was_disposed(tmp_path: Path) -> None:
    engine, maker = create_database(tmp_path)
    with maker() as session:
        session.add(feature())
        session.commit()
    engine.dispose()

    with maker() as session:
        assert session.query(Feature).count() == 1


def test_a_disposal_closes_what_a_session_has_opened_again(tmp_path: Path) -> None:
    _, maker = create_database(tmp_path)
    dispose_engine(tmp_path)
    with maker() as session:
        session.query(Feature).count()

    assert not dispose_engine(tmp_path)

    assert cache.open_databases() == []


def test_a_project_that_was_reset_starts_clean(tmp_path: Path) -> None:
    with create_database(tmp_path)[1]() as session:
        session.add(feature())
        session.commit()
    dispose_engine(tmp_path)
    get_database_path(tmp_path).unlink()

    with create_database(tmp_path)[1]() as session:
        assert session.query(Feature).count() == 0


def test_every_connection_has_the_rules_of_the_engine(maker: SessionMaker) -> None:
    with maker() as session:
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == 30000
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_file_with_the_testing_columns_takes_new_rows(tmp_path: Path) -> None:
    legacy_files.make(tmp_path / "features.db", legacy_files.SHAPES["testing columns"])

    with create_database(tmp_path)[1]() as session:
        session.add(feature())
        session.commit()

        assert session.query(Feature).count() == 3
    assert get_database_path(tmp_path) == tmp_path / "features.db"


def test_a_row_with_empty_flags_can_be_claimed(tmp_path: Path) -> None:
    legacy_files.make(tmp_path / ".autoforge" / "features.db", legacy_files.SHAPES["NULL in all flags"])
    claim = text(
        "UPDATE features SET in_progress = 1"
        " WHERE id = :id AND passes = 0 AND in_progress = 0 AND needs_human_input = 0"
    )

    with create_database(tmp_path)[1]() as session:
        assert session.execute(claim, {"id": 2}).rowcount == 1


def test_sessions_find_the_file_after_its_move(tmp_path: Path) -> None:
    legacy_files.make(tmp_path / "features.db", legacy_files.SHAPES["the newest release"])
    maker = create_database(tmp_path)[1]
    with maker() as session:
        before = session.query(Feature).count()

    moved = autoforge_paths.migrate_project_layout(tmp_path)
    with maker() as session:
        session.add(feature())
        session.commit()

    assert moved == ["features.db -> .peewee_conv/features.db"]
    assert not (tmp_path / "features.db").exists()
    assert len(column(tmp_path)) == before + 1


def test_nothing_is_moved_while_an_agent_runs(tmp_path: Path) -> None:
    legacy_files.make(tmp_path / "features.db", legacy_files.SHAPES["the newest release"])
    (tmp_path / ".autoforge").mkdir()
    (tmp_path / ".autoforge" / ".agent.lock").touch()

    assert autoforge_paths.has_agent_running(tmp_path)
    assert autoforge_paths.migrate_project_layout(tmp_path) == []
    assert autoforge_paths.get_features_db_path(tmp_path) == tmp_path / "features.db"


@pytest.mark.parametrize("wrong", [None, 5, b"projects", "a\0b"])
def test_what_is_no_path_has_no_agent(wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid path"):
        autoforge_paths.has_agent_running(wrong)
    with pytest.raises(InvalidArgument, match="invalid path"):
        autoforge_paths.migrate_project_layout(wrong)


def test_the_databases_have_their_paths(tmp_path: Path) -> None:
    assert autoforge_paths.get_features_db_path(tmp_path) == get_database_path(tmp_path)
    assert autoforge_paths.get_assistant_db_path(tmp_path) == tmp_path / ".peewee_conv" / "assistant.db"
    assert not autoforge_paths.has_agent_running(tmp_path)
