"""Which feature waits for which: pure rules over ids, without a database and without recursion.

A graph is a mapping of each feature's id to the ids that it depends on. Ids that are no features are kept: a feature
that depends on a missing one is blocked by it.

>>> graph = {1: [], 2: [1], 3: [2]}
>>> find_cycle(graph, 1, [3])
[1, 3, 2, 1]
>>> blocking(graph, 3, passing={1})
[2]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

Graph = Mapping[int, Collection[int]]

MAX_DEPENDENCIES = 20


def find_cycle(graph: Graph, feature_id: int, dependencies: Iterable[int]) -> list[int] | None:
    """Return the cycle that would arise if the feature got these dependencies, or ``None``; of any length."""
    parents: dict[int, int] = {}
    pending = []
    for dependency in dependencies:
        if dependency == feature_id:
            return [feature_id, feature_id]
        parents[dependency] = feature_id
        pending.append(dependency)
    while pending:
        current = pending.pop()
        for following in graph.get(current, ()):
            if following == feature_id:
                return _path(parents, current, feature_id)
            if following not in parents:
                parents[following] = current
                pending.append(following)
    return None


def _path(parents: Mapping[int, int], last: int, start: int) -> list[int]:
    path = [start, last]
    while path[-1] != start:
        path.append(parents[path[-1]])
    path.reverse()
    return path


def blocking(graph: Graph, feature_id: int, passing: Collection[int]) -> list[int]:
    """Return the dependencies of a feature that do not pass yet, sorted."""
    return sorted(dependency for dependency in graph.get(feature_id, ()) if dependency not in passing)


def dependents(graph: Graph) -> dict[int, list[int]]:
    """Return for each id the features that depend on it directly."""
    found: dict[int, list[int]] = {}
    for feature_id, dependencies in graph.items():
        for dependency in dependencies:
            found.setdefault(dependency, []).append(feature_id)
    return found


def scores(graph: Graph, priorities: Mapping[int, int]) -> dict[int, float]:
    """Return how urgent each feature is: who unblocks many comes first, then who is near the roots, then by priority.

    1000 for the share of features that wait for it, directly or not, 100 for a small depth, 10 for a low priority
    number: ``1000 * downstream/max + 100 * (1 - depth/max) + 10 * (10 - min(priority, 10)) / 10``.
    """
    downstream = _downstream_counts(graph)
    depths = _depths(graph)
    most = max(downstream.values(), default=0) or 1
    deepest = max(depths.values(), default=0) or 1
    return {
        feature_id: 1000 * downstream[feature_id] / most
        + 100 * (1 - depths[feature_id] / deepest)
        + 10 * (10 - min(max(priorities[feature_id], 0), 10)) / 10
        for feature_id in graph
    }


def _downstream_counts(graph: Graph) -> dict[int, int]:
    """Return how many features wait for each, directly or not.

    A set of features is one long integer, of which bit *n* is the *n*-th feature: to unite two is one operation.
    """
    waiting = dependents(graph)
    bits = {feature_id: 1 << place for place, feature_id in enumerate(graph)}
    downstream = dict.fromkeys(graph, 0)
    open_counts = {feature_id: len(waiting.get(feature_id, ())) for feature_id in graph}
    pending = [feature_id for feature_id, count in open_counts.items() if not count]
    while pending:
        current = pending.pop()
        for dependency in graph[current]:
            if dependency in downstream:
                downstream[dependency] |= downstream[current] | bits[current]
                open_counts[dependency] -= 1
                if not open_counts[dependency]:
                    pending.append(dependency)
    # What is left leads into a cycle, which only files of older applications have.
    return {
        feature_id: len(_reachable(waiting, feature_id)) if open_counts[feature_id] else found.bit_count()
        for feature_id, found in downstream.items()
    }


def _reachable(edges: Mapping[int, Collection[int]], start: int) -> set[int]:
    seen: set[int] = set()
    pending = [start]
    while pending:
        for following in edges.get(pending.pop(), ()):
            if following not in seen:
                seen.add(following)
                pending.append(following)
    return seen - {start}


def _depths(graph: Graph) -> dict[int, int]:
    """Return the length of the longest way from a feature without dependencies to each; features of a cycle count 0."""
    waiting = dependents(graph)
    open_counts = {id: sum(dependency in graph for dependency in needed) for id, needed in graph.items()}
    depths = dict.fromkeys(graph, 0)
    pending = [feature_id for feature_id, count in open_counts.items() if not count]
    while pending:
        current = pending.pop()
        for following in waiting.get(current, ()):
            depths[following] = max(depths[following], depths[current] + 1)
            open_counts[following] -= 1
            if not open_counts[following]:
                pending.append(following)
    return depths
