"""The work of agents: the queue of features with what waits for what, and the week of the schedules."""

from __future__ import annotations

from typing import Any, get_args

from ..feature_records import Feature, Schedule
from ..schedule_windows import plan_of
from ..services.features import Status
from . import charts
from .page import Look, Values

_PER_PAGE = 60
_PER_COLUMN = 30
#: The states of a feature, as its graph names them, in the order in which a feature passes through them.
_STATES = {
    "needs_human_input": "Needs a person",
    "in_progress": "In progress",
    "pending": "Ready",
    "blocked": "Blocked",
    "done": "Passing",
}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def features(look: Look) -> Values:
    """Gather the queue as a board, or one status of it page by page."""
    status: Any = look.query.choice("status", get_args(Status)) or None
    after = look.query.text("after")
    nodes = {node["id"]: node for node in look.project.features.graph()["nodes"]}
    shared = {"states": _STATES, "nodes": nodes, "status": status, "statuses": get_args(Status)}
    if status is None and after is None:
        board = _board(look, nodes)
        on_page = {feature.id for column in board for feature in column["features"]}
        return {**shared, "stats": look.project.features.stats(), "board": board, "on_page": on_page}
    found = look.project.features.list(status=status, limit=_PER_PAGE, after=after)
    on_page = {feature.id for feature in found}
    return {**shared, "stats": look.project.features.stats(), "found": found, "next": found.next, "on_page": on_page}


def _board(look: Look, nodes: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a column for each state, with the most urgent features of it."""
    found: dict[str, list[Feature]] = {state: [] for state in _STATES}
    for feature in look.project.features.all():
        if feature.id in nodes:  # not added since the graph was read
            found[nodes[feature.id]["status"]].append(feature)
    return [
        {"state": state, "title": _STATES[state], "features": rows[:_PER_COLUMN], "count": len(rows)}
        for state, rows in found.items()
    ]


def schedules(look: Look) -> Values:
    """Gather the schedules, when they are active, and what is open now."""
    now = look.now
    found = look.project.schedules.list()
    return {
        "schedules": found,
        "week": [_week_of(place, schedule) for place, schedule in enumerate(found) if schedule.enabled],
        "overrides": {schedule.id: look.project.schedules.overrides(schedule.id) for schedule in found},
        "windows": look.project.schedules.active_windows(now),
        "days": _DAYS,
        "days_of": {schedule.id: _days(schedule) for schedule in found},
        "now": now,
        "now_at": round(100 * (now.hour * 60 + now.minute) / (24 * 60), 3),
    }


def _days(schedule: Schedule) -> str:
    if schedule.days_of_week == 127:
        return "every day"
    return " ".join(name[:3] for day, name in enumerate(_DAYS) if schedule.is_active_on_day(day)) or "never"


def _week_of(place: int, schedule: Schedule) -> dict[str, Any]:
    plan = plan_of(schedule.start_time, schedule.duration_minutes, schedule.days_of_week)
    return {"schedule": schedule, "colour": place % 6, "stretches": charts.week(*plan)}
