"""What the features service does on a connection: plain functions, each a read or one atomic write.

A guard is part of the statement that changes a row, so that two agents never both succeed; what it was that stood in
the way is read afterwards, for the error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from . import dependency_graph as graphs
from . import human_input
from .database.numbering import numbered
from .errors import DependencyCycle, FeatureNotFound, FeatureStateConflict, InvalidArgument
from .records import stored_json

Row = tuple[Any, ...]
COLUMNS: Final = (
    "id, priority, category, name, description, steps, passes, in_progress, dependencies,"
    " needs_human_input, human_input_request, human_input_response"
)
# The same without the texts: what decides on the order of the queue.
_STATE = "id, priority, '', '', '', '', passes, in_progress, dependencies, needs_human_input"
# One that an application has set by its own SQL may be the highest that SQLite holds: it is shared then.
_LAST_PRIORITY = "SELECT min(coalesce(max(priority), 0), 9223372036854775806) FROM features"
_PASSES, _IN_PROGRESS, _DEPENDENCIES, _WAITS = 6, 7, 8, 9


def find(connection: sqlite3.Connection, feature_id: int) -> Any:
    """Return a row, or ``None``."""
    return connection.execute(f"SELECT {COLUMNS} FROM features WHERE id = ?", (feature_id,)).fetchone()


def get(connection: sqlite3.Connection, feature_id: int) -> Any:
    """Return a row.

    :raises FeatureNotFound: there is none of that id.
    """
    row = find(connection, feature_id)
    if row is None:
        raise FeatureNotFound(feature_id)
    return row


def rows(connection: sqlite3.Connection) -> list[Row]:
    """Return all rows, the most urgent priority first."""
    return connection.execute(f"SELECT {COLUMNS} FROM features ORDER BY priority, id").fetchall()


def _states(connection: sqlite3.Connection) -> list[Row]:
    """Return all rows without their texts, in no order."""
    return connection.execute(f"SELECT {_STATE} FROM features").fetchall()


def page(connection: sqlite3.Connection, condition: str, after: tuple[int, int], limit: int) -> list[Row]:
    """Return a page of the rows that fulfil *condition*, which is one of the service's own."""
    sql = f"SELECT {COLUMNS} FROM features WHERE {condition} AND (priority, id) > (?, ?) ORDER BY priority, id LIMIT ?"
    return connection.execute(sql, (*after, limit)).fetchall()


def stats(connection: sqlite3.Connection) -> Any:
    """Return how many pass, are in progress, wait for a person, and are there."""
    return connection.execute(
        "SELECT coalesce(sum(passes), 0), coalesce(sum(in_progress), 0), coalesce(sum(needs_human_input), 0), count(*)"
        " FROM features"
    ).fetchone()


def graph_of(found: Iterable[Row]) -> dict[int, list[int]]:
    """Return which ids each feature depends on."""
    return {row[0]: _stored_ids(row[_DEPENDENCIES]) if row[_DEPENDENCIES] else [] for row in found}


def _stored_ids(text: Any) -> list[int]:
    ids = stored_json(text, list)
    # The number of a damaged file may be any: it is then that of no feature.
    return [id for id in ids if type(id) is int]


def _dump_ids(ids: Iterable[int]) -> str | None:
    ordered = sorted(set(ids))
    return json.dumps(ordered) if ordered else None


# --- creating, changing, deleting ---


def create(connection: sqlite3.Connection, items: list[dict[str, Any]]) -> list[Row]:
    """Insert features in their order, as checked by the service; ``where`` begins the name of an argument.

    ``depends_on_indices`` names earlier items of the same call.
    """
    last = connection.execute(_LAST_PRIORITY).fetchone()[0]
    ids: list[int] = []
    for item in items:
        dependencies = [*item["dependencies"], *(ids[index] for index in item["depends_on_indices"])]
        _check_exist(connection, item["where"] + "dependencies", dependencies)
        if item["priority"] is None:
            last = min(last + 1, 2**63 - 1)
        ids.append(_insert(connection, item, last, dependencies))
    return [find(connection, feature_id) for feature_id in ids]


def _insert(connection: sqlite3.Connection, item: dict[str, Any], last: int, dependencies: Iterable[int]) -> int:
    with numbered(connection, "features"):
        cursor = connection.execute(
            "INSERT INTO features (priority, category, name, description, steps, dependencies)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                last if item["priority"] is None else item["priority"],
                item["category"],
                item["name"],
                item["description"],
                item["steps"],
                _dump_ids(dependencies),
            ),
        )
    return cursor.lastrowid or 0


def _check_exist(connection: sqlite3.Connection, argument: str, ids: Iterable[int]) -> None:
    for feature_id in ids:
        if find(connection, feature_id) is None:
            raise InvalidArgument(argument, feature_id, "ids of features that exist")


def update(connection: sqlite3.Connection, feature_id: int, changes: dict[str, Any]) -> Row:
    """Change columns of a feature that does not pass yet."""
    row = get(connection, feature_id)
    if row[_PASSES]:
        raise FeatureStateConflict(feature_id, "it passes already")
    if changes:
        settings = ", ".join(f"{column} = ?" for column in changes)
        connection.execute(f"UPDATE features SET {settings} WHERE id = ?", (*changes.values(), feature_id))
    changed: Row = get(connection, feature_id)
    return changed


def delete(connection: sqlite3.Connection, feature_id: int) -> bool:
    """Delete a feature and take its id out of the dependencies of all others."""
    if not connection.execute("DELETE FROM features WHERE id = ?", (feature_id,)).rowcount:
        return False
    for other, dependencies in graph_of(_states(connection)).items():
        if feature_id in dependencies:
            _store_dependencies(connection, other, [id for id in dependencies if id != feature_id])
    return True


# --- dependencies ---


def set_dependencies(connection: sqlite3.Connection, feature_id: int, ids: list[int]) -> Row:
    """Replace the dependencies of a feature.

    :raises DependencyCycle: it would wait for itself, over any number of steps.
    """
    get(connection, feature_id)
    _check_exist(connection, "dependencies", ids)
    cycle = graphs.find_cycle(graph_of(_states(connection)), feature_id, ids)
    if cycle is not None:
        raise DependencyCycle(cycle)
    _store_dependencies(connection, feature_id, ids)
    changed: Row = get(connection, feature_id)
    return changed


def _store_dependencies(connection: sqlite3.Connection, feature_id: int, ids: Iterable[int]) -> None:
    connection.execute("UPDATE features SET dependencies = ? WHERE id = ?", (_dump_ids(ids), feature_id))


def add_dependency(connection: sqlite3.Connection, feature_id: int, dependency_id: int) -> Row:
    """Add one dependency."""
    ids = graph_of([get(connection, feature_id)])[feature_id]
    if dependency_id in ids:
        raise InvalidArgument("dependency_id", dependency_id, "a feature that it does not depend on yet")
    if len(ids) == graphs.MAX_DEPENDENCIES:
        raise InvalidArgument("dependency_id", dependency_id, f"at most {graphs.MAX_DEPENDENCIES} dependencies")
    return set_dependencies(connection, feature_id, [*ids, dependency_id])


def remove_dependency(connection: sqlite3.Connection, feature_id: int, dependency_id: int) -> Row | None:
    """Remove one dependency; ``None`` if it was none."""
    ids = graph_of([get(connection, feature_id)])[feature_id]
    if dependency_id not in ids:
        return None
    _store_dependencies(connection, feature_id, [id for id in ids if id != dependency_id])
    changed: Row = get(connection, feature_id)
    return changed


# --- states ---


def mark_passing(connection: sqlite3.Connection, feature_id: int) -> Row:
    """Mark a feature as passing."""
    return _guarded(connection, feature_id, "passes = 1, in_progress = 0", "passes = 0")


def mark_failing(connection: sqlite3.Connection, feature_id: int) -> Row:
    """Mark a feature as not passing."""
    return _guarded(connection, feature_id, "passes = 0, in_progress = 0", "1")


def clear_in_progress(connection: sqlite3.Connection, feature_id: int) -> Row:
    """Give a feature back to the queue."""
    return _guarded(connection, feature_id, "in_progress = 0", "1")


def skip(connection: sqlite3.Connection, feature_id: int) -> Row:
    """Put a feature at the end of the queue."""
    return _guarded(connection, feature_id, f"priority = ({_LAST_PRIORITY}) + 1, in_progress = 0", "passes = 0")


def mark_in_progress(connection: sqlite3.Connection, feature_id: int) -> Row:
    """Start a feature whose dependencies pass."""
    blocked_by = _blocking(connection, feature_id)
    if blocked_by:
        raise FeatureStateConflict(feature_id, f"it waits for features {', '.join(map(str, blocked_by))}")
    return _guarded(
        connection, feature_id, "in_progress = 1", "passes = 0 AND in_progress = 0 AND needs_human_input = 0"
    )


def claim(connection: sqlite3.Connection, feature_id: int) -> tuple[Row, bool]:
    """Start a feature, or find it started; return it and whether it was."""
    row = get(connection, feature_id)
    if row[_IN_PROGRESS] and not row[_PASSES] and not row[_WAITS]:
        return row, True
    return mark_in_progress(connection, feature_id), False


def ready_ids(connection: sqlite3.Connection) -> list[int]:
    """Return the ids of the features that may start now, the most urgent first."""
    return [row[0] for row in ready_rows(_states(connection))]


def claim_first(connection: sqlite3.Connection, candidates: list[int]) -> Row | None:
    """Start the first of the candidates that is still ready; if none is, any that is by now; else ``None``."""
    for feature_id in candidates:
        try:
            return mark_in_progress(connection, feature_id)
        except (FeatureStateConflict, FeatureNotFound):
            continue  # others were faster
    following = ready_ids(connection)
    return mark_in_progress(connection, following[0]) if following else None


def _blocking(connection: sqlite3.Connection, feature_id: int) -> list[int]:
    graph = graph_of([get(connection, feature_id)])
    return [id for id in graph[feature_id] if (row := find(connection, id)) is None or not row[_PASSES]]


def _guarded(connection: sqlite3.Connection, feature_id: int, change: str, guard: str) -> Row:
    """Carry out a change of state by one statement that has its guard in it."""
    sql = f"UPDATE features SET {change} WHERE id = ? AND {guard} RETURNING {COLUMNS}"
    changed = connection.execute(sql, (feature_id,)).fetchall()
    if not changed:
        raise FeatureStateConflict(feature_id, _reason(get(connection, feature_id)))
    row: Row = changed[0]
    return row


def _reason(row: Row) -> str:
    if row[_PASSES]:
        return "it passes already"
    if row[_WAITS]:
        return "it waits for human input"
    return "it is in progress already" if row[_IN_PROGRESS] else "it is not in progress"


# --- a person's help ---


def request_human_input(connection: sqlite3.Connection, feature_id: int, request: str) -> Row:
    """Stop a feature in progress until a person answers."""
    get(connection, feature_id)
    changed = connection.execute(
        "UPDATE features SET needs_human_input = 1, in_progress = 0, human_input_request = ?,"
        f" human_input_response = NULL WHERE id = ? AND passes = 0 AND in_progress = 1 RETURNING {COLUMNS}",
        (request, feature_id),
    ).fetchall()
    if not changed:
        raise FeatureStateConflict(feature_id, _reason(get(connection, feature_id)))
    row: Row = changed[0]
    return row


def resolve_human_input(connection: sqlite3.Connection, feature_id: int, answers: dict[str, Any], now: str) -> Row:
    """Store a person's answer and give the feature back to the queue."""
    row = get(connection, feature_id)
    if not row[_WAITS]:
        raise FeatureStateConflict(feature_id, "it does not wait for human input")
    _check_answers(stored_json(row[10] or "{}", dict), answers)
    response = json.dumps({"fields": answers, "responded_at": now}, ensure_ascii=False, allow_nan=False)
    connection.execute(
        "UPDATE features SET needs_human_input = 0, human_input_response = ? WHERE id = ?", (response, feature_id)
    )
    changed: Row = get(connection, feature_id)
    return changed


def _check_answers(request: dict[str, Any], answers: dict[str, Any]) -> None:
    fields = {field["id"]: field for field in human_input.fields_of(request)}
    for name in answers:
        if name not in fields:
            raise InvalidArgument("answers", name, "the fields " + ", ".join(map(repr, fields)))
    for name, field in fields.items():
        if field.get("required", True) and answers.get(name) in (None, ""):
            raise InvalidArgument("answers", name, f"an answer to {name!r}, which is required")


# --- views of the queue ---


def ready_rows(found: list[Row]) -> list[Row]:
    """Return the features that may start now, the most urgent first."""
    graph = graph_of(found)
    passing = {row[0] for row in found if row[_PASSES]}
    # In a damaged file a priority may be anything.
    priorities = {row[0]: row[1] if type(row[1]) is int else 999 for row in found}
    score = graphs.scores(graph, priorities)
    ready = [
        row
        for row in found
        if not (row[_PASSES] or row[_IN_PROGRESS] or row[_WAITS]) and passing.issuperset(graph[row[0]])
    ]
    return sorted(ready, key=lambda row: (-score[row[0]], priorities[row[0]], row[0]))


def blocked_rows(found: list[Row]) -> list[tuple[Row, list[int]]]:
    """Return the features that wait for others, with what they wait for."""
    graph = graph_of(found)
    passing = {row[0] for row in found if row[_PASSES]}
    waiting = ((row, graphs.blocking(graph, row[0], passing)) for row in found if not row[_PASSES])
    return [(row, blocked_by) for row, blocked_by in waiting if blocked_by]


def status(row: Row, blocked_by: list[int]) -> str:
    """Return the word for a feature's state, the first that holds."""
    if row[_PASSES]:
        return "done"
    if row[_WAITS]:
        return "needs_human_input"
    if blocked_by:
        return "blocked"
    return "in_progress" if row[_IN_PROGRESS] else "pending"
