"""What has become of each row so far: counts, rejects, and the rows that others refer to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from .. import paths, sessions
from ..drafts import draft_of
from ..errors import FileAlreadyExists
from ..legacy.rows import Refused, Rejects, Row
from .report import Moved, TableCounts

#: Columns with what nobody may read, not even in the rejects file: they become their SHA-256.
_SECRETS: Final = {"sessions": "id", "referral_keys": "key"}
#: Tables whose rows others belong to.
REFERRED: Final = ("users", "assistants", "conversations", "schedules")
_MAX_NAME = 50  # characters of the source's name: with what follows it stays a name that every file system takes


class Outcome(NamedTuple):
    """What a transaction has made of one row.

    :ivar is_new: it was stored; otherwise it was there already, or *reason* says why it is left out.
    :ivar here: its id in the project, where that is another one.
    :ivar note: what was replaced in it.
    """

    is_new: bool = False
    reason: str | None = None
    here: str | None = None
    note: str | None = None


class _RejectsFile(Rejects):
    """The rejects of an adoption: the same lines for the same rows, whatever the batches were."""

    def write(self) -> str | None:
        self._lines = sorted(set(self._lines))
        while True:
            try:
                return super().write()
            except FileAlreadyExists:  # of a process that adopts the same at the same time: look at what it says
                continue

    def publish(self, text: str, target: str) -> None:
        paths.make_data_folder(os.path.dirname(target))
        with draft_of(target, overwrite=False) as draft, open(draft, "wb") as file:
            file.write(text.encode())

    @property
    def noted(self) -> int:
        """How many rows were kept with a value replaced."""
        return sum('"kept": true' in line[:200] for line in self._lines)


class Ledger:
    """The books of one adoption.

    :param folder: where the rejects file belongs: the data folder of the project.
    :param source: the path of the source.
    :ivar moved: the rows that are here under another id.
    :ivar total: how many rows there are to copy.
    """

    def __init__(self, folder: str, source: str) -> None:
        self._rejects = _RejectsFile(os.path.join(folder, os.path.basename(source)[:_MAX_NAME]), source)
        self._copied: dict[str, int] = {}
        self._there: dict[str, int] = {}
        self._rejected: dict[str, int] = {}
        self._held: dict[str, dict[Any, str | None]] = {table: {} for table in REFERRED}
        self.moved: list[Moved] = []
        self.total = 0

    def open(self, found: Mapping[str, int]) -> None:
        """Begin with the tables that are to be copied, and how many rows each has."""
        for counts in (self._copied, self._there, self._rejected):
            counts.update(dict.fromkeys(found, 0))
        self.total = sum(found.values())

    def add(self, table: str, row: Row, outcome: Outcome) -> None:
        """Note what has become of a row."""
        if outcome.reason is not None:
            self.reject(table, row, outcome.reason)
            return
        self._copied[table] += outcome.is_new
        self._there[table] += not outcome.is_new
        if outcome.note is not None:
            self.note(table, row, outcome.note)
        if outcome.here is not None:
            self.moved.append(Moved(table, str(row["id"]), outcome.here))
        if table in REFERRED:
            self._held[table][row["id"]] = outcome.here

    def reject(self, table: str, row: Row, reason: str) -> None:
        """Leave a row out, and with it whatever belongs to it."""
        self._rejected[table] += 1
        self._rejects.add(table, _without_secrets(table, row), reason)

    def note(self, table: str, row: Row, text: str) -> None:
        """Keep a row as it was whose new one has a value replaced."""
        self._rejects.add(table, _without_secrets(table, row), text, kept=True)

    def holds(self, table: str, id: Any) -> bool:
        """Say whether the project has that row of the source."""
        return id in self._held[table]

    def here(self, table: str, id: Any, noun: str) -> Any:
        """Return the id that a row of the source has in the project.

        :raises Refused: the project does not have it.
        """
        if id not in self._held[table]:
            raise Refused(f"its {noun} does not exist, or was left out")
        return self._held[table][id] or id

    @property
    def done(self) -> int:
        """How many rows are behind us."""
        return sum(map(sum, (self._copied.values(), self._there.values(), self._rejected.values())))

    def counts(self) -> dict[str, TableCounts]:
        """Return what has become of each table's rows."""
        found = {}
        for table, copied in self._copied.items():
            there, rejected = self._there[table], self._rejected[table]
            found[table] = TableCounts(copied + there + rejected, copied, there, rejected)
        return found

    def close(self) -> tuple[str | None, int]:
        """Write the rejects; return the path of the file, if there is one, and how many rows were noted."""
        return self._rejects.write(), self._rejects.noted


def _without_secrets(table: str, row: Row) -> Row:
    column = _SECRETS.get(table)
    if column is None:
        return row
    return {**row, column: f"SHA-256 {sessions.digest(row[column])}"}
