"""The work queue: its rows, and their states and guards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from feature_tools import blocked, in_progress, make, passing, waiting

from peewee_conv import Project
from peewee_conv.errors import FeatureNotFound, FeatureStateConflict, InvalidArgument
from peewee_conv.services.features import Features


@pytest.fixture
def queue(project: Project) -> Features:
    return project.features


# --- rows ---


def test_a_new_feature_has_the_documented_defaults(queue: Features) -> None:
    assert queue.create("Log in").to_dict() == {
        "id": 1,
        "priority": 1,
        "category": "uncategorized",
        "name": "Log in",
        "description": "",
        "steps": [],
        "passes": False,
        "in_progress": False,
        "dependencies": [],
        "needs_human_input": False,
        "human_input_request": None,
        "human_input_response": None,
    }


def test_new_features_go_to_the_end_of_the_queue(queue: Features) -> None:
    queue.create("urgent", priority=40)

    assert [feature.priority for feature in queue.create_many([{"name": "a"}, {"name": "b"}])] == [41, 42]


def test_ids_are_never_used_again(queue: Features) -> None:
    queue.delete(make(queue, 3)[-1])

    assert queue.create("another").id == 4


def test_features_of_one_call_may_wait_for_earlier_ones_of_it(queue: Features) -> None:
    (old,) = make(queue, 1)

    made = queue.create_many(
        [
            {"name": "a"},
            {"name": "b", "depends_on_indices": [0], "dependencies": [old]},
            {"name": "c", "depends_on_indices": [1, 0]},
        ]
    )

    assert [feature.dependencies for feature in made] == [[], [1, 2], [2, 3]]


@pytest.mark.parametrize(
    ("item", "argument"),
    [
        ({}, "items[1]"),
        ({"name": "x", "colour": "red"}, "items[1]"),
        ("x", "items[1]"),
        ({"name": " "}, "items[1].name"),
        ({"name": "x" * 256}, "items[1].name"),
        ({"name": "x", "category": None}, "items[1].category"),
        ({"name": "x", "steps": "one"}, "items[1].steps"),
        ({"name": "x", "steps": [1]}, "items[1].steps"),
        ({"name": "x", "priority": "high"}, "items[1].priority"),
        ({"name": "x", "dependencies": [99]}, "items[1].dependencies"),
        ({"name": "x", "dependencies": [True]}, "items[1].dependencies"),
        ({"name": "x", "dependencies": "12"}, "items[1].dependencies"),
        ({"name": "x", "depends_on_indices": [1]}, "items[1].depends_on_indices"),
        ({"name": "x", "depends_on_indices": [-1]}, "items[1].depends_on_indices"),
        ({"name": "x", "depends_on_indices": [0, 0]}, "items[1].depends_on_indices"),
    ],
)
def test_a_bad_item_is_named_and_nothing_is_stored(queue: Features, item: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        queue.create_many([{"name": "good"}, item])

    assert caught.value.argument == argument
    assert queue.all() == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "x", "steps": "text"}, "steps"),
        ({"name": "x", "priority": True}, "priority"),
        ({"name": "x", "dependencies": [7]}, "dependencies"),
        ({"name": "x", "dependencies": range(1, 22)}, "dependencies"),
        ({"name": "x\0"}, "name"),
    ],
)
def test_a_bad_argument_is_named(queue: Features, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        queue.create(**arguments)

    assert caught.value.argument == named


def test_a_missing_feature_raises_or_is_none(queue: Features) -> None:
    assert queue.find(1) is None
    assert queue.delete(1) is False
    with pytest.raises(FeatureNotFound, match="feature 1 does not exist"):
        queue.get(1)


@pytest.mark.parametrize(
    "name", ["claim", "mark_in_progress", "mark_passing", "mark_failing", "clear_in_progress", "skip", "update"]
)
def test_no_state_of_a_missing_feature_can_be_changed(queue: Features, name: str) -> None:
    with pytest.raises(FeatureNotFound):
        getattr(queue, name)(1)


@pytest.mark.parametrize("id", [0, -1, True, "1", 1.0, None, 2**63])
def test_what_is_no_id_is_refused(queue: Features, id: Any) -> None:
    with pytest.raises(InvalidArgument, match="feature_id"):
        queue.find(id)


def test_an_update_changes_what_is_given(queue: Features) -> None:
    (id,) = make(queue, 1)

    queue.update(id, name="new", steps=["a", "b"], priority=-3)

    found = queue.update(id)
    assert (found.name, found.steps, found.priority, found.category) == ("new", ["a", "b"], -3, "uncategorized")


def test_a_feature_that_passes_is_not_updated(queue: Features) -> None:
    with pytest.raises(FeatureStateConflict, match="it passes already"):
        queue.update(passing(queue), name="new")


def test_deleting_a_feature_frees_those_that_waited_for_it(queue: Features) -> None:
    first, second, third = make(queue, 3)
    queue.set_dependencies(third, [first, second])

    assert queue.delete(first) is True
    assert queue.get(third).dependencies == [second]


def test_pages_follow_each_other_by_priority_then_id(queue: Features) -> None:
    queue.create_many([{"name": "x", "priority": priority} for priority in (3, 1, 2, 1, 3)])
    found, after = [], None
    while True:
        page = queue.list(limit=2, after=after)
        found += [feature.id for feature in page]
        after = page.next
        if after is None:
            break

    assert found == [2, 4, 3, 1, 5]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("passing", [1]), ("in_progress", [3]), ("needs_human_input", [2]), ("open", [2, 3, 4]), (None, [1, 2, 3, 4])],
)
def test_a_list_may_be_of_one_status(queue: Features, status: Any, expected: list[int]) -> None:
    passing(queue), waiting(queue), in_progress(queue), make(queue, 1)

    assert [feature.id for feature in queue.list(status=status)] == expected


@pytest.mark.parametrize("arguments", [{"status": "done"}, {"status": []}, {"limit": 0}, {"after": "x"}])
def test_a_list_refuses_what_is_not_allowed(queue: Features, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        queue.list(**arguments)


# --- states ---


def test_a_claim_is_safe_to_repeat(queue: Features) -> None:
    (id,) = make(queue, 1)

    first, second = queue.claim(id), queue.claim(id)

    assert (first.already_claimed, second.already_claimed) == (False, True)
    assert first.feature == second.feature
    assert second.to_dict()["feature"]["in_progress"] is True


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (passing, "it passes already"),
        (waiting, "it waits for human input"),
        (blocked, "it waits for features 1"),
    ],
)
@pytest.mark.parametrize("name", ["claim", "mark_in_progress"])
def test_what_cannot_be_started_says_why(
    queue: Features, name: str, state: Callable[[Features], int], reason: str
) -> None:
    with pytest.raises(FeatureStateConflict, match=reason):
        getattr(queue, name)(state(queue))


def test_a_feature_is_started_once(queue: Features) -> None:
    with pytest.raises(FeatureStateConflict, match="it is in progress already"):
        queue.mark_in_progress(in_progress(queue))


def test_passing_ends_the_work_and_is_said_once(queue: Features) -> None:
    id = in_progress(queue)

    found = queue.mark_passing(id)

    assert (found.passes, found.in_progress) == (True, False)
    with pytest.raises(FeatureStateConflict, match="it passes already"):
        queue.mark_passing(id)


def test_failing_puts_a_feature_back(queue: Features) -> None:
    found = queue.mark_failing(passing(queue))

    assert (found.passes, found.in_progress) == (False, False)


def test_a_feature_can_be_given_back(queue: Features) -> None:
    assert queue.clear_in_progress(in_progress(queue)).in_progress is False


def test_a_skipped_feature_is_the_last(queue: Features) -> None:
    first, _, last = make(queue, 3)
    queue.claim(first)

    skipped = queue.skip(first)

    assert (skipped.priority, skipped.in_progress) == (queue.get(last).priority + 1, False)


def test_a_feature_that_passes_is_not_skipped(queue: Features) -> None:
    with pytest.raises(FeatureStateConflict, match="it passes already"):
        queue.skip(passing(queue))


def test_claim_next_goes_on_until_nothing_is_ready(queue: Features) -> None:
    second = blocked(queue)

    first = queue.claim_next()
    assert first is not None
    assert queue.claim_next() is None
    queue.mark_passing(first.id)
    assert queue.claim_next() == queue.get(second)
