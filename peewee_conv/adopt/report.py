"""What an adoption found and did."""

from __future__ import annotations

from typing import Any, NamedTuple


class TableCounts(NamedTuple):
    """What has become of the rows of one table of the source.

    :ivar found: how many it has: always the sum of the other three.
    :ivar already_there: copied by an earlier run, or known here otherwise.
    :ivar rejected: written to the rejects file, with the reason.
    """

    found: int
    copied: int
    already_there: int
    rejected: int


class Moved(NamedTuple):
    """A row that is here under another id: ``id`` in the source's *table*, ``here`` in the project."""

    table: str
    id: str
    here: str


class Adopted(NamedTuple):
    """What an adoption found and did.

    :ivar system: ``"AutoForge"``, ``"Sovereign Assistant"``, ``"HAIA"`` or ``"ChatDF"``.
    :ivar tables: the counts by table of the source, in the order in which they were copied.
    :ivar moved: the rows that could not keep their id.
    :ivar noted: rows that were kept with a value replaced; the rejects file has them as they were.
    :ivar left: the tables that nobody needs here, with their rows: caches and tables of others.
    :ivar rejects: the path of the rejects file; ``None`` where there was nothing to write.
    """

    system: str
    source: str
    tables: dict[str, TableCounts]
    moved: list[Moved]
    noted: int
    left: dict[str, int]
    rejects: str | None

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was copied."""
        return not any(counts.copied for counts in self.tables.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return {
            **self._asdict(),
            "tables": {name: counts._asdict() for name, counts in self.tables.items()},
            "moved": [moved._asdict() for moved in self.moved],
            "is_unchanged": self.is_unchanged,
        }
