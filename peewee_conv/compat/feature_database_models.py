"""The mapped classes of AutoForge's ``features.db``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from .. import feature_models as models
from .. import feature_records as records
from ..errors import FeatureNotFound, NotFound, ScheduleNotFound
from ..services.features import check_dependencies
from . import orm_objects
from .orm_columns import FLAG, JSON_LIST, JSON_OBJECT, MOMENT, TEXT, WHOLE, Column, Kind
from .orm_session import Session

_IDS = Kind(lambda name, value: JSON_LIST.write(name, check_dependencies(name, value)), JSON_LIST.read)


class Base(orm_objects.Base):
    """The base of the three classes."""


class Feature(Base):
    """One piece of work in the queue (D01)."""

    table = models.Feature
    missing: ClassVar[type[NotFound]] = FeatureNotFound

    id = Column[int](models.Feature.id, WHOLE)
    priority = Column[int](models.Feature.priority, WHOLE, default=999)
    category = Column[str](models.Feature.category, TEXT)
    name = Column[str](models.Feature.name, TEXT)
    description = Column[str](models.Feature.description, TEXT)
    steps = Column[list[Any]](models.Feature.steps, JSON_LIST)
    passes = Column[bool](models.Feature.passes, FLAG, default=False)
    in_progress = Column[bool](models.Feature.in_progress, FLAG, default=False)
    dependencies = Column[list[int] | None](models.Feature.dependency_ids, _IDS)
    needs_human_input = Column[bool](models.Feature.needs_human_input, FLAG, default=False)
    human_input_request = Column[dict[str, Any] | None](models.Feature.human_input_request, JSON_OBJECT)
    human_input_response = Column[dict[str, Any] | None](models.Feature.human_input_response, JSON_OBJECT)

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name; no flag is ``None``, and neither are the dependencies."""
        found = {name: getattr(self, name) for name in self.columns}
        for flag in ("passes", "in_progress", "needs_human_input"):
            found[flag] = bool(found[flag])
        found["dependencies"] = found["dependencies"] or []
        return found

    def get_dependencies_safe(self) -> list[int]:
        """Return the ids among the dependencies, whatever else is there."""
        found = self.dependencies
        return [id for id in found if isinstance(id, int)] if isinstance(found, list) else []


def _now(session: Session) -> datetime:
    return session.now()


class Schedule(Base):
    """When agents run: a start in UTC, a duration, the days of the week (D02)."""

    table = models.FeatureSchedule
    missing: ClassVar[type[NotFound]] = ScheduleNotFound

    id = Column[int](models.FeatureSchedule.id, WHOLE)
    project_name = Column[str](models.FeatureSchedule.project_name, TEXT)
    start_time = Column[str](models.FeatureSchedule.start_time, TEXT)
    duration_minutes = Column[int](models.FeatureSchedule.duration_minutes, WHOLE)
    days_of_week = Column[int](models.FeatureSchedule.days_of_week, WHOLE, default=127)
    enabled = Column[bool](models.FeatureSchedule.enabled, FLAG, default=True)
    yolo_mode = Column[bool](models.FeatureSchedule.yolo_mode, FLAG, default=False)
    model = Column[str | None](models.FeatureSchedule.model, TEXT)
    max_concurrency = Column[int](models.FeatureSchedule.max_concurrency, WHOLE, default=3)
    crash_count = Column[int](models.FeatureSchedule.crash_count, WHOLE, default=0)
    created_at = Column[datetime](models.FeatureSchedule.created_at, MOMENT, default=_now)

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name; the time as ISO 8601 text without an offset, in UTC."""
        return _plain(self)

    def is_active_on_day(self, weekday: int) -> bool:
        """Say whether it starts on that day of the week; 0 is Monday, and there is no day 7."""
        return records.is_active_on_day(self.days_of_week, weekday)


class ScheduleOverride(Base):
    """A start or stop by hand, which goes with its schedule (D03)."""

    table = models.ScheduleOverride

    id = Column[int](models.ScheduleOverride.id, WHOLE)
    schedule_id = Column[int](models.ScheduleOverride.schedule, WHOLE)
    override_type = Column[str](models.ScheduleOverride.override_type, TEXT)
    expires_at = Column[datetime](models.ScheduleOverride.expires_at, MOMENT)
    created_at = Column[datetime](models.ScheduleOverride.created_at, MOMENT, default=_now)

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name; times as ISO 8601 texts without an offset, in UTC."""
        return _plain(self)


def _plain(instance: Base) -> dict[str, Any]:
    found = {name: getattr(instance, name) for name in instance.columns}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}
