"""Every row of the four source systems is in the project as it was, in its order, or among the rejects."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import source_databases
from legacy_files import dump
from source_databases import SYSTEMS

from peewee_conv import Project
from peewee_conv.adopt import Adopted, adopt
from peewee_conv.schemas import assistant, features

MakeProject = Callable[..., Project]
Row = dict[str, Any]

#: Of each system: the tables of conversations and messages, the column between them, and those of their times.
TALKS = {
    "autoforge_assistant": ("conversations", "conversation_messages", "conversation_id", "timestamp"),
    "sovereign": ("threads", "messages", "thread_id", "timestamp"),
    "haia": ("conversations", "messages", "conversation_id", "created_at"),
    "chatdf": ("conversations", "messages", "conversation_id", "created_at"),
    "chatdf_head": ("conversations", "messages", "conversation_id", "created_at"),
}


def ours(text: str | None) -> str | None:
    """Return a time of theirs as it is stored here."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def rejected(report: Adopted, table: str, *, kept: bool = False) -> list[Row]:
    """Return the rows of the rejects file."""
    if report.rejects is None:
        return []
    lines = map(json.loads, Path(report.rejects).read_text("utf-8").splitlines())
    return [line["row"] for line in lines if line["table"] == table and line["kept"] is kept]


def rejected_ids(report: Adopted, table: str) -> set[Any]:
    return {row["id"] for row in rejected(report, table)}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Done(NamedTuple):
    """A source, the project that it was adopted into, and the report."""

    source: Path
    project: Path
    report: Adopted


@pytest.fixture(scope="module")
def adoptions(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Done]:
    """Adopt a source of each system once: these tests only look."""

    @cache
    def adoption(system: str) -> Done:
        folder = tmp_path_factory.mktemp(system)
        size = {"messages": 240} if system in TALKS else {}
        SYSTEMS[system](folder / "old" / f"{system}.db", **size)
        project = Project(folder / "project")
        report = adopt(folder / "old" / f"{system}.db", project)
        project.dispose()
        return Done(folder / "old" / f"{system}.db", project.path, report)

    return adoption


@pytest.fixture
def source(adoptions: Callable[[str], Done], system: str) -> Path:
    return adoptions(system).source


@pytest.fixture
def adopted(adoptions: Callable[[str], Done], system: str) -> Adopted:
    return adoptions(system).report


@pytest.fixture
def target(adoptions: Callable[[str], Done], system: str) -> Project:
    return Project(adoptions(system).project)


talks = pytest.mark.parametrize("system", TALKS, indirect=True)


def schema_of(report: Adopted) -> Any:
    return features if "features" in report.tables else assistant


def test_every_row_is_counted_once(source: Path, adopted: Adopted) -> None:
    for table, counts in adopted.tables.items():
        assert counts.found == len(dump(source, table)) == counts.copied + counts.rejected
        assert counts.rejected == len(rejected(adopted, table))
    assert sum(counts.copied for counts in adopted.tables.values()) > 20


def test_the_project_is_sound_afterwards(target: Project, adopted: Adopted) -> None:
    assert target.check(schema_of(adopted)) == []


@talks
def test_messages_keep_order_role_content_time_and_id(
    source: Path, system: str, target: Project, adopted: Adopted
) -> None:
    table, messages, reference, time = TALKS[system]
    left_out = rejected_ids(adopted, messages)
    assert adopted.tables[messages].copied > 500

    for talk in dump(source, table):
        if talk["id"] in rejected_ids(adopted, table):
            continue
        with closing(sqlite3.connect(source)) as connection:
            found = connection.execute(
                f"SELECT id, role, content, {time} FROM {messages} WHERE {reference} = ? ORDER BY {time}, rowid",
                (talk["id"],),
            ).fetchall()
        assert [
            (m.external_id, m.role, m.content, m.to_dict()["created_at"])
            for m in target.conversations.iterate(str(talk["id"]))
        ] == [
            (str(id), role.lower(), content, ours(at or talk["created_at"]))
            for id, role, content, at in found
            if id not in left_out
        ]


@talks
def test_conversations_keep_their_times_and_ids(source: Path, system: str, target: Project, adopted: Adopted) -> None:
    table = TALKS[system][0]

    for talk in dump(source, table):
        if talk["id"] not in rejected_ids(adopted, table):
            found = target.conversations.get(str(talk["id"])).to_dict()
            assert found["created_at"] == ours(talk["created_at"])
            assert found["updated_at"] == ours(talk["updated_at"] or talk["created_at"])
            assert found["number"] == talk["id"] or isinstance(talk["id"], str)


@talks
def test_conversations_count_what_they_have(target: Project, adopted: Adopted) -> None:
    for talk in target.conversations.list(limit=100):
        messages = list(target.conversations.iterate(talk.id))
        assert talk.message_count == len(messages) == talk.last_sequence
        assert talk.token_count == sum(message.token_count or 0 for message in messages)


@talks
def test_adopted_text_is_found_by_search(target: Project, adopted: Adopted) -> None:
    for word in ("market", "日本"):
        hits = target.conversations.search(word, limit=1000)
        stored = dump(target.database_path(), "messages")

        assert len(hits) == sum(word in row["content"] for row in stored) > 0


# --- AutoForge ---


@pytest.mark.parametrize("system", ["autoforge_assistant"], indirect=True)
def test_titles_and_project_names_of_autoforge_stay(source: Path, target: Project, adopted: Adopted) -> None:
    for talk in dump(source, "conversations"):
        found = target.conversations.get(str(talk["id"]))
        assert found.project_name == "aurora"
        if talk["title"]:
            assert found.title == talk["title"]


@pytest.mark.parametrize("system", ["autoforge_features"], indirect=True)
def test_features_of_autoforge_are_as_an_upgrade_makes_them(
    source: Path, target: Project, adopted: Adopted, make_project: MakeProject
) -> None:
    upgraded = make_project("upgraded")
    (upgraded.path / "features.db").parent.mkdir()
    shutil.copyfile(source, upgraded.path / "features.db")
    upgraded.features.stats()

    for table in ("features", "schedules", "schedule_overrides"):
        assert dump(target.database_path(features), table) == dump(upgraded.path / "features.db", table)


# --- Sovereign Assistant ---


@pytest.mark.parametrize("system", ["sovereign"], indirect=True)
def test_assistants_of_sovereign_keep_every_value(source: Path, target: Project, adopted: Adopted) -> None:
    for row in dump(source, "assistants"):
        times = {name: ours(row[name]) for name in ("created_at", "updated_at")}
        assert target.assistants.get(row["id"]).to_dict() == {**row, **times, "metadata": {}}


@pytest.mark.parametrize("system", ["sovereign"], indirect=True)
def test_threads_of_sovereign_keep_assistant_and_metadata(source: Path, target: Project, adopted: Adopted) -> None:
    expected = {
        "{}": {},
        '{"a": [1, "\\u00e9"]}': {"a": [1, "é"]},
        "[1]": {"thread_metadata": [1]},
        "null": {},
        None: {},
    }

    for row in dump(source, "threads"):
        if row["id"] not in rejected_ids(adopted, "threads"):
            found = target.conversations.get(row["id"])
            assert (found.assistant_id, found.metadata) == (row["assistant_id"], expected[row["thread_metadata"]])


@pytest.mark.parametrize("system", ["sovereign", "haia"], indirect=True)
def test_untitled_conversations_are_titled_by_their_first_user_message(target: Project, adopted: Adopted) -> None:
    for talk in target.conversations.list(limit=100):
        texts = [m.content for m in target.conversations.iterate(talk.id) if m.role == "user" and m.content]
        expected = (texts[0][:50] + "..." if len(texts[0]) > 50 else texts[0]) if texts else None
        assert talk.title == expected


@pytest.mark.parametrize("system", ["sovereign"], indirect=True)
def test_token_counts_of_sovereign_stay(source: Path, target: Project, adopted: Adopted) -> None:
    stored = {row["external_id"]: row["token_count"] for row in dump(target.database_path(), "messages")}

    assert stored == {row["id"]: row["token_count"] for row in dump(source, "messages") if row["id"] in stored}


# --- HAIA ---


@pytest.mark.parametrize("system", ["haia"], indirect=True)
def test_messages_of_a_deleted_conversation_do_not_show_up_in_the_next_one(target: Project, adopted: Adopted) -> None:
    assert [message.content for message in target.conversations.messages("9")] == ["of the next one"]
    assert {row["content"] for row in rejected(adopted, "messages")} == {
        "of a deleted conversation",
        "its conversation is gone",
    }


# --- ChatDF ---


@pytest.fixture
def chatdf(tmp_path: Path) -> Path:
    path = tmp_path / "old" / "chatdf.db"
    source_databases.chatdf(path, head=True, now=datetime.now(UTC).replace(tzinfo=None))
    return path


def test_users_of_chatdf_keep_every_value(chatdf: Path, project: Project) -> None:
    adopt(chatdf, project)

    for row in dump(chatdf, "users"):
        times = {name: ours(row[name]) for name in ("created_at", "last_login_at")}
        assert project.accounts.get(row["id"]).to_dict() == {**row, **times}


def test_old_session_tokens_stay_valid_and_are_not_stored(chatdf: Path, project: Project) -> None:
    adopt(chatdf, project)

    for number in range(3):
        user = project.accounts.validate_session(f"token-{number}")
        assert user is not None
        assert user.id == f"u-{number}"
        assert project.accounts.validate_session(f"over-{number}") is None
    hashes = {row["token_hash"] for row in dump(project.database_path(), "sessions")}
    assert hashlib.sha256(b"token-0").hexdigest() in hashes
    assert b"token-0" not in project.database_path().read_bytes()


def test_a_free_referral_key_lets_a_user_in_and_a_used_one_does_not(chatdf: Path, project: Project) -> None:
    adopt(chatdf, project)

    assert project.accounts.is_key_valid("free-key")
    assert not project.accounts.is_key_valid("used-key")
    assert not project.accounts.is_key_valid("gone-key")
    assert {key.prefix for key in project.accounts.list_keys()} == {"free", "used", "gone"}
    profile = {"google_id": "g-9", "email": "nine@example.com", "name": "Nine"}
    assert project.accounts.sign_in(profile, referral_key="free-key").is_new


def test_a_known_user_of_chatdf_signs_in_as_the_same_person(chatdf: Path, project: Project) -> None:
    adopt(chatdf, project)

    entry = project.accounts.sign_in({"google_id": "g-1", "email": "new@example.com", "name": "One"})

    assert entry.user.id == "u-1"


def test_columns_without_a_place_are_in_the_metadata(chatdf: Path, project: Project) -> None:
    report = adopt(chatdf, project)

    names = ("sql_query", "reasoning", "input_tokens", "output_tokens", "tool_call_trace")
    stored = {
        row["external_id"]: json.loads(row["metadata"] or "{}") for row in dump(project.database_path(), "messages")
    }
    for row in dump(chatdf, "messages"):
        assert stored[row["id"]] == {name: row[name] for name in names if row[name] is not None}
    for row in dump(chatdf, "conversations"):
        metadata = project.conversations.get(row["id"]).metadata
        assert metadata["share_token"] == row["share_token"]
        assert metadata.get("is_pinned", 0) == row["is_pinned"]
        assert all(extras["file_size_bytes"] == 1000 for extras in metadata["dataset_columns"].values())
    assert report.left == {"query_results_cache": 3}


def test_what_users_have_written_and_has_no_table_is_among_the_rejects(chatdf: Path, project: Project) -> None:
    report = adopt(chatdf, project)

    for table in ("saved_queries", "query_history", "user_settings"):
        assert rejected(report, table) == dump(chatdf, table)
        assert report.tables[table].rejected == len(dump(chatdf, table)) > 0


def test_datasets_keep_their_values_and_get_a_free_name(chatdf: Path, project: Project) -> None:
    report = adopt(chatdf, project)

    stored = {row["id"]: row for row in dump(project.database_path(), "datasets")}
    for row in dump(chatdf, "datasets"):
        if row["id"] in rejected_ids(report, "datasets"):
            assert row["name"] == "table2"  # the second of one address
            continue
        found = stored[row["id"]]
        same = ("conversation_id", "url", "row_count", "column_count", "status", "error_message")
        assert [found[name] for name in same] == [row[name] for name in same]
        assert json.loads(found["schema"]) == json.loads(row["schema_json"])
        assert found["created_at"] == ours(row["loaded_at"])
        assert found["loaded_at"] == (ours(row["loaded_at"]) if row["status"] == "ready" else None)
        assert found["name"] == ("table1" if row["status"] == "ready" else "table1_2")
    assert report.noted == len(rejected(report, "datasets", kept=True)) == 8


def test_usage_counts_as_before(chatdf: Path, project: Project) -> None:
    adopt(chatdf, project)

    rows = dump(chatdf, "token_usage")
    assert dump(project.database_path(), "token_usage") == [
        {**row, "timestamp": ours(row["timestamp"])} for row in rows
    ]
    assert project.usage.total().total_tokens == sum(row["input_tokens"] + row["output_tokens"] for row in rows)


def test_a_session_of_nobody_is_rejected_without_its_token(chatdf: Path, project: Project) -> None:
    with closing(sqlite3.connect(chatdf)) as connection, connection:
        later = (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None).isoformat()
        connection.execute("INSERT INTO sessions VALUES ('secret-token', 'nobody', ?, ?)", (later, later))

    report = adopt(chatdf, project)

    assert report.tables["sessions"].rejected == 1
    assert report.rejects is not None
    assert "secret-token" not in Path(report.rejects).read_text("utf-8")
    assert hashlib.sha256(b"secret-token").hexdigest() in Path(report.rejects).read_text("utf-8")


# --- values that do not fit ---


def test_values_that_do_not_fit_are_rejected_or_replaced_and_never_dropped(tmp_path: Path, project: Project) -> None:
    source = tmp_path / "b.db"
    source_databases.sovereign(source, talks=1, messages=1)
    with closing(sqlite3.connect(source)) as connection, connection:
        bot, thread = (
            connection.execute(f"SELECT id FROM {t} ORDER BY rowid").fetchone()[0] for t in ("assistants", "threads")
        )
        at = "2026-01-02 03:04:05"
        add = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)"
        connection.executemany(
            add,
            [
                ("m-1", thread, "ROBOT", "x", at, 0),
                ("m-2", thread, "USER", b"\xff", at, 0),
                ("m-3", thread, "USER", "x", "noon", 0),
                ("m-4", thread, "USER", "counted wrongly", at, -3),
                ("m\x00-5", thread, "USER", "x", at, 0),
            ],
        )
        connection.execute("INSERT INTO messages VALUES ('m-6', ?, 'USER', CAST(x'ff62' AS TEXT), ?, 0)", (thread, at))
        connection.execute("INSERT INTO assistants VALUES ('a-1', 'n', ' ', 'm', ?, ?)", (at, at))
        connection.execute("INSERT INTO assistants VALUES ('a-2', ?, 'i', 'm', ?, ?)", ("n" * 300, at, at))
        connection.execute("INSERT INTO threads VALUES ('t-1', ?, ?, ?, 'no json')", (bot, at, at))

    report = adopt(source, project)

    assert {"m-1", "m-2", "m-3", "m\x00-5", "m-6"} <= rejected_ids(report, "messages")
    assert rejected_ids(report, "assistants") == {"a-1"}
    assert report.noted == 3
    assert "counted wrongly" in [message.content for message in project.conversations.iterate(thread)]
    assert project.assistants.get("a-2").name == "n" * 255
    assert project.conversations.get("t-1").metadata == {}
    assert project.check() == []


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_messages_are_in_the_order_of_their_times_in_every_encoding(
    tmp_path: Path, project: Project, encoding: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection, connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.executescript(source_databases.HAIA)
        at = "2026-01-02 03:04:0{}.000000"
        connection.execute("INSERT INTO conversations VALUES (1, ?, ?)", (at.format(0), at.format(0)))
        rows = [(id, 1, "user", f"{id} Gr\u00fc\u00dfe", at.format(9 - id)) for id in (1, 2, 3)]
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", rows)

    adopt(tmp_path / "c.db", project)

    stored = [message.content for message in project.conversations.iterate("1")]
    assert stored == ["3 Gr\u00fc\u00dfe", "2 Gr\u00fc\u00dfe", "1 Gr\u00fc\u00dfe"]


def test_what_belongs_to_an_id_that_is_no_text_is_rejected_with_it(tmp_path: Path, project: Project) -> None:
    at = "2026-01-02 03:04:05"
    with source_databases.writing(tmp_path / "b.db", source_databases.SOVEREIGN, "delete") as connection:
        connection.execute("INSERT INTO assistants VALUES ('a', 'n', 'i', 'm', ?, ?)", (at, at))
        connection.execute("INSERT INTO threads VALUES (CAST(x'ff' AS TEXT), 'a', ?, ?, '{}')", (at, at))
        connection.execute("INSERT INTO messages VALUES ('m', CAST(x'ff' AS TEXT), 'USER', 'x', ?, 0)", (at,))

    report = adopt(tmp_path / "b.db", project)

    assert (report.tables["threads"].rejected, report.tables["messages"].rejected) == (1, 1)


@pytest.mark.parametrize("batch", [1, 500])
def test_an_id_that_comes_twice_is_copied_once(tmp_path: Path, project: Project, batch: int) -> None:
    at = "2026-01-02 03:04:05"
    with source_databases.writing(tmp_path / "c.db", source_databases.HAIA, "delete") as connection:
        connection.execute("DROP TABLE messages")
        connection.execute("CREATE TABLE messages (id, conversation_id, role, content, created_at)")
        connection.execute("INSERT INTO conversations VALUES (1, ?, ?)", (at, at))
        for content in ("one", "two", "one"):
            connection.execute("INSERT INTO messages VALUES (7, 1, 'user', ?, ?)", (content, at))

    report = adopt(tmp_path / "c.db", project, batch=batch)

    assert report.tables["messages"] == (3, 1, 1, 1)
    assert rejected_ids(report, "messages") == {7}
    assert [message.content for message in project.conversations.iterate("1")] == ["one"]


def test_tables_of_any_name_are_left_and_counted(tmp_path: Path, project: Project) -> None:
    source_databases.sovereign(tmp_path / "b.db", talks=1, messages=1)
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection, connection:
        connection.execute('CREATE TABLE "an ""odd"" name" (a)')

    assert adopt(tmp_path / "b.db", project).left == {'an "odd" name': 0}


@pytest.mark.parametrize(
    ("column", "value"), [("input_tokens", 2**62), ("output_tokens", -1), ("output_tokens", 0.5), ("cost", 1e999)]
)
def test_usage_that_cannot_be_summed_up_is_rejected(chatdf: Path, project: Project, column: str, value: float) -> None:
    with closing(sqlite3.connect(chatdf)) as connection, connection:
        id = connection.execute("SELECT id FROM token_usage WHERE user_id IN (SELECT id FROM users)").fetchone()[0]
        connection.execute(f"UPDATE token_usage SET {column} = ? WHERE id = ?", (value, id))

    report = adopt(chatdf, project)

    assert id in rejected_ids(report, "token_usage")
    assert project.usage.total().input_tokens < 10**12
