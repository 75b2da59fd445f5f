"""The rules of dependencies against naive references: cycles, what blocks, how urgent a feature is."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peewee_conv.dependency_graph import blocking, dependents, find_cycle, scores

Graph = dict[int, list[int]]
IDS = st.integers(1, 8)
graphs = st.dictionaries(IDS, st.lists(IDS, max_size=4, unique=True), max_size=8)


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> Graph:
    """Draw a graph in which features wait for those before them in some order, and for missing ones."""
    order = draw(st.permutations(range(1, 9)))
    return {
        id: draw(st.lists(st.sampled_from([*order[:place], 99]), max_size=4, unique=True))
        for place, id in enumerate(order)
    }


def is_cyclic(graph: Graph) -> bool:
    """Take away what waits for nothing until nothing of the kind is left."""
    left = dict(graph)
    while left:
        free = [id for id, needed in left.items() if not set(needed) & left.keys()]
        if not free:
            return True
        for id in free:
            del left[id]
    return False


def waits_for(graph: Graph, id: int, other: int) -> bool:
    """Say whether a feature waits for another, over any number of steps."""
    reached: set[int] = set()
    for _ in graph:
        reached |= {needed for current in [id, *reached] for needed in graph.get(current, [])}
    return other in reached


def depth(graph: Graph, id: int) -> int:
    return max((1 + depth(graph, needed) for needed in graph[id] if needed in graph), default=0)


@given(acyclic_graphs(), IDS, st.lists(IDS, max_size=5, unique=True))
def test_a_cycle_is_found_just_when_the_edit_makes_one(graph: Graph, id: int, dependencies: list[int]) -> None:
    edited = {**graph, id: dependencies}

    assert (find_cycle(graph, id, dependencies) is not None) == is_cyclic(edited)


@given(acyclic_graphs(), IDS, st.lists(IDS, max_size=5, unique=True))
def test_a_found_cycle_leads_from_the_feature_to_itself(graph: Graph, id: int, dependencies: list[int]) -> None:
    cycle = find_cycle(graph, id, dependencies)
    edited = {**graph, id: dependencies}

    assert cycle is None or (cycle[0] == cycle[-1] == id and len(cycle) > 1)
    assert all(after in edited[before] for before, after in zip(cycle or [], (cycle or [])[1:], strict=False))


@given(acyclic_graphs(), st.lists(st.tuples(IDS, st.lists(IDS, max_size=5, unique=True)), max_size=30))
def test_a_graph_stays_acyclic_when_edits_with_a_cycle_are_refused(
    graph: Graph, edits: list[tuple[int, list[int]]]
) -> None:
    for id, dependencies in edits:
        if find_cycle(graph, id, dependencies) is None:
            graph[id] = dependencies

    assert not is_cyclic(graph)


@given(graphs, IDS, st.sets(IDS))
def test_what_blocks_is_what_does_not_pass(graph: Graph, id: int, passing: set[int]) -> None:
    assert blocking(graph, id, passing) == sorted(set(graph.get(id, [])) - passing)


@given(graphs)
def test_dependents_are_the_graph_turned_around(graph: Graph) -> None:
    turned = dependents(graph)

    assert {(id, needed) for id, all_needed in graph.items() for needed in all_needed} == {
        (id, needed) for needed, ids in turned.items() for id in ids
    }


@given(acyclic_graphs(), st.dictionaries(IDS, st.integers(-5, 15), min_size=0))
def test_scores_equal_a_naive_reference(graph: Graph, given: dict[int, int]) -> None:
    priorities = {id: given.get(id, 3) for id in graph}
    downstream = {id: sum(waits_for(graph, other, id) for other in graph if other != id) for id in graph}
    depths = {id: depth(graph, id) for id in graph}

    found = scores(graph, priorities)

    for id in graph:
        expected = (
            1000 * downstream[id] / (max(downstream.values()) or 1)
            + 100 * (1 - depths[id] / (max(depths.values()) or 1))
            + 10
            - min(max(priorities[id], 0), 10)
        )
        assert found[id] == pytest.approx(expected)


@given(graphs)
@example({1: [2], 2: [1], 3: [1], 4: []})
@example({7: [7]})
def test_features_of_a_cycle_have_a_score_too(graph: Graph) -> None:
    downstream = {id: sum(waits_for(graph, other, id) for other in graph if other != id) for id in graph}
    most = max(downstream.values(), default=0) or 1

    found = scores(graph, dict.fromkeys(graph, 10))

    assert found.keys() == graph.keys()
    assert all(0 <= found[id] - 1000 * downstream[id] / most <= 100 + 1e-9 for id in graph)


def test_a_chain_of_any_length_is_no_cycle() -> None:
    chain = {id: [id - 1] if id > 1 else [] for id in range(1, 5001)}

    assert find_cycle(chain, 5001, [5000]) is None
    assert find_cycle(chain, 1, [5000]) == [1, *range(5000, 0, -1)]


def test_2000_features_are_ranked_in_a_moment() -> None:
    chain = {id: [id - 1] if id > 1 else [] for id in range(1, 2001)}
    started = time.process_time()

    found = scores(chain, dict.fromkeys(chain, 1))

    assert max(found, key=found.__getitem__) == 1
    assert time.process_time() - started < 0.5
