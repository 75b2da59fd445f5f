"""Random edits of a queue against a model that is too simple to be wrong."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from peewee_conv import Project
from peewee_conv.errors import DependencyCycle, FeatureNotFound, FeatureStateConflict, InvalidArgument

IDS = st.integers(1, 7)
REFUSALS = (DependencyCycle, FeatureNotFound, FeatureStateConflict, InvalidArgument)


class Model:
    """A feature as plain values."""

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.passes = self.in_progress = self.waits = False
        self.dependencies: set[int] = set()


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.project = Project(self.folder.name, durability="normal")
        self.queue = self.project.features
        self.model: dict[int, Model] = {}

    def teardown(self) -> None:
        self.project.dispose()
        self.folder.cleanup()

    def does(self, allowed: bool, name: str, *args: Any) -> bool:
        """Call the queue, check that it does or refuses as the model says, and return whether it did."""
        try:
            getattr(self.queue, name)(*args)
        except REFUSALS:
            assert not allowed, f"{name}{args} was refused"
        else:
            assert allowed, f"{name}{args} was accepted"
        return allowed

    def open(self, id: int) -> bool:
        return id in self.model and not self.model[id].passes

    def startable(self, id: int) -> bool:
        found = self.model.get(id)
        return (
            found is not None
            and not (found.passes or found.in_progress or found.waits)
            and all(needed in self.model and self.model[needed].passes for needed in found.dependencies)
        )

    def waits_for(self, id: int, other: int) -> bool:
        reached = {id}
        for _ in self.model:
            reached |= {needed for current in reached for needed in self.model[current].dependencies}
        return other in reached

    @initialize()
    def begin(self) -> None:
        for made in self.queue.create_many([{"name": "x"}] * 5):
            self.model[made.id] = Model(made.priority)

    @rule(priority=st.integers(-3, 12))
    def create(self, priority: int) -> None:
        if len(self.model) < 7:
            self.model[self.queue.create("x", priority=priority).id] = Model(priority)

    @rule(id=IDS)
    def delete(self, id: int) -> None:
        assert self.queue.delete(id) == (self.model.pop(id, None) is not None)
        for found in self.model.values():
            found.dependencies.discard(id)

    @rule(id=IDS)
    def start(self, id: int) -> None:
        if self.does(self.startable(id), "mark_in_progress", id):
            self.model[id].in_progress = True

    @rule()
    def claim_next(self) -> None:
        ready = {id for id in self.model if self.startable(id)}
        found = self.queue.claim_next()
        if found is None:
            assert not ready
        else:
            assert found.id in ready
            self.model[found.id].in_progress = True

    @rule(id=IDS)
    def passes(self, id: int) -> None:
        if self.does(self.open(id), "mark_passing", id):
            self.model[id].passes, self.model[id].in_progress = True, False

    @rule(id=IDS)
    def fail(self, id: int) -> None:
        if self.does(id in self.model, "mark_failing", id):
            self.model[id].passes = self.model[id].in_progress = False

    @rule(id=IDS)
    def skip(self, id: int) -> None:
        last = max((found.priority for found in self.model.values()), default=0)
        if self.does(self.open(id), "skip", id):
            self.model[id].priority, self.model[id].in_progress = last + 1, False

    @rule(id=IDS)
    def ask(self, id: int) -> None:
        form = [{"id": "a", "label": "A", "type": "text"}]
        if self.does(self.open(id) and self.model[id].in_progress, "request_human_input", id, "?", form):
            self.model[id].waits, self.model[id].in_progress = True, False

    @rule(id=IDS)
    def answer(self, id: int) -> None:
        waits = id in self.model and self.model[id].waits
        if self.does(waits, "resolve_human_input", id, {"a": "1"}):
            self.model[id].waits = False

    @rule(id=IDS, other=IDS)
    def add_dependency(self, id: int, other: int) -> None:
        allowed = (
            id in self.model
            and other in self.model
            and other not in self.model[id].dependencies
            and not self.waits_for(other, id)
        )
        if self.does(allowed, "add_dependency", id, other):
            self.model[id].dependencies.add(other)

    @rule(id=IDS, others=st.sets(IDS, max_size=4))
    def set_dependencies(self, id: int, others: set[int]) -> None:
        allowed = (
            id in self.model and self.model.keys() >= others and not any(self.waits_for(other, id) for other in others)
        )
        if self.does(allowed, "set_dependencies", id, others):
            self.model[id].dependencies = others

    @rule(id=IDS, other=IDS)
    def remove_dependency(self, id: int, other: int) -> None:
        was = id in self.model and other in self.model[id].dependencies
        self.does(id in self.model, "remove_dependency", id, other)
        if was:
            self.model[id].dependencies.remove(other)

    @invariant()
    def every_feature_is_as_the_model_says(self) -> None:
        assert {
            feature.id: (
                feature.priority,
                feature.passes,
                feature.in_progress,
                feature.needs_human_input,
                feature.dependencies,
            )
            for feature in self.queue.all()
        } == {
            id: (found.priority, found.passes, found.in_progress, found.waits, sorted(found.dependencies))
            for id, found in self.model.items()
        }

    @invariant()
    def ready_and_blocked_are_what_the_model_says(self) -> None:
        assert {feature.id for feature in self.queue.ready()} == {id for id in self.model if self.startable(id)}
        assert {found.feature.id: found.blocked_by for found in self.queue.blocked()} == {
            id: waiting
            for id, found in self.model.items()
            if not found.passes
            and (waiting := sorted(needed for needed in found.dependencies if not self.model[needed].passes))
        }

    @invariant()
    def no_feature_waits_for_itself(self) -> None:
        assert not any(self.waits_for(needed, id) for id, found in self.model.items() for needed in found.dependencies)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
