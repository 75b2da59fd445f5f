"""ChatDF's users, sessions, keys, datasets and usage are in the project as they were."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adopt_tools import chatdf as chatdf
from adopt_tools import ours, rejected, rejected_ids
from legacy_files import dump

from peewee_conv import Project
from peewee_conv.adopt import adopt


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
