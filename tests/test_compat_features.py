"""AutoForge's ``api.database`` and ``api.migration`` under their old names, and what its documents promise."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import legacy_files
import pytest
from orm_tools import column, feature, is_locked, schedule

from peewee_conv import Project
from peewee_conv.compat import autoforge_paths, feature_database
from peewee_conv.compat.feature_database import (
    Base,
    Feature,
    Schedule,
    ScheduleOverride,
    SessionMaker,
    atomic_transaction,
    create_database,
    dispose_engine,
    export_to_json,
    get_database_path,
    get_database_url,
    get_db,
    migrate_json_to_sqlite,
    set_session_maker,
    text,
)
from peewee_conv.database.cache import cache
from peewee_conv.errors import DatabaseBusy, DatabaseCorrupt, DatabaseFailure, InvalidArgument


@pytest.fixture
def maker(tmp_path: Path) -> SessionMaker:
    return create_database(tmp_path)[1]


@pytest.fixture
def global_maker(maker: SessionMaker, monkeypatch: pytest.MonkeyPatch) -> SessionMaker:
    """What ``get_db`` uses, for one test."""
    monkeypatch.setattr(feature_database, "_session_maker", None)
    set_session_maker(maker)
    return maker


# --- objects ---

KEYS = [
    "id",
    "priority",
    "category",
    "name",
    "description",
    "steps",
    "passes",
    "in_progress",
    "dependencies",
    "needs_human_input",
    "human_input_request",
    "human_input_response",
]


def test_a_feature_is_a_dictionary_of_twelve_keys_in_their_order() -> None:
    found = Feature(name="Log in").to_dict()

    assert list(found) == KEYS
    assert (found["passes"], found["in_progress"], found["needs_human_input"]) == (False, False, False)
    assert (found["id"], found["dependencies"]) == (None, [])


@pytest.mark.parametrize("malformed", ["12", {"a": 1}, [1, "2"], (1,)])
def test_malformed_dependencies_are_shown_as_they_are(malformed: Any) -> None:
    assert Feature(dependencies=malformed).to_dict()["dependencies"] == malformed


@pytest.mark.parametrize(
    ("dependencies", "ids"),
    [(None, []), ([], []), ("12", []), ((1, 2), []), ([3, "4", 5.0, None, True], [3, True]), ({"1": 2}, [])],
    ids=str,
)
def test_safe_dependencies_are_the_whole_numbers_of_a_list(dependencies: Any, ids: list[int]) -> None:
    assert Feature(dependencies=dependencies).get_dependencies_safe() == ids


def test_a_schedule_is_a_dictionary_with_a_time_without_offset(maker: SessionMaker) -> None:
    with maker() as session:
        session.add(schedule(created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
        session.commit()
        found = session.query(Schedule).one().to_dict()

    assert list(found.items()) == [
        ("id", 1),
        ("project_name", "aurora"),
        ("start_time", "22:00"),
        ("duration_minutes", 60),
        ("days_of_week", 127),
        ("enabled", True),
        ("yolo_mode", False),
        ("model", None),
        ("max_concurrency", 3),
        ("crash_count", 0),
        ("created_at", "2026-01-02T03:04:05"),
    ]


def test_an_unsaved_schedule_has_no_defaults_yet() -> None:
    made = schedule()

    assert (made.enabled, made.days_of_week, made.to_dict()["created_at"]) == (None, None, None)


def test_an_override_is_a_dictionary(maker: SessionMaker) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 600000)  # noqa: DTZ001
    with maker() as session:
        session.add(schedule())
        session.flush()
        session.add(ScheduleOverride(schedule_id=1, override_type="start", expires_at=at, created_at=at))
        session.commit()
        found = session.query(ScheduleOverride).one()

    assert found.expires_at == at
    assert list(found.to_dict().items()) == [
        ("id", 1),
        ("schedule_id", 1),
        ("override_type", "start"),
        ("expires_at", "2026-01-02T03:04:05.600000"),
        ("created_at", "2026-01-02T03:04:05.600000"),
    ]


@pytest.mark.parametrize(("weekday", "is_active"), [(0, True), (1, False), (6, True), (7, False), (-1, False)])
def test_a_schedule_is_active_on_the_days_of_its_bits(weekday: int, is_active: bool) -> None:
    assert schedule(days_of_week=0b1000001).is_active_on_day(weekday) is is_active


def test_the_classes_have_one_base() -> None:
    assert all(issubclass(each, Base) for each in (Feature, Schedule, ScheduleOverride))


# --- engines ---


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


# --- get_db and atomic_transaction ---


def test_without_a_session_maker_there_is_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_database, "_session_maker", None)
    sessions = get_db()

    with pytest.raises(RuntimeError, match=r"^Database not initialized\. Call set_session_maker first\.$"):
        next(iter(sessions))


def test_a_session_of_get_db_commits_nothing_by_itself(global_maker: SessionMaker, tmp_path: Path) -> None:
    for session in get_db():
        session.add(feature())
        session.flush()

    assert column(tmp_path) == []


def test_a_session_of_get_db_is_rolled_back_when_its_user_fails(global_maker: SessionMaker, tmp_path: Path) -> None:
    sessions: Any = get_db()
    session = next(sessions)
    session.add(feature())
    session.flush()

    with pytest.raises(KeyError, match="mine"):
        sessions.throw(KeyError("mine"))

    assert not is_locked(tmp_path)
    assert column(tmp_path) == []


def test_an_atomic_transaction_commits(maker: SessionMaker, tmp_path: Path) -> None:
    with atomic_transaction(maker) as session:
        session.add(feature())

    assert column(tmp_path) == ["Log in"]


def test_an_atomic_transaction_rolls_back_and_raises_what_was_raised(maker: SessionMaker, tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_transaction(maker) as session:
            session.add(feature())
            session.flush()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()

    assert column(tmp_path) == []
    assert not is_locked(tmp_path)


def test_priorities_read_and_given_in_atomic_transactions_are_all_different(
    maker: SessionMaker, tmp_path: Path
) -> None:
    def append(number: int) -> None:
        with atomic_transaction(maker) as session:
            last = session.query(Feature).order_by(Feature.priority.desc()).first()
            session.add(feature(str(number), priority=last.priority + 1 if last else 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(20)))

    assert sorted(column(tmp_path, "priority")) == list(range(1, 21))


def test_of_two_that_claim_what_both_saw_free_one_succeeds(maker: SessionMaker, tmp_path: Path) -> None:
    with maker() as session:
        session.add(feature())
        session.commit()
    first, second = maker(), maker()
    seen = [each.query(Feature).filter_by(in_progress=False).one() for each in (first, second)]
    for each in seen:
        each.in_progress = True

    first.commit()
    with pytest.raises(DatabaseBusy):
        second.commit()
    first.close()
    second.close()


# --- where the original fell short ---


def test_an_override_without_its_schedule_is_refused(maker: SessionMaker) -> None:
    with maker() as session:
        session.add(ScheduleOverride(schedule_id=99999, override_type="stop", expires_at=session.now()))

        with pytest.raises(InvalidArgument, match="FOREIGN KEY constraint failed"):
            session.commit()


def test_a_reader_does_not_wait_for_a_session_that_reads(maker: SessionMaker) -> None:
    with maker() as first, maker() as second:
        first.query(Feature).all()
        started = time.monotonic()
        second.query(Feature).all()
        second.add(feature())
        second.commit()

        assert time.monotonic() - started < 5


def test_a_schedule_keeps_its_concurrency_and_its_lack_of_days(maker: SessionMaker) -> None:
    with maker() as session:
        session.add(schedule(max_concurrency=5, days_of_week=0))
        session.commit()
        found = session.query(Schedule).one()

    assert found.max_concurrency == 5
    assert not any(found.is_active_on_day(day) for day in range(7))
    assert Project(session.project.path).schedules.active_window() is None


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


def test_a_long_chain_of_dependencies_is_no_cycle(maker: SessionMaker) -> None:
    with maker() as session:
        session.add_all(feature(str(id), id=id, dependencies=[id - 1] if id > 1 else None) for id in range(1, 61))
        session.commit()

    assert Project(session.project.path).features.add_dependency(60, 1).dependencies == [1, 59]


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


# --- feature_list.json ---


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
    assert list(found[0]) == KEYS


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


def test_a_missing_folder_is_an_error_of_the_system(maker: SessionMaker, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        export_to_json(tmp_path, maker, tmp_path / "missing" / "x.json")


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(maker: SessionMaker, tmp_path: Path) -> None:
    name = "x" * 300 + ".json"  # longer than any file system takes

    with pytest.raises(OSError, match="long"):
        export_to_json(tmp_path, maker, tmp_path / name)


def test_a_database_that_cannot_be_read_is_not_exported(maker: SessionMaker, tmp_path: Path) -> None:
    dispose_engine(tmp_path)
    get_database_path(tmp_path).write_bytes(b"no database at all, but long enough" * 100)

    with pytest.raises(DatabaseFailure):
        export_to_json(tmp_path, maker)
