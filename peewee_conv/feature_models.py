"""The tables of ``features.db`` as plain Peewee models, for reading what the services do not offer.

Use them inside ``with project:``, as those of :mod:`peewee_conv.models`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import peewee
from peewee import AutoField, BooleanField, IntegerField, TextField

from .fields import JsonField, TimeField, foreign_key
from .schemas import features as features

if TYPE_CHECKING:

    class Model(peewee.Model):
        """The base of these models: bound to the project of the current scope."""
else:
    Model = features.Model


class Feature(Model):
    """One piece of work in the queue of a project's agents."""

    id = AutoField()
    priority = IntegerField(default=999)
    category = TextField()
    name = TextField()
    description = TextField()
    steps = JsonField()
    passes = BooleanField(default=False)
    in_progress = BooleanField(default=False)
    dependency_ids = JsonField(column_name="dependencies", null=True)  # "dependencies" is a method of Peewee's models
    needs_human_input = BooleanField(default=False)
    human_input_request = JsonField(null=True)
    human_input_response = JsonField(null=True)

    class Meta:
        table_name = "features"


class FeatureSchedule(Model):
    """When a project's agents run: a start in UTC, a duration, the days of the week."""

    id = AutoField()
    project_name = TextField()
    start_time = TextField()
    duration_minutes = IntegerField()
    days_of_week = IntegerField(default=127)
    enabled = BooleanField(default=True)
    yolo_mode = BooleanField(default=False)
    model = TextField(null=True)
    max_concurrency = IntegerField(default=3)
    crash_count = IntegerField(default=0)
    created_at = TimeField()

    class Meta:
        table_name = "schedules"


class ScheduleOverride(Model):
    """A start or stop by hand, which overrules its schedule until it expires."""

    id = AutoField()
    schedule = foreign_key(FeatureSchedule, "schedule_id", on_delete="CASCADE")
    override_type = TextField()
    expires_at = TimeField()
    created_at = TimeField()

    class Meta:
        table_name = "schedule_overrides"
