"""Features in each of their states."""

from __future__ import annotations

from peewee_conv.services.features import Features

FORM = [{"id": "port", "label": "Port", "type": "text"}]


def make(queue: Features, count: int) -> list[int]:
    return [feature.id for feature in queue.create_many([{"name": f"feature {n}"} for n in range(count)])]


def passing(queue: Features) -> int:
    (id,) = make(queue, 1)
    return queue.mark_passing(id).id


def waiting(queue: Features) -> int:
    (id,) = make(queue, 1)
    queue.claim(id)
    return queue.request_human_input(id, "Which port?", FORM).id


def blocked(queue: Features) -> int:
    first, second = make(queue, 2)
    return queue.add_dependency(second, first).id


def in_progress(queue: Features) -> int:
    (id,) = make(queue, 1)
    return queue.mark_in_progress(id).id
