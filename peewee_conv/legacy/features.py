"""A ``features.db`` of the AutoForge releases, of any age: with or without the later columns, tables and indexes.

Defaults for NULL: priority 999, category ``uncategorized``, name ``Feature <id>``, an empty description, no steps, all
three flags false; days 127, enabled, concurrency 3, no crashes, created at the time of the upgrade. Malformed steps and
human input are emptied, of malformed dependencies the whole numbers are kept; the row as it was is in the rejects.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from ..clock import now_text
from . import rows
from .rows import Refused, Rejects, Row

TABLES = ("schedule_overrides", "schedules", "features")
_OLDEST = {"id", "priority", "category", "name", "description", "steps", "passes"}
_KNOWN_TABLES = {*TABLES, "sqlite_sequence", "sqlite_stat1"}

Note = Callable[[str], None]


def recognises(connection: sqlite3.Connection) -> bool:
    """Say whether the file has that application's tables and columns."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return tables <= _KNOWN_TABLES and rows.columns(connection, "features") >= _OLDEST


def set_aside(connection: sqlite3.Connection) -> None:
    """Move its tables into temporary ones, so that the scripts find an empty file."""
    rows.set_aside(connection, TABLES)


def fill(connection: sqlite3.Connection, path: str) -> None:
    """Put its rows into the new tables, and those that the rules forbid into a file beside it."""
    rejects = Rejects(path)
    now = now_text()
    _copy(connection, rejects, "features", feature)
    _copy(connection, rejects, "schedules", lambda row, note: schedule(row, now))
    kept = {id for (id,) in connection.execute("SELECT id FROM schedules")}
    _copy(connection, rejects, "schedule_overrides", lambda row, note: override(row, kept, now))
    rejects.write()
    rows.drop_old(connection, TABLES)


def _copy(connection: sqlite3.Connection, rejects: Rejects, table: str, convert: Callable[[Row, Note], Row]) -> None:
    for row in rows.old_rows(connection, table):
        notes: list[str] = []
        try:
            rows.insert(connection, table, convert(row, notes.append))
        except Refused as refusal:
            rejects.add(table, row, str(refusal))
        else:
            for note in notes:
                rejects.add(table, row, note, kept=True)


def feature(row: Row, note: Note) -> Row:
    """Return the new row of a feature; *note* is told of each value that was replaced.

    :raises Refused: a value cannot be held.
    """
    return {
        "id": rows.id_of(row),
        "priority": rows.whole(row["priority"], "priority", 999),
        "category": rows.text(row["category"], "category", "uncategorized"),
        "name": rows.text(row["name"], "name", f"Feature {row['id']}"),
        "description": rows.text(row["description"], "description", ""),
        "steps": rows.dumped(_steps(row["steps"], note)),
        "passes": rows.flag(row["passes"], "passes"),
        "in_progress": rows.flag(row.get("in_progress"), "in_progress"),
        "dependencies": _dependencies(row.get("dependencies"), note),
        "needs_human_input": rows.flag(row.get("needs_human_input"), "needs_human_input"),
        "human_input_request": _object(row.get("human_input_request"), "human_input_request", note),
        "human_input_response": _object(row.get("human_input_response"), "human_input_response", note),
    }


def _steps(value: Any, note: Note) -> list[Any]:
    found = _parsed_or_none(value, "steps", note)
    if found is None:
        return []
    if isinstance(found, list):
        return found
    note("steps are no list")
    return [found] if isinstance(found, str) else []


def _dependencies(value: Any, note: Note) -> str | None:
    found = _parsed_or_none(value, "dependencies", note)
    if found is None:
        return None
    numbers = [item for item in found if type(item) is int] if isinstance(found, list) else []
    ids = [id for id in dict.fromkeys(numbers) if 0 < id < 2**63]
    if ids != found:
        note("dependencies are not all ids, or name one twice")
    return rows.dumped(ids) if ids else None


def _object(value: Any, name: str, note: Note) -> str | None:
    found = _parsed_or_none(value, name, note)
    if found is None:
        return None
    if isinstance(found, dict):
        return rows.dumped(found)
    note(f"{name} is no object")
    return None


def _parsed_or_none(value: Any, name: str, note: Note) -> Any:
    try:
        return rows.parsed(value)
    except Refused as refusal:
        note(f"{name}: {refusal}")
        return None


def schedule(row: Row, now: str) -> Row:
    """Return the new row of a schedule; *now* is the time of one that has none."""
    return {
        "id": rows.id_of(row),
        "project_name": rows.text(row.get("project_name"), "project_name", None),
        "start_time": rows.text(row.get("start_time"), "start_time", None),
        "duration_minutes": rows.whole(row.get("duration_minutes"), "duration_minutes"),
        "days_of_week": rows.whole(row.get("days_of_week"), "days_of_week", 127),
        "enabled": rows.flag(row.get("enabled"), "enabled", 1),
        "yolo_mode": rows.flag(row.get("yolo_mode"), "yolo_mode"),
        "model": rows.text(row.get("model"), "model", None),
        "max_concurrency": rows.whole(row.get("max_concurrency"), "max_concurrency", 3),
        "crash_count": rows.whole(row.get("crash_count"), "crash_count", 0),
        "created_at": rows.time(row.get("created_at"), "created_at") or now,
    }


def override(row: Row, schedules: set[int], now: str) -> Row:
    """Return the new row of an override of one of *schedules*."""
    if row.get("schedule_id") not in schedules:
        raise Refused(f"schedule {row.get('schedule_id')!r} does not exist")
    return {
        "id": rows.id_of(row),
        "schedule_id": row["schedule_id"],
        "override_type": rows.text(row.get("override_type"), "override_type", None),
        "expires_at": rows.time(row.get("expires_at"), "expires_at"),
        "created_at": rows.time(row.get("created_at"), "created_at") or now,
    }
