"""What the tests of adoption share: times as they are stored here, and the rows among the rejects."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import source_databases

from peewee_conv.adopt import Adopted

Row = dict[str, Any]


def ours(text: str | None) -> str | None:
    """Return a time of theirs as it is stored here."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def rejected(report: Adopted, table: str, *, kept: bool = False) -> list[Row]:
    """Return the rows of the rejects file."""
    if report.rejects is None:
        return []
    lines = map(json.loads, Path(report.rejects).read_text("utf-8").splitlines())
    return [line["row"] for line in lines if line["table"] == table and line["kept"] is kept]


def rejected_ids(report: Adopted, table: str) -> set[Any]:
    return {row["id"] for row in rejected(report, table)}


@pytest.fixture
def chatdf(tmp_path: Path) -> Path:
    path = tmp_path / "old" / "chatdf.db"
    source_databases.chatdf(path, head=True, now=datetime.now(UTC).replace(tzinfo=None))
    return path
