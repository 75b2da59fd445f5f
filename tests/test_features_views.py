"""The work queue: dependencies, what is ready, what is blocked, how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from feature_tools import blocked, in_progress, make, passing, waiting

from peewee_conv import Project
from peewee_conv.errors import DependencyCycle, InvalidArgument
from peewee_conv.services.features import Features


@pytest.fixture
def queue(project: Project) -> Features:
    return project.features


# --- dependencies ---


def test_dependencies_are_sorted_and_replaced_as_a_whole(queue: Features) -> None:
    first, second, third, last = make(queue, 4)

    assert queue.set_dependencies(last, [third, first, second]).dependencies == [1, 2, 3]
    assert queue.set_dependencies(last, ()).dependencies == []


def test_a_removed_dependency_stays_removed(queue: Features) -> None:
    *others, last = make(queue, 4)
    queue.set_dependencies(last, others)

    assert queue.remove_dependency(last, 2) is True
    assert queue.remove_dependency(last, 2) is False
    assert queue.get(last).dependencies == [1, 3]


def test_the_largest_id_can_be_added_last(queue: Features) -> None:
    *others, last = make(queue, 4)
    for id in others:
        queue.add_dependency(last, id)

    assert queue.get(last).get_dependencies_safe() == [1, 2, 3]


def test_a_cycle_of_any_length_is_refused_and_named(queue: Features) -> None:
    queue.create_many([{"name": "x", "depends_on_indices": [n - 1] if n else []} for n in range(80)])

    with pytest.raises(DependencyCycle) as caught:
        queue.add_dependency(1, 80)

    assert caught.value.path == [1, *range(80, 0, -1)]
    assert queue.get(1).dependencies == []


def test_an_honest_chain_longer_than_fifty_is_accepted(queue: Features) -> None:
    queue.create_many([{"name": "x", "depends_on_indices": [n - 1] if n else []} for n in range(80)])
    (last,) = make(queue, 1)

    assert queue.add_dependency(last, 80).dependencies == [80]


@pytest.mark.parametrize("change", ["set", "add"])
def test_a_feature_cannot_wait_for_itself(queue: Features, change: str) -> None:
    make(queue, 1)

    with pytest.raises(DependencyCycle):
        queue.set_dependencies(1, [1]) if change == "set" else queue.add_dependency(1, 1)


@pytest.mark.parametrize("dependencies", [[99], [2, 2], range(2, 23), "2", [2.0], None])
def test_dependencies_that_are_not_allowed_are_refused(queue: Features, dependencies: Any) -> None:
    make(queue, 23)

    with pytest.raises(InvalidArgument, match="dependencies"):
        queue.set_dependencies(1, dependencies)


def test_the_21st_dependency_is_refused(queue: Features) -> None:
    *others, last = make(queue, 22)
    queue.set_dependencies(last, others[:20])

    with pytest.raises(InvalidArgument, match="at most 20 dependencies"):
        queue.add_dependency(last, others[20])


def test_a_dependency_is_not_added_twice(queue: Features) -> None:
    last = blocked(queue)

    with pytest.raises(InvalidArgument, match="does not depend on yet"):
        queue.add_dependency(last, 1)


# --- views ---


def test_ready_puts_first_what_others_wait_for(queue: Features) -> None:
    queue.create_many(
        [
            {"name": "alone", "priority": 1},
            {"name": "base", "priority": 9},
            {"name": "on base", "depends_on_indices": [1]},
            {"name": "alone too", "priority": 2},
        ]
    )

    assert [feature.name for feature in queue.ready()] == ["base", "alone", "alone too"]
    assert [feature.name for feature in queue.ready(limit=1)] == ["base"]


def test_blocked_names_what_does_not_pass_yet(queue: Features) -> None:
    first, second, third = make(queue, 3)
    queue.set_dependencies(third, [first, second])
    queue.mark_passing(first)

    (found,) = queue.blocked()

    assert (found.feature.id, found.blocked_by) == (third, [second])


def test_the_graph_has_a_word_for_each_state(queue: Features) -> None:
    passing(queue), waiting(queue), in_progress(queue), blocked(queue)

    found = queue.graph()

    assert [(node["id"], node["status"]) for node in found["nodes"]] == [
        (1, "done"),
        (2, "needs_human_input"),
        (3, "in_progress"),
        (4, "pending"),
        (5, "blocked"),
    ]
    assert found["edges"] == [{"source": 4, "target": 5}]


def test_stats_of_an_empty_queue_are_zeros(queue: Features) -> None:
    assert queue.stats().to_dict() == {
        "passing": 0,
        "in_progress": 0,
        "needs_human_input": 0,
        "total": 0,
        "percentage": 0.0,
    }


def test_stats_count_every_state(queue: Features) -> None:
    passing(queue), waiting(queue), in_progress(queue)

    assert queue.stats().to_dict() == {
        "passing": 1,
        "in_progress": 1,
        "needs_human_input": 1,
        "total": 3,
        "percentage": 33.3,
    }


@pytest.mark.parametrize(("name", "limit"), [("ready", 0), ("ready", 51), ("blocked", 0), ("blocked", 101)])
def test_limits_of_the_views_are_checked(queue: Features, name: str, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        getattr(queue, name)(limit=limit)


def test_readers_do_not_wait_for_a_writer(project: Project, make_project: Callable[..., Project]) -> None:
    from peewee_conv.schemas import features

    make(project.features, 1)
    with project.atomic(features):
        project.features.claim(1)
        found = []
        import threading

        reader = threading.Thread(target=lambda: found.append(project.features.stats().in_progress))
        reader.start()
        reader.join(10)

    assert found == [0]


def test_a_project_of_a_relative_path_has_the_same_queue(
    project: Project, make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(project.features, 1)
    monkeypatch.chdir(project.path)

    assert Project(".").features.claim(1).already_claimed is False
    assert project.features.claim(1).already_claimed is True
