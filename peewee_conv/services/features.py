"""The work queue of a project's agents: features, their states, their dependencies."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from .. import arguments, feature_queries, human_input, keyset
from .. import dependency_graph as graphs
from ..arguments import UNSET, Unset
from ..database.handle import Handle
from ..errors import FeatureNotFound, InvalidArgument
from ..feature_records import BlockedFeature, Claim, Feature, FeatureStats
from ..records import Page

Status = Literal["passing", "in_progress", "needs_human_input", "open"]

_CONDITIONS = {
    None: "1",
    "passing": "passes = 1",
    "in_progress": "in_progress = 1",
    "needs_human_input": "needs_human_input = 1",
    "open": "passes = 0",
}
_KEYS = {"name", "category", "description", "steps", "priority", "dependencies", "depends_on_indices"}
_MAX_PRIORITY = 2**31 - 1


class Features:
    """The features of a project, as ``project.features`` (D01).

    Each change of state is guarded by the statement that makes it, so that two agents never claim one feature.

    >>> import tempfile
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
    ...     first, second = project.features.create_many(
    ...         [{"name": "Log in"}, {"name": "Log out", "depends_on_indices": [0]}]
    ...     )
    ...     project.features.claim_next().name, project.features.claim_next()
    ...     project.features.mark_passing(first.id).passes
    ...     project.features.claim_next().name
    ...     project.dispose()
    ('Log in', None)
    True
    'Log out'
    True
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._now = handle.binding.settings.now

    # --- rows ---

    def create(
        self,
        name: str,
        *,
        category: str = "uncategorized",
        description: str = "",
        steps: Sequence[str] = (),
        priority: int | None = None,
        dependencies: Iterable[int] = (),
    ) -> Feature:
        """Store a new feature and return it.

        :param name: 1 to 255 characters.
        :param category: at most 100 characters.
        :param steps: texts, in their order.
        :param priority: the smaller, the earlier; after all others if left out.
        :param dependencies: ids of at most 20 features that must pass first.
        :raises InvalidArgument: an argument is not allowed, or a dependency does not exist.
        """
        item = {
            "name": name,
            "category": category,
            "description": description,
            "steps": steps,
            "priority": priority,
            "dependencies": dependencies,
        }
        return Feature.of(self._handle.write(feature_queries.create, [_checked_item("", 0, item)])[0])

    def create_many(self, items: Iterable[Mapping[str, Any]]) -> builtins.list[Feature]:
        """Store new features in their order, all or none, and return them.

        :param items: mappings with ``name`` and, if wanted, the other arguments of :meth:`create`, and
            ``depends_on_indices``: places (from 0) of earlier items of this call.
        :raises InvalidArgument: an item is not allowed; the text names its place.
        """
        given = arguments.items("items", items, "mappings with 'name'")
        checked = [_item_of_many(place, item) for place, item in enumerate(given)]
        return Feature.all_of(self._handle.write(feature_queries.create, checked))

    def get(self, feature_id: int) -> Feature:
        """Return a feature.

        :raises FeatureNotFound: there is none of that id.
        """
        found = self.find(feature_id)
        if found is None:
            raise FeatureNotFound(feature_id)
        return found

    def find(self, feature_id: int) -> Feature | None:
        """Return a feature, or ``None``."""
        row = self._handle.read(feature_queries.find, _check_id(feature_id))
        return None if row is None else Feature.of(row)

    def list(self, *, status: Status | None = None, limit: int = 100, after: str | None = None) -> Page[Feature]:
        """Return a page of features by priority, then id.

        :param status: only features that pass, are in progress, wait for a person, or are still open.
        :param limit: rows of the page, 1 to 1000.
        :param after: the ``next`` of the page before.
        """
        arguments.whole("limit", limit, 1, 1000)
        condition = _CONDITIONS.get(status) if status is None or isinstance(status, str) else None
        if condition is None:
            allowed = "one of " + ", ".join(repr(word) for word in _CONDITIONS if word)
            raise InvalidArgument("status", status, allowed)
        position = keyset.parse_numbers(after)
        rows = self._handle.read(feature_queries.page, condition, position, limit + 1)
        return keyset.page(Feature.all_of(rows), limit, lambda last: (last.priority, last.id))

    def all(self) -> builtins.list[Feature]:
        """Return all features by priority, then id, as one state of the queue."""
        return Feature.all_of(self._handle.read(feature_queries.rows))

    def update(
        self,
        feature_id: int,
        *,
        name: str | Unset = UNSET,
        category: str | Unset = UNSET,
        description: str | Unset = UNSET,
        steps: Sequence[str] | Unset = UNSET,
        priority: int | Unset = UNSET,
    ) -> Feature:
        """Change what is given and return the feature as it is now.

        :raises FeatureNotFound: there is none of that id.
        :raises FeatureStateConflict: it passes already.
        """
        given = {
            "name": name,
            "category": category,
            "description": description,
            "steps": steps,
            "priority": priority,
        }
        changes = {key: _CHECKS[key](key, value) for key, value in given.items() if not isinstance(value, Unset)}
        return Feature.of(self._handle.write(feature_queries.update, _check_id(feature_id), changes))

    def delete(self, feature_id: int) -> bool:
        """Delete a feature and take its id out of the dependencies of all others; return whether there was one."""
        return self._handle.write(feature_queries.delete, _check_id(feature_id))

    # --- states ---

    def claim(self, feature_id: int) -> Claim:
        """Start a feature, or find it started: safe to call again.

        :raises FeatureStateConflict: it passes, waits for a person, or waits for other features.
        """
        row, already = self._handle.write(feature_queries.claim, _check_id(feature_id))
        return Claim.of((Feature.of(row), already))

    def claim_next(self) -> Feature | None:
        """Start the most urgent feature that is ready, and return it; ``None`` if none is.

        Any number of agents may ask at once: each gets another one.
        """
        # The order is found out by a read, which blocks nobody: agents that ask in vain do not stop those at work.
        candidates = self._handle.read(feature_queries.ready_ids)
        row = self._handle.write(feature_queries.claim_first, candidates) if candidates else None
        return None if row is None else Feature.of(row)

    def mark_in_progress(self, feature_id: int) -> Feature:
        """Start a feature.

        :raises FeatureStateConflict: it passes, is in progress, waits for a person, or waits for other features.
        """
        return self._change(feature_queries.mark_in_progress, feature_id)

    def mark_passing(self, feature_id: int) -> Feature:
        """Mark a feature as passing.

        :raises FeatureStateConflict: it passes already.
        """
        return self._change(feature_queries.mark_passing, feature_id)

    def mark_failing(self, feature_id: int) -> Feature:
        """Mark a feature as not passing, and not in progress."""
        return self._change(feature_queries.mark_failing, feature_id)

    def clear_in_progress(self, feature_id: int) -> Feature:
        """Give a feature back to the queue."""
        return self._change(feature_queries.clear_in_progress, feature_id)

    def skip(self, feature_id: int) -> Feature:
        """Put a feature at the end of the queue.

        :raises FeatureStateConflict: it passes already.
        """
        return self._change(feature_queries.skip, feature_id)

    def _change(self, work: Any, feature_id: int) -> Feature:
        row: tuple[Any, ...] = self._handle.write(work, _check_id(feature_id))
        return Feature.of(row)

    # --- dependencies ---

    def set_dependencies(self, feature_id: int, dependencies: Iterable[int]) -> Feature:
        """Replace the dependencies of a feature.

        :param dependencies: ids of at most 20 other features.
        :raises DependencyCycle: it would wait for itself, over any number of steps.
        """
        ids = check_dependencies("dependencies", dependencies)
        return Feature.of(self._handle.write(feature_queries.set_dependencies, _check_id(feature_id), ids))

    def add_dependency(self, feature_id: int, dependency_id: int) -> Feature:
        """Add one dependency.

        :raises DependencyCycle: it would wait for itself, over any number of steps.
        :raises InvalidArgument: it is there already, does not exist, or would be the 21st.
        """
        row = self._handle.write(
            feature_queries.add_dependency, _check_id(feature_id), _check_id(dependency_id, "dependency_id")
        )
        return Feature.of(row)

    def remove_dependency(self, feature_id: int, dependency_id: int) -> bool:
        """Remove one dependency; return whether it was one.

        :raises FeatureNotFound: the feature does not exist.
        """
        dependency_id = _check_id(dependency_id, "dependency_id")
        removed = self._handle.write(feature_queries.remove_dependency, _check_id(feature_id), dependency_id)
        return removed is not None

    # --- a person's help ---

    def request_human_input(self, feature_id: int, prompt: str, fields: Sequence[Mapping[str, Any]]) -> Feature:
        """Stop a feature that is in progress until a person answers.

        :param fields: what to ask: mappings with ``id``, ``label`` and ``type`` (``text``, ``textarea``, ``select``
            with ``options``, ``boolean``), and ``required`` (true if left out).
        :raises FeatureStateConflict: it is not in progress.
        """
        request = human_input.request(prompt, fields)
        return Feature.of(self._handle.write(feature_queries.request_human_input, _check_id(feature_id), request))

    def resolve_human_input(self, feature_id: int, answers: Mapping[str, Any]) -> Feature:
        """Store a person's answers by field id, and give the feature back to the queue.

        :raises FeatureStateConflict: it does not wait for a person.
        :raises InvalidArgument: a required answer is missing, or no field has that id.
        """
        plain = json.loads(arguments.json_object("answers", answers))
        row = self._handle.write(feature_queries.resolve_human_input, _check_id(feature_id), plain, self._now())
        return Feature.of(row)

    # --- views of the queue ---

    def ready(self, *, limit: int = 10) -> builtins.list[Feature]:
        """Return the features that may start now, the most urgent first.

        :param limit: 1 to 50.
        """
        arguments.whole("limit", limit, 1, 50)
        return Feature.all_of(feature_queries.ready_rows(self._handle.read(feature_queries.rows))[:limit])

    def blocked(self, *, limit: int = 20) -> builtins.list[BlockedFeature]:
        """Return the features that wait for others, by priority, with what they wait for.

        :param limit: 1 to 100.
        """
        arguments.whole("limit", limit, 1, 100)
        found = feature_queries.blocked_rows(self._handle.read(feature_queries.rows))[:limit]
        return [BlockedFeature.of((Feature.of(row), tuple(blocked_by))) for row, blocked_by in found]

    def graph(self) -> dict[str, builtins.list[dict[str, Any]]]:
        """Return the queue as nodes (with a ``status``) and edges ``{"source": dependency, "target": feature}``."""
        rows = self._handle.read(feature_queries.rows)
        blocked = {row[0]: blocked_by for row, blocked_by in feature_queries.blocked_rows(rows)}
        features = Feature.all_of(rows)
        nodes = [
            {
                "id": feature.id,
                "name": feature.name,
                "category": feature.category,
                "priority": feature.priority,
                "dependencies": feature.dependencies,
                "status": feature_queries.status(feature, blocked.get(feature.id, [])),
            }
            for feature in features
        ]
        edges = [{"source": source, "target": feature.id} for feature in features for source in feature.dependencies]
        return {"nodes": nodes, "edges": edges}

    def stats(self) -> FeatureStats:
        """Return how many features pass, are in progress, wait for a person, and are there."""
        return FeatureStats.of(self._handle.read(feature_queries.stats))


# --- checks ---


def _check_id(value: object, argument: str = "feature_id") -> int:
    return arguments.whole(argument, value, 1, 2**63 - 1)


def check_dependencies(argument: str, value: Iterable[int]) -> list[int]:
    """Return the ids that *value* has: at most 20, none twice."""
    ids = [_check_id(item, argument) for item in arguments.items(argument, value, "ids of features")]
    if len(set(ids)) != len(ids) or len(ids) > graphs.MAX_DEPENDENCIES:
        raise InvalidArgument(argument, ids, f"at most {graphs.MAX_DEPENDENCIES} ids, none twice")
    return ids


def _check_steps(argument: str, value: Sequence[str]) -> str:
    steps = arguments.items(argument, value, "texts in their order")
    return arguments.json_list(argument, [arguments.text(argument, step, 100_000) for step in steps])


_CHECKS: dict[str, Any] = {
    "name": lambda argument, value: arguments.text(argument, value, 255, may_be_blank=False),
    "category": lambda argument, value: arguments.text(argument, value, 100, may_be_blank=False),
    "description": lambda argument, value: arguments.text(argument, value, 1_000_000),
    "steps": _check_steps,
    "priority": lambda argument, value: arguments.whole(argument, value, -_MAX_PRIORITY, _MAX_PRIORITY),
}
_DEFAULTS: dict[str, Any] = {
    "category": "uncategorized",
    "description": "",
    "steps": (),
    "priority": None,
    "dependencies": (),
    "depends_on_indices": (),
}


def _item_of_many(place: int, item: Mapping[str, Any]) -> dict[str, Any]:
    where = f"items[{place}]"
    if not isinstance(item, Mapping) or "name" not in item or not item.keys() <= _KEYS:
        raise InvalidArgument(where, item, "a mapping with 'name' and any of " + ", ".join(sorted(_KEYS - {"name"})))
    return _checked_item(f"{where}.", place, item)


def _checked_item(where: str, place: int, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store; *where* begins the names of arguments in errors, *place* is that among the items."""
    given = {**_DEFAULTS, **item}
    checked = {
        key: None if key == "priority" and given[key] is None else check(where + key, given[key])
        for key, check in _CHECKS.items()
    }
    ids = check_dependencies(where + "dependencies", given["dependencies"])
    indices = _check_indices(where + "depends_on_indices", place, given["depends_on_indices"])
    if len(ids) + len(indices) > graphs.MAX_DEPENDENCIES:
        raise InvalidArgument(where + "dependencies", "...", f"at most {graphs.MAX_DEPENDENCIES} dependencies")
    return {**checked, "where": where, "dependencies": ids, "depends_on_indices": indices}


def _check_indices(argument: str, place: int, value: Iterable[int]) -> list[int]:
    indices = arguments.items(argument, value, "places of earlier items")
    if not all(type(index) is int and 0 <= index < place for index in indices) or len(set(indices)) != len(indices):
        raise InvalidArgument(argument, indices, "places of earlier items, from 0, none twice")
    return indices
