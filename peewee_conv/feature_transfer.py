"""``feature_list.json`` in and out (D10, D11).

The file is a JSON array of features as :meth:`~peewee_conv.feature_records.Feature.to_dict` gives them. It is imported
once, into an empty queue, whole or not at all; what the queue could not hold as it is, is refused with the number of
the item and the reason. Export, import, export gives the same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import arguments, dependency_graph, drafts
from .database.handle import Handle
from .errors import DatabaseCorrupt, ImportRejected, InvalidArgument
from .feature_records import Feature
from .schemas import features as schema

if TYPE_CHECKING:
    from .project import Project

logger = logging.getLogger("peewee_conv")

FILE_NAME = "feature_list.json"
EXPORT_NAME = "feature_list_export.json"
MAX_BYTES = 64 * 1024 * 1024
_MAX_ID = 2**31 - 1


class FeatureImport(NamedTuple):
    """What an import did.

    :ivar outcome: ``"imported"``, ``"no file"`` or ``"not empty"`` (the queue has features; the file was left alone).
    :ivar stored: how many features were stored.
    :ivar backup: where the file was moved to, or ``None`` where it still is.
    """

    outcome: str
    stored: int = 0
    backup: str | None = None


def import_features(
    project: Project, path: str | os.PathLike[str] | None = None, *, ignore_unknown: bool = False
) -> FeatureImport:
    """Import a feature list into an empty queue, then move the file to ``<path>.backup.<timestamp>``.

    Looking whether the queue is empty and filling it are one transaction: of two that start at once one imports.

    :param path: ``feature_list.json`` of the project directory if left out.
    :param ignore_unknown: whether keys that no feature has are left out, and named in the log, instead of refused.
    :raises ImportRejected: the file or an item is not allowed; nothing was written.
    :raises InvalidArgument: the path is that of a database in use.
    """
    source = os.path.join(project.path, FILE_NAME) if path is None else drafts.path_of("path", path)
    if not os.path.lexists(source):
        return FeatureImport("no file")
    drafts.refuse_live("path", source)
    items = _read(source)
    unknown = _take_unknown(items) if ignore_unknown else set()
    rows = _rows(source, items)
    if not Handle(project._binding, schema).write(_fill, rows):
        return FeatureImport("not empty")
    if unknown:
        logger.warning("%s has keys that no feature has, which were left out: %s", source, ", ".join(sorted(unknown)))
    logger.info("%d features imported from %s", len(rows), source)
    return FeatureImport("imported", len(rows), _move_away(source))


def export_features(project: Project, path: str | os.PathLike[str] | None = None) -> str:
    """Write all features, by priority and id, and return the path; an older file is replaced, all or nothing.

    :param path: ``feature_list_export.json`` of the project directory if left out.
    :raises InvalidArgument: the folder of the path is missing, or the path is that of a database in use.
    :raises DatabaseFailure: the file cannot be written.
    """
    named = os.path.join(project.path, EXPORT_NAME) if path is None else path
    target = drafts.target_path(project._binding, "path", named, overwrite=True)
    found = [feature.to_dict() for feature in project.features.all()]
    try:
        text = json.dumps(found, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DatabaseCorrupt(project.database_path(schema), "a feature holds what JSON cannot") from error
    with drafts.draft_of(target, overwrite=True) as draft, open(draft, "w", encoding="ascii", newline="\n") as file:
        file.write(text)
    return target


# --- reading ---


def _read(source: str) -> list[Any]:
    if not os.path.isfile(source):  # to open a pipe would wait for somebody to write into it
        raise ImportRejected(source, None, "this is no file")
    try:
        if os.path.getsize(source) > MAX_BYTES:
            raise ImportRejected(source, None, f"the file is larger than {MAX_BYTES} bytes")
        with open(source, encoding="utf-8-sig") as file:
            found = json.load(file, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except OSError as error:
        raise ImportRejected(source, None, f"the file cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ImportRejected(source, None, f"this is no JSON that can be kept ({error})") from error
    if not isinstance(found, list):
        raise ImportRejected(source, None, f"the top level is {type(found).__name__}, not an array")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _take_unknown(items: list[Any]) -> set[str]:
    """Remove the keys that no feature has from the items, and return them."""
    unknown: set[str] = set()
    for item in items:
        if isinstance(item, dict):
            here = item.keys() - _RULES.keys()
            unknown |= here
            for key in here:
                del item[key]
    return unknown


def _rows(source: str, items: list[Any]) -> list[tuple[Any, ...]]:
    """Return the rows to store; every item is checked before any is stored."""

    def refuse(place: int, reason: str) -> ImportRejected:
        return ImportRejected(source, None, f"item {place + 1}: {reason}")

    for place, item in enumerate(items):
        reason = _objection(item)
        if reason is not None:
            raise refuse(place, reason)
    ids = _ids(items, refuse)
    graph = {id: item.get("dependencies") or [] for id, item in zip(ids, items, strict=True)}
    for place, id in enumerate(ids):
        cycle = dependency_graph.find_cycle(graph, id, graph[id])
        if cycle is not None:
            raise refuse(place, "it would wait for itself: " + " -> ".join(map(str, cycle)))
    return [_row(place, id, item) for place, (id, item) in enumerate(zip(ids, items, strict=True))]


def _ids(items: list[Any], refuse: Callable[[int, str], ImportRejected]) -> list[int]:
    """Return the id of each item: its own, else its place from 1 if that is free, else the next free one."""
    taken: set[int] = set()
    for place, item in enumerate(items):
        id = item.get("id")
        if id in taken:
            raise refuse(place, f"id {id} occurs twice")
        if id is not None:
            taken.add(id)
    ids = []
    following = max(taken, default=0) + 1
    for place, item in enumerate(items):
        id = item.get("id")
        if id is None:
            id = place + 1 if place + 1 not in taken else max(following, len(items) + 1)
            following = max(following, id + 1)
            taken.add(id)
        ids.append(id)
    return ids


def _is_whole(value: Any) -> bool:
    return type(value) is int and abs(value) <= _MAX_ID


def _is_flag(value: Any) -> bool:
    return value is None or value in (True, False)


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _is_kept(check: Callable[[str, Any], str], value: Any) -> bool:
    """Say whether JSON can be stored: not half a surrogate pair, nor more levels than can be read again."""
    try:
        return check("value", value) is not None
    except InvalidArgument:
        return False


def _is_ids(value: Any) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, list)
        and all(_is_whole(id) for id in value)
        and len(set(value)) == len(value) <= dependency_graph.MAX_DEPENDENCIES
    )


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (lambda value: value is None or (_is_whole(value) and value > 0), "a whole number from 1 to 2147483647"),
    "priority": (lambda value: value is None or _is_whole(value), "a whole number"),
    "category": (_is_text, "a text"),
    "name": (_is_text, "a text"),
    "description": (_is_text, "a text"),
    "steps": (lambda value: value is None or _is_kept(arguments.json_list, value), "an array"),
    "passes": (_is_flag, "true or false"),
    "in_progress": (_is_flag, "true or false"),
    "dependencies": (_is_ids, f"at most {dependency_graph.MAX_DEPENDENCIES} ids, none twice"),
    "needs_human_input": (_is_flag, "true or false"),
    "human_input_request": (lambda value: value is None or _is_kept(arguments.json_object, value), "an object"),
    "human_input_response": (lambda value: value is None or _is_kept(arguments.json_object, value), "an object"),
}


def _objection(item: Any) -> str | None:
    if not isinstance(item, dict):
        return f"it is {type(item).__name__}, not an object"
    unknown = item.keys() - _RULES.keys()
    if unknown:
        return f"unknown key {min(unknown)!r}, which would be lost"
    for key, value in item.items():
        is_allowed, allowed = _RULES[key]
        if not is_allowed(value):
            return f"{key} is {json.dumps(value)[:40]}, expected {allowed}"
    return None


# --- storing ---


def _row(place: int, id: int, item: dict[str, Any]) -> tuple[Any, ...]:
    priority = item.get("priority", place + 1)
    return (
        id,
        999 if priority is None else priority,
        item.get("category", "uncategorized"),
        item.get("name", f"Feature {place + 1}"),
        item.get("description", ""),
        _dumped(item.get("steps") or []),
        bool(item.get("passes")),
        bool(item.get("in_progress")),
        _dumped(item.get("dependencies") or None),
        bool(item.get("needs_human_input")),
        _dumped(item.get("human_input_request")),
        _dumped(item.get("human_input_response")),
    )


def _dumped(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _fill(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> bool:
    if connection.execute("SELECT 1 FROM features").fetchone() is not None:
        return False
    marks = ", ".join("?" * len(Feature.fields))
    connection.executemany(f"INSERT INTO features ({', '.join(Feature.fields)}) VALUES ({marks})", rows)
    return True


def _move_away(source: str) -> str | None:
    """Move the imported file away under a name that no older backup has; the import stands if that fails."""
    stamp = f"{source}.backup.{time.strftime('%Y%m%d_%H%M%S')}"
    number, target = 1, stamp
    while True:
        try:
            os.link(source, target)
            os.unlink(source)
        except FileExistsError:
            number += 1
            target = f"{stamp}.{number}"
        except OSError as error:
            logger.warning("%s was imported but could not be moved to %s: %s", source, target, error)
            return None
        else:
            return target
