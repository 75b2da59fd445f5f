"""A coordinator of coding agents, written for AutoForge's ``api.database`` and ``api.migration``.

There the imports were::

    from sqlalchemy import func, text
    from api.database import (Feature, Schedule, ScheduleOverride, atomic_transaction, create_database, dispose_engine)
    from api.migration import export_to_json, migrate_json_to_sqlite

They are the only lines that differ. Run it with ``python examples/autoforge_features.py``.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from peewee_conv.compat.feature_database import (
    Feature,
    Schedule,
    ScheduleOverride,
    atomic_transaction,
    create_database,
    dispose_engine,
    export_to_json,
    func,
    migrate_json_to_sqlite,
    text,
)

PLAN = [
    {"name": "Log in", "category": "accounts", "description": "By mail and password.", "steps": ["open", "type"]},
    {"name": "Log out", "category": "accounts", "description": "From every page.", "dependencies": [1]},
    {"name": "Search", "category": "catalogue", "description": "By name.", "passes": True},
]


def claim(SessionLocal, feature_id):
    """Start a feature, unless somebody else has, and say whether that was us."""
    with atomic_transaction(SessionLocal) as session:
        claimed = session.execute(
            text(
                "UPDATE features SET in_progress = 1"
                " WHERE id = :id AND passes = 0 AND in_progress = 0 AND needs_human_input = 0"
            ),
            {"id": feature_id},
        )
        return claimed.rowcount == 1


def add_feature(SessionLocal, name, dependencies):
    """Append a feature to the queue and return it as a dictionary."""
    with atomic_transaction(SessionLocal) as session:
        last = session.query(func.max(Feature.priority)).scalar() or 0
        feature = Feature(
            priority=last + 1,
            category="accounts",
            name=name,
            description="",
            steps=[],
            passes=False,
            dependencies=dependencies,
        )
        session.add(feature)
        session.flush()
        return feature.to_dict()


def drop_dependency(SessionLocal, feature_id, dependency_id):
    """Take one id out of the dependencies of a feature, in place."""
    session = SessionLocal()
    try:
        feature = session.query(Feature).filter(Feature.id == feature_id).first()
        feature.dependencies.remove(dependency_id)
        session.commit()
        return feature.get_dependencies_safe()
    except Exception:
        session.rollback()
        raise
    finally:
        session.close()


def ready(SessionLocal):
    """Return the names of the features that may start now, the most urgent first."""
    session = SessionLocal()
    try:
        passing = {row.id for row in session.query(Feature.id).filter(Feature.passes == True)}  # noqa: E712
        waiting = (
            session.query(Feature)
            .filter(Feature.passes == False, Feature.in_progress == False)  # noqa: E712
            .order_by(Feature.priority.asc(), Feature.id.asc())
            .all()
        )
        return [each.name for each in waiting if passing.issuperset(each.get_dependencies_safe())]
    finally:
        session.close()


def plan_the_night(SessionLocal, now):
    """Store a schedule, stop it by hand for an hour, and return what is active."""
    with SessionLocal() as session:
        schedule = Schedule(
            project_name="aurora", start_time="22:00", duration_minutes=240, days_of_week=31, max_concurrency=2
        )
        session.add(schedule)
        session.commit()
        session.refresh(schedule)
        session.add(
            ScheduleOverride(schedule_id=schedule.id, override_type="stop", expires_at=now + timedelta(hours=1))
        )
        session.commit()
        stops = session.query(ScheduleOverride).filter(
            ScheduleOverride.schedule_id == schedule.id,
            ScheduleOverride.override_type == "stop",
            ScheduleOverride.expires_at > now,
        )
        return {
            "saturday": schedule.is_active_on_day(5),
            "monday": schedule.is_active_on_day(0),
            "agents": schedule.max_concurrency,
            "stopped": stops.first() is not None,
        }


def main(project_dir):
    """Import a plan, work on it, export it."""
    project_dir.mkdir(parents=True, exist_ok=True)
    (project_dir / "feature_list.json").write_text(json.dumps(PLAN), encoding="utf-8")
    _, SessionLocal = create_database(project_dir)

    print("imported:", migrate_json_to_sqlite(project_dir, SessionLocal))
    print("imported again:", migrate_json_to_sqlite(project_dir, SessionLocal))
    print("ready:", ready(SessionLocal))
    print("claimed:", claim(SessionLocal, 1), claim(SessionLocal, 1))
    print("added:", add_feature(SessionLocal, "Reset password", [1, 2])["id"])
    print("left:", drop_dependency(SessionLocal, 4, 2))
    print("night:", plan_the_night(SessionLocal, datetime.now(UTC)))
    with SessionLocal() as session:
        session.query(Schedule).delete()
        session.commit()
        print("overrides left:", session.query(ScheduleOverride).count())

    exported = export_to_json(project_dir, SessionLocal)
    print("exported:", [each["name"] for each in json.loads(exported.read_text(encoding="utf-8"))])
    print("disposed:", dispose_engine(project_dir))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("aurora"))
