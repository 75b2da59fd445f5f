"""The two databases of AutoForge, read by the rules by which a project of its own is upgraded in place."""

from __future__ import annotations

from typing import Final

from ..legacy import assistant, features, rows
from ..legacy.rows import Row
from . import store, values
from .plan import Context, Step, Table
from .source import Source, by_time
from .talk_store import Head
from .talks import Talks
from .values import Note

NAME: Final = "AutoForge"
_UNKNOWN: Final = "1970-01-01T00:00:00.000000Z"  # when even the source does not know: the same in every run
_TITLE: Final = 200  # characters


def has_features(source: Source) -> bool:
    """Say whether it is a ``features.db``."""
    return features.recognises(source.connection)


def has_conversations(source: Source) -> bool:
    """Say whether it is an ``assistant.db``."""
    return assistant.recognises(source.connection)


# --- features.db ---


def feature_steps(context: Context) -> list[Step]:
    """Return what is to be done with a ``features.db``."""

    def override(row: Row, note: Note) -> Row:
        schedule_id = context.ledger.here("schedules", row.get("schedule_id"), "schedule")
        return features.override(row, {schedule_id}, _UNKNOWN)

    steps = [
        Table("features", _feature, store.feature),
        Table("schedules", lambda row, note: features.schedule(row, _UNKNOWN), store.schedule),
        Table("schedule_overrides", override, store.override),
    ]
    return [step for step in steps if "id" in context.source.columns(step.name)]  # older releases had fewer


def _feature(row: Row, note: Note) -> Row:
    found = features.feature(row, note)
    values.note_extras(row, found, note)
    return found


# --- assistant.db ---


def conversation_steps(context: Context) -> list[Step]:
    """Return what is to be done with an ``assistant.db``."""

    def head(row: Row, note: Note) -> Head:
        created_at = rows.time(row["created_at"], "created_at") or _first_time(context.source, row["id"])
        updated_at = rows.time(row["updated_at"], "updated_at")
        return Head.numbered(
            NAME,
            row["id"],
            created_at or updated_at or _UNKNOWN,
            updated_at or created_at or _UNKNOWN,
            project_name=values.optional_text(row, "project_name"),
            title=_title(row, note),
        )

    return [
        Talks(
            "conversations",
            "conversation_messages",
            "conversation_id",
            "timestamp",
            "rowid",
            head,
            lambda row, head, note: values.message(
                context.service, row, row["role"], rows.time(row["timestamp"], "timestamp") or head.created_at
            ),
        )
    ]


def _first_time(source: Source, id: object) -> str | None:
    sql = f"SELECT min({by_time('timestamp').partition(',')[0]}) FROM conversation_messages WHERE conversation_id = ?"
    found: str | None = source.value(sql, id)
    return found


def _title(row: Row, note: Note) -> str | None:
    title = values.optional_text(row, "title")
    if title is not None and len(title) > _TITLE:
        note(f"the title is longer than {_TITLE} characters")
    return title[:_TITLE] if title else None
