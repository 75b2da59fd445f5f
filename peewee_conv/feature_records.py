"""Records of ``features.db``: features of the work queue, schedules, overrides, statistics."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .records import Record, column, moment, stored_json


def _list(index: int) -> Any:
    return property(lambda row: stored_json(row[index], list) if row[index] else [])


def _object(index: int) -> Any:
    return property(lambda row: stored_json(row[index], dict) if row[index] else None)


def _flag(index: int) -> Any:
    return property(lambda row: bool(row[index]))


class Feature(Record):
    """One piece of work in the queue.

    :ivar priority: the smaller, the earlier.
    :ivar dependencies: ids of the features that must pass first.
    :ivar human_input_request: ``{"prompt": str, "fields": [...]}``, or ``None``.
    :ivar human_input_response: ``{"fields": {...}, "responded_at": str}``, or ``None``.
    """

    __slots__ = ()
    fields = (
        "id",
        "priority",
        "category",
        "name",
        "description",
        "steps",
        "passes",
        "in_progress",
        "dependencies",
        "needs_human_input",
        "human_input_request",
        "human_input_response",
    )

    id: int = column(0)
    priority: int = column(1)
    category: str = column(2)
    name: str = column(3)
    description: str = column(4)
    steps: list[str] = _list(5)
    passes: bool = _flag(6)
    in_progress: bool = _flag(7)
    dependencies: list[int] = _list(8)
    needs_human_input: bool = _flag(9)
    human_input_request: dict[str, Any] | None = _object(10)
    human_input_response: dict[str, Any] | None = _object(11)

    def get_dependencies_safe(self) -> list[int]:
        """Return the dependencies; here they are always a list of ids (D01)."""
        return self.dependencies


class Claim(Record):
    """What :meth:`~peewee_conv.services.features.Features.claim` answers.

    :ivar already_claimed: it was in progress before this call.
    """

    __slots__ = ()
    fields = ("feature", "already_claimed")

    feature: Feature = column(0)
    already_claimed: bool = column(1)


class BlockedFeature(Record):
    """A feature that waits for others.

    :ivar blocked_by: ids of the dependencies that do not pass yet, sorted.
    """

    __slots__ = ()
    fields = ("feature", "blocked_by")

    feature: Feature = column(0)
    blocked_by: list[int] = property(lambda row: list(row[1]))  # type: ignore[assignment]


class FeatureStats(Record):
    """How far the queue is.

    :ivar percentage: of features that pass, rounded to one decimal; 0.0 for an empty queue.
    """

    __slots__ = ()
    fields = ("passing", "in_progress", "needs_human_input", "total", "percentage")

    passing: int = column(0)
    in_progress: int = column(1)
    needs_human_input: int = column(2)
    total: int = column(3)

    @property
    def percentage(self) -> float:
        """The share of features that pass, in percent."""
        return round(100 * self.passing / self.total, 1) if self.total else 0.0


def is_active_on_day(days_of_week: int, weekday: int) -> bool:
    """Say whether the bit of that day is set; 0 is Monday, and there is no day 7."""
    return 0 <= weekday <= 6 and bool(days_of_week >> weekday & 1)


class Schedule(Record):
    """When a project's agents run.

    :ivar start_time: ``HH:MM`` in UTC.
    :ivar days_of_week: bit 0 is Monday, bit 6 Sunday.
    """

    __slots__ = ()
    fields = (
        "id",
        "project_name",
        "start_time",
        "duration_minutes",
        "days_of_week",
        "enabled",
        "yolo_mode",
        "model",
        "max_concurrency",
        "crash_count",
        "created_at",
    )

    id: int = column(0)
    project_name: str = column(1)
    start_time: str = column(2)
    duration_minutes: int = column(3)
    days_of_week: int = column(4)
    enabled: bool = _flag(5)
    yolo_mode: bool = _flag(6)
    model: str | None = column(7)
    max_concurrency: int = column(8)
    crash_count: int = column(9)
    created_at: datetime = moment(10)

    def is_active_on_day(self, weekday: int) -> bool:
        """Say whether it starts on that day of the week; 0 is Monday, and there is no day 7."""
        return is_active_on_day(self.days_of_week, weekday)


class ScheduleOverride(Record):
    """A start or stop by hand.

    :ivar override_type: ``"start"`` or ``"stop"``.
    """

    __slots__ = ()
    fields = ("id", "schedule_id", "override_type", "expires_at", "created_at")

    id: int = column(0)
    schedule_id: int = column(1)
    override_type: str = column(2)
    expires_at: datetime = moment(3)
    created_at: datetime = moment(4)


class Window(Record):
    """A stretch of time in which agents should run.

    :ivar starts_at: aware, inclusive.
    :ivar ends_at: aware, exclusive.
    :ivar is_override: it is open, or longer, because somebody started it by hand.
    """

    __slots__ = ()
    fields = ("schedule_id", "starts_at", "ends_at", "is_override")

    schedule_id: int = column(0)
    starts_at: datetime = column(1)
    ends_at: datetime = column(2)
    is_override: bool = column(3)
