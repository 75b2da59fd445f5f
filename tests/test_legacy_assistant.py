"""An ``assistant.db`` of an older release becomes ours on its first open, with every conversation and message."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from legacy_files import ASSISTANT, dump, make, rejected_ids, rejects, schema

from peewee_conv import Project
from peewee_conv.errors import ForeignDatabase

MakeProject = Callable[..., Project]

ROWS = """
INSERT INTO conversations VALUES
    (1, 'aurora', 'Outlook', '2026-01-02 03:04:05.000006', '2026-01-03 00:00:00.000000'),
    (3, 'aurora', NULL, NULL, NULL),
    (4, 'borealis', '', '2026-01-02 03:04:05', NULL);
INSERT INTO conversation_messages VALUES
    (10, 1, 'user', 'How is the euro?', '2026-01-02 04:00:00.000000'),
    (12, 3, 'user', 'Hello \u2603', NULL),
    (11, 1, 'assistant', '', '2026-01-02 04:00:01.000000'),
    (14, 3, 'assistant', 'Hello', '2026-01-02 05:00:00.000000'),
    (15, 3, 'user', 'Bye', NULL);
"""
BAD_ROWS = f"""
INSERT INTO conversations VALUES
    (5, 'aurora', '{"t" * 201}', '2026-01-02 03:04:05.000006', '2026-01-02 03:04:05.000006'),
    (6, 'aurora', 'x', 'yesterday', NULL),
    (-7, 'aurora', 'x', NULL, NULL);
INSERT INTO conversation_messages VALUES
    (20, 1, 'robot', 'x', '2026-01-02 04:00:00.000000'),
    (21, 1, 'user', x'00ff', '2026-01-02 04:00:00.000000'),
    (22, 1, 'user', 'x', 'noon'),
    (23, 99, 'user', 'x', '2026-01-02 04:00:00.000000'),
    (24, 6, 'user', 'x', '2026-01-02 04:00:00.000000'),
    (25, 1, 'user', CAST(x'ff62' AS TEXT), '2026-01-02 04:00:00.000000'),
    (26, -7, 'robot', 'x', '2026-01-02 04:00:00.000000'),
    (30, 1, 'user', 'the last', '2026-01-02 06:00:00.000000');
"""
SHAPES = {"empty": ASSISTANT, "sound": ASSISTANT + ROWS, "unsound": ASSISTANT + ROWS + BAD_ROWS}


@pytest.fixture(params=["wal", "delete"])
def journal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_legacy(folder: Path, sql: str, journal: str = "delete", place: str = ".autoforge") -> Path:
    path = folder / "project" / place / "assistant.db"
    make(path, sql, journal)
    return path


def upgrade(project: Project) -> None:
    project.conversations.list(limit=1)
    project.dispose()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_upgraded_file_has_the_schema_of_a_fresh_one(
    tmp_path: Path, make_project: MakeProject, shape: str, journal: str
) -> None:
    path = make_legacy(tmp_path, SHAPES[shape], journal)
    fresh = make_project("fresh")
    upgrade(fresh)

    upgrade(make_project(journal_mode=journal))

    assert schema(path) == schema(fresh.database_path())


@pytest.mark.parametrize("shape", SHAPES)
def test_every_row_is_in_the_new_tables_or_once_among_the_rejects(
    tmp_path: Path, make_project: MakeProject, shape: str, journal: str
) -> None:
    path = make_legacy(tmp_path, SHAPES[shape], journal)
    conversations, messages = dump(path, "conversations"), dump(path, "conversation_messages")

    upgrade(make_project(journal_mode=journal))

    kept = [row["number"] for row in dump(path, "conversations")]
    left_out = list(rejected_ids(path, "conversations", kept=False))
    assert sorted(kept + left_out) == [row["id"] for row in conversations]
    kept = [int(row["external_id"]) for row in dump(path, "messages")]
    left_out = list(rejected_ids(path, "conversation_messages", kept=False))
    assert sorted(kept + left_out) == [row["id"] for row in messages]


def test_messages_keep_their_order_role_content_and_id(tmp_path: Path, make_project: MakeProject) -> None:
    make_legacy(tmp_path, SHAPES["unsound"])

    found = make_project().conversations.messages("1")

    assert [(m.sequence, m.external_id, m.role, m.content) for m in found] == [
        (1, "10", "user", "How is the euro?"),
        (2, "11", "assistant", ""),
        (3, "30", "user", "the last"),
    ]


def test_conversations_keep_their_values(tmp_path: Path, make_project: MakeProject) -> None:
    path = make_legacy(tmp_path, SHAPES["sound"])

    upgrade(make_project())

    columns = ("number", "id", "project_name", "title", "message_count", "created_at", "updated_at")
    first, second, third = ([row[name] for name in columns] for row in dump(path, "conversations"))
    assert first == [1, "1", "aurora", "Outlook", 2, "2026-01-02T03:04:05.000006Z", "2026-01-03T00:00:00.000000Z"]
    assert second[:5] == [3, "3", "aurora", None, 3]
    assert third == [4, "4", "borealis", None, 0, "2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:05.000000Z"]


def test_a_message_without_a_time_gets_that_of_the_message_before(tmp_path: Path, make_project: MakeProject) -> None:
    path = make_legacy(tmp_path, SHAPES["sound"])

    upgrade(make_project())

    times = {row["external_id"]: row["created_at"] for row in dump(path, "messages")}
    assert times["15"] == times["14"] == "2026-01-02T05:00:00.000000Z"


def test_a_title_that_is_too_long_is_cut_and_kept_whole_among_the_rejects(
    tmp_path: Path, make_project: MakeProject
) -> None:
    path = make_legacy(tmp_path, SHAPES["unsound"])

    assert make_project().conversations.get("5").title == "t" * 200
    assert [line["row"]["title"] for line in rejects(path) if line["kept"]] == ["t" * 201]


def test_messages_of_an_older_release_are_found_by_search(tmp_path: Path, make_project: MakeProject) -> None:
    make_legacy(tmp_path, SHAPES["sound"])

    assert [hit.message.content for hit in make_project().conversations.search("euro")] == ["How is the euro?"]


def test_a_conversation_of_an_older_release_goes_on(tmp_path: Path, make_project: MakeProject) -> None:
    make_legacy(tmp_path, SHAPES["sound"])
    project = make_project()

    assert project.conversations.add_message("1", "user", "And now?").sequence == 3
    assert project.conversations.create().number == 5


def test_the_second_open_changes_nothing(tmp_path: Path, make_project: MakeProject, journal: str) -> None:
    path = make_legacy(tmp_path, SHAPES["unsound"], journal)
    upgrade(make_project(journal_mode=journal))
    names, content = sorted(os.listdir(path.parent)), path.read_bytes()

    upgrade(make_project(journal_mode=journal))

    assert sorted(os.listdir(path.parent)) == names
    assert path.read_bytes() == content


@pytest.mark.parametrize("place", [".autoforge", ".autocoder", "."])
def test_files_are_found_in_every_old_place(tmp_path: Path, make_project: MakeProject, place: str) -> None:
    path = make_legacy(tmp_path, SHAPES["sound"], place=place)
    project = make_project()

    assert project.database_path() == path
    assert project.conversations.get("1").title == "Outlook"


def test_a_file_with_another_column_is_left_untouched(tmp_path: Path, make_project: MakeProject) -> None:
    path = make_legacy(tmp_path, ASSISTANT + "ALTER TABLE conversations ADD COLUMN owner TEXT;")
    content = path.read_bytes()

    with pytest.raises(ForeignDatabase):
        make_project().conversations.list()

    assert path.read_bytes() == content
