"""``stats``: how much a project holds, and how it is kept."""

from __future__ import annotations

import argparse
import sqlite3
from typing import Any

from peewee_conv.database.handle import Handle
from peewee_conv.project import Project
from peewee_conv.schemas import assistant

from . import projects
from .console import Console
from .parser import Commands
from .text import plural, size

_ROLES = "SELECT role, count(*), coalesce(sum(token_count), 0), count(token_count) FROM messages GROUP BY role"
_COUNTS = (
    "SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM assistants), (SELECT count(*) FROM users),"
    " (SELECT min(created_at) FROM conversations), (SELECT max(updated_at) FROM conversations),"
    " (SELECT max(message_count) FROM conversations), (SELECT count(*) FROM message_search_pending)"
)


def add_commands(commands: Commands) -> None:
    """Add the command."""
    commands.add(
        "stats",
        _stats,
        summary="show counts, tokens, sizes, journal mode and schema version of a project",
        usage="[options]",
        examples=("peewee-conv stats --project projects/aurora", "peewee-conv stats --json"),
    )


def _stats(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args) as project:
        found = _read(project)
    if console.as_json:
        console.json(found)
    else:
        console.pairs(_describe(found))
    return 0


def _read(project: Project) -> dict[str, Any]:
    """Return the answer in the shape of its JSON."""
    from peewee_conv.health import health

    held = Handle(project._binding, assistant).read_snapshot(_count)
    kept = health(project)
    return {
        "project": str(project.path),
        **held,
        "file": {
            "path": kept.path,
            "bytes": kept.size,
            "wal_bytes": kept.wal_size,
            "journal_mode": kept.journal_mode,
            "journal_reason": kept.journal_reason,
            "schema_version": kept.schema_version,
            "newest_schema_version": kept.schema_head,
            "sqlite_version": kept.sqlite_version,
        },
        "warnings": kept.warnings,
    }


def _count(connection: sqlite3.Connection) -> dict[str, Any]:
    roles = connection.execute(_ROLES).fetchall()
    talks, assistants, users, first, last, longest, pending = connection.execute(_COUNTS).fetchone()
    return {
        "conversations": talks,
        "messages": sum(count for _, count, _, _ in roles),
        "messages_by_role": {role: count for role, count, _, _ in roles},
        "tokens": sum(tokens for _, _, tokens, _ in roles),
        "messages_without_token_count": sum(count - counted for _, count, _, counted in roles),
        "longest_conversation": longest or 0,
        "conversations_not_yet_indexed": pending,
        "assistants": assistants,
        "users": users,
        "first_created_at": first,
        "last_activity_at": last,
    }


def _describe(found: dict[str, Any]) -> list[tuple[str, object]]:
    file, roles = found["file"], found["messages_by_role"]
    by_role = ", ".join(f"{count:,} {role}" for role, count in sorted(roles.items(), key=lambda item: -item[1]))
    uncounted = found["messages_without_token_count"]
    return [
        ("project", found["project"]),
        (
            "conversations",
            f"{found['conversations']:,}, the longest of {plural(found['longest_conversation'], 'message')}",
        ),
        ("messages", f"{found['messages']:,}" + (f": {by_role}" if by_role else "")),
        ("tokens", f"{found['tokens']:,}" + (f", {plural(uncounted, 'message')} not counted" if uncounted else "")),
        ("assistants", f"{found['assistants']:,}"),
        ("users", f"{found['users']:,}"),
        ("active", f"{_minute(found['first_created_at'])} to {_minute(found['last_activity_at'])} UTC"),
        ("search index", _index_state(found["conversations_not_yet_indexed"])),
        ("file", f"{file['path']}, {size(file['bytes'])} and {size(file['wal_bytes'])} of log"),
        ("journal mode", f"{file['journal_mode']}: {file['journal_reason']}"),
        ("schema version", f"{file['schema_version']} of {file['newest_schema_version']}"),
        *(("warning", warning) for warning in found["warnings"]),
    ]


def _minute(time: str | None) -> str:
    return "never" if time is None else time[:16].replace("T", " ")


def _index_state(pending: int) -> str:
    return f"{plural(pending, 'conversation')} to catch up with at the next search" if pending else "up to date"
