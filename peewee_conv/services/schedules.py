"""When a project's agents run: schedules, overrides by hand, the counter of crashes (D02, D03)."""

from __future__ import annotations

import builtins
import re
import sqlite3
from datetime import datetime
from typing import Any, Literal

from .. import arguments
from .. import schedule_windows as windows
from ..arguments import UNSET, Unset
from ..clock import from_text
from ..database.handle import Handle
from ..database.numbering import numbered
from ..errors import InvalidArgument, LimitReached, ScheduleNotFound
from ..feature_records import Schedule, ScheduleOverride, Window

OverrideType = Literal["start", "stop"]

MAX_SCHEDULES = 50
_COLUMNS = (
    "id, project_name, start_time, duration_minutes, days_of_week, enabled, yolo_mode, model, max_concurrency,"
    " crash_count, created_at"
)
_OVERRIDE = "id, schedule_id, override_type, expires_at, created_at"


class Schedules:
    """The schedules of a project, as ``project.schedules``. All times of day are UTC.

    >>> import tempfile
    >>> from datetime import datetime, timezone
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
    ...     nightly = project.schedules.create("23:00", 120, days_of_week=0b0011111)
    ...     saturday = datetime(2026, 11, 28, 0, 30, tzinfo=timezone.utc)
    ...     project.schedules.active_window(saturday).ends_at.hour
    ...     project.schedules.delete(nightly.id)
    ...     project.dispose()
    1
    True
    True
    """

    def __init__(self, handle: Handle, project_name: str) -> None:
        self._handle = handle
        self._project_name = project_name[:50]
        self._now = handle.binding.settings.now

    def create(
        self,
        start_time: str,
        duration_minutes: int,
        *,
        days_of_week: int = 127,
        enabled: bool = True,
        yolo_mode: bool = False,
        model: str | None = None,
        max_concurrency: int = 3,
        project_name: str | None = None,
    ) -> Schedule:
        """Store a new schedule and return it.

        :param start_time: ``HH:MM``, 00:00 to 23:59.
        :param duration_minutes: 1 to 1440.
        :param days_of_week: 0 to 127; bit 0 is Monday, bit 6 Sunday; 0 means never.
        :param max_concurrency: agents at once, 1 to 5.
        :param project_name: at most 50 characters; the name of the project's directory otherwise.
        :raises LimitReached: the project has 50 schedules, or no id is left.
        """
        given = {
            "project_name": self._project_name if project_name is None else project_name,
            "start_time": start_time,
            "duration_minutes": duration_minutes,
            "days_of_week": days_of_week,
            "enabled": enabled,
            "yolo_mode": yolo_mode,
            "model": model,
            "max_concurrency": max_concurrency,
        }
        values = {name: _CHECKS[name](name, value) for name, value in given.items()}
        row = self._handle.write(_create, {**values, "created_at": self._now()})
        if row is None:
            raise LimitReached("schedules", MAX_SCHEDULES, "delete one first")
        return Schedule.of(row)

    def get(self, schedule_id: int) -> Schedule:
        """Return a schedule.

        :raises ScheduleNotFound: there is none of that id.
        """
        found = self.find(schedule_id)
        if found is None:
            raise ScheduleNotFound(schedule_id)
        return found

    def find(self, schedule_id: int) -> Schedule | None:
        """Return a schedule, or ``None``."""
        row = self._handle.read(_find, _check_id(schedule_id))
        return None if row is None else Schedule.of(row)

    def list(self) -> builtins.list[Schedule]:
        """Return all schedules (at most 50) by start time, then id."""
        return Schedule.all_of(self._handle.read(_all))

    def update(
        self,
        schedule_id: int,
        *,
        start_time: str | Unset = UNSET,
        duration_minutes: int | Unset = UNSET,
        days_of_week: int | Unset = UNSET,
        enabled: bool | Unset = UNSET,
        yolo_mode: bool | Unset = UNSET,
        model: str | Unset | None = UNSET,
        max_concurrency: int | Unset = UNSET,
    ) -> Schedule:
        """Change what is given and return the schedule as it is now.

        :raises ScheduleNotFound: there is none of that id.
        """
        given: dict[str, Any] = {
            "start_time": start_time,
            "duration_minutes": duration_minutes,
            "days_of_week": days_of_week,
            "enabled": enabled,
            "yolo_mode": yolo_mode,
            "model": model,
            "max_concurrency": max_concurrency,
        }
        changes = {name: _CHECKS[name](name, value) for name, value in given.items() if not isinstance(value, Unset)}
        return self._changed(schedule_id, changes)

    def delete(self, schedule_id: int) -> bool:
        """Delete a schedule and its overrides; return whether there was one."""
        return self._handle.write(_delete, "schedules", _check_id(schedule_id))

    # --- when ---

    def active_windows(self, now: datetime | None = None) -> builtins.list[Window]:
        """Return the windows that are open at *now*, of enabled schedules, overrides applied; the first to end first.

        A ``stop`` override closes the windows of its schedule until it expires; a ``start`` override opens one that
        ends when it expires. Of both, the newer one counts.

        :param now: an aware time.
        """
        at = from_text(arguments.moment("now", now, self._now()))
        schedules, overrides = self._handle.read_snapshot(_state, arguments.moment("now", at, ""))
        found = [
            window
            for schedule in Schedule.all_of(schedules)
            if schedule.enabled and (window := _window(schedule, overrides.get(schedule.id), at)) is not None
        ]
        return sorted(found, key=lambda window: (window.ends_at, window.schedule_id))

    def active_window(self, now: datetime | None = None) -> Window | None:
        """Return the open window that ends last, or ``None`` when no agent should run."""
        open_windows = self.active_windows(now)
        return open_windows[-1] if open_windows else None

    # --- overrides ---

    def add_override(
        self, schedule_id: int, override_type: OverrideType, *, expires_at: datetime | None = None
    ) -> ScheduleOverride:
        """Store a start or stop by hand, in place of an older one of the same type.

        :param expires_at: an aware time; the end of the schedule's current window if left out.
        :raises ScheduleNotFound: there is no such schedule.
        :raises InvalidArgument: *expires_at* is left out while no window is open.
        """
        if not isinstance(override_type, str) or override_type not in ("start", "stop"):
            raise InvalidArgument("override_type", override_type, "'start' or 'stop'")
        now = self._now()
        if expires_at is None:
            window = windows.window_at(_plan(self.get(schedule_id)), from_text(now))
            if window is None:
                raise InvalidArgument("expires_at", None, "a time, since no window of the schedule is open")
            expires_at = window[1]
        stored = arguments.moment("expires_at", expires_at, now)
        row = self._handle.write(_add_override, _check_id(schedule_id), override_type, stored, now)
        if row is None:
            raise ScheduleNotFound(schedule_id)
        return ScheduleOverride.of(row)

    def overrides(self, schedule_id: int) -> builtins.list[ScheduleOverride]:
        """Return the overrides of a schedule, expired ones too, the oldest first."""
        return ScheduleOverride.all_of(self._handle.read(_overrides, _check_id(schedule_id)))

    def delete_override(self, override_id: int) -> bool:
        """Delete an override; return whether there was one."""
        return self._handle.write(_delete, "schedule_overrides", _check_id(override_id, "override_id"))

    def purge_overrides(self) -> int:
        """Delete the overrides that have expired; return how many went."""
        return self._handle.write(_purge, self._now())

    # --- crashes ---

    def record_crash(self, schedule_id: int) -> int | None:
        """Count a crash and return how many seconds to wait before the restart; ``None``: restart no more.

        10, 30 and 90 seconds after the first three crashes in a row.

        :raises ScheduleNotFound: there is no such schedule.
        """
        row = self._handle.write(_count_crash, _check_id(schedule_id))
        if row is None:
            raise ScheduleNotFound(schedule_id)
        return windows.crash_delay(Schedule.of(row).crash_count)

    def reset_crashes(self, schedule_id: int) -> Schedule:
        """Set the counter of crashes to 0, as a scheduled start does.

        :raises ScheduleNotFound: there is no such schedule.
        """
        return self._changed(schedule_id, {"crash_count": 0})

    def _changed(self, schedule_id: int, changes: dict[str, Any]) -> Schedule:
        row = self._handle.write(_update, _check_id(schedule_id), changes)
        if row is None:
            raise ScheduleNotFound(schedule_id)
        return Schedule.of(row)


# --- pure rules ---


def _plan(schedule: Schedule) -> windows.Plan:
    # By the rules for arguments: a damaged file may hold anything.
    return windows.plan_of(
        _check_start("stored start_time", schedule.start_time),
        _CHECKS["duration_minutes"]("stored duration_minutes", schedule.duration_minutes),
        _CHECKS["days_of_week"]("stored days_of_week", schedule.days_of_week),
    )


def _window(schedule: Schedule, override: tuple[str, str] | None, now: datetime) -> Window | None:
    """Return the open window of a schedule; *override* is type and expiry of the newest that has not expired."""
    if override is not None and override[0] == "stop":
        return None
    regular = windows.window_at(_plan(schedule), now)
    if override is None:
        return None if regular is None else Window.of((schedule.id, *regular, False))
    ends_at = from_text(override[1])
    return Window.of(
        (schedule.id, regular[0] if regular else now, max(ends_at, regular[1]) if regular else ends_at, True)
    )


def _check_id(value: object, argument: str = "schedule_id") -> int:
    return arguments.whole(argument, value, 1, 2**63 - 1)


def _check_start(argument: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value, re.ASCII):
        raise InvalidArgument(argument, value, "a time of day as HH:MM, 00:00 to 23:59")
    return value


def _check_flag(argument: str, value: Any) -> int:
    if not isinstance(value, bool):
        raise InvalidArgument(argument, value, "True or False")
    return int(value)


_CHECKS: dict[str, Any] = {
    "project_name": lambda argument, value: arguments.text(argument, value, 50),
    "start_time": _check_start,
    "duration_minutes": lambda argument, value: arguments.whole(argument, value, 1, 1440),
    "days_of_week": lambda argument, value: arguments.whole(argument, value, 0, 127),
    "enabled": _check_flag,
    "yolo_mode": _check_flag,
    "model": lambda argument, value: arguments.optional_text(argument, value, 50),
    "max_concurrency": lambda argument, value: arguments.whole(argument, value, 1, 5),
}


# --- on a connection ---


def _find(connection: sqlite3.Connection, schedule_id: int) -> Any:
    return connection.execute(f"SELECT {_COLUMNS} FROM schedules WHERE id = ?", (schedule_id,)).fetchone()


def _all(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute(f"SELECT {_COLUMNS} FROM schedules ORDER BY start_time, id").fetchall()


def _create(connection: sqlite3.Connection, values: dict[str, Any]) -> Any:
    marks = ", ".join("?" * len(values))
    with numbered(connection, "schedules"):
        cursor = connection.execute(
            f"INSERT INTO schedules ({', '.join(values)}) SELECT {marks} WHERE (SELECT count(*) FROM schedules) < ?",
            (*values.values(), MAX_SCHEDULES),
        )
    return _find(connection, cursor.lastrowid or 0) if cursor.rowcount == 1 else None


def _update(connection: sqlite3.Connection, schedule_id: int, changes: dict[str, Any]) -> Any:
    if changes:
        settings = ", ".join(f"{column} = ?" for column in changes)
        connection.execute(f"UPDATE schedules SET {settings} WHERE id = ?", (*changes.values(), schedule_id))
    return _find(connection, schedule_id)


def _delete(connection: sqlite3.Connection, table: str, id: int) -> bool:
    return connection.execute(f"DELETE FROM {table} WHERE id = ?", (id,)).rowcount == 1


def _state(connection: sqlite3.Connection, now: str) -> tuple[list[Any], dict[int, tuple[str, str]]]:
    rows = connection.execute(
        "SELECT schedule_id, override_type, expires_at FROM schedule_overrides WHERE expires_at > ? ORDER BY id", (now,)
    )
    return _all(connection), {schedule_id: (kind, expires_at) for schedule_id, kind, expires_at in rows}


def _overrides(connection: sqlite3.Connection, schedule_id: int) -> list[Any]:
    sql = f"SELECT {_OVERRIDE} FROM schedule_overrides WHERE schedule_id = ? ORDER BY id"
    return connection.execute(sql, (schedule_id,)).fetchall()


def _add_override(connection: sqlite3.Connection, schedule_id: int, kind: str, expires_at: str, now: str) -> Any:
    if _find(connection, schedule_id) is None:
        return None
    connection.execute(
        "DELETE FROM schedule_overrides WHERE schedule_id = ? AND override_type = ?", (schedule_id, kind)
    )
    with numbered(connection, "schedule_overrides"):
        return connection.execute(
            "INSERT INTO schedule_overrides (schedule_id, override_type, expires_at, created_at) VALUES (?, ?, ?, ?)"
            f" RETURNING {_OVERRIDE}",
            (schedule_id, kind, expires_at, now),
        ).fetchall()[0]


def _purge(connection: sqlite3.Connection, now: str) -> int:
    return connection.execute("DELETE FROM schedule_overrides WHERE expires_at <= ?", (now,)).rowcount


def _count_crash(connection: sqlite3.Connection, schedule_id: int) -> Any:
    connection.execute("UPDATE schedules SET crash_count = crash_count + 1 WHERE id = ?", (schedule_id,))
    return _find(connection, schedule_id)
