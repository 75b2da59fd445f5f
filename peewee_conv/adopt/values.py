"""Reading what the source systems store, beyond what the legacy rules read: the same for all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .. import arguments
from ..errors import InvalidArgument
from ..ids import check_id
from ..legacy import rows
from ..legacy.rows import Refused, Row
from ..message_queries import NewMessage
from ..services.conversations import Conversations

Note = Callable[[str], None]


def text(row: Row, column: str) -> str:
    """Return a text.

    :raises Refused: it is NULL, a BLOB or no UTF-8.
    """
    value = row[column]
    if value is None:
        raise Refused(f"{column} is NULL")
    found = rows.text(value, column, "")
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise Refused(f"{column} is no UTF-8") from error
    return found


def optional_text(row: Row, column: str) -> str | None:
    """Return a text, or ``None`` where there is none."""
    return None if row.get(column) is None else text(row, column)


def id_of(row: Row, column: str = "id") -> str:
    """Return an id that the services take."""
    found: str = checked(check_id, column, text(row, column))
    return found


def optional_id(row: Row, column: str) -> str | None:
    """Return an id, or ``None`` where there is none."""
    return None if row.get(column) is None else id_of(row, column)


def time(row: Row, column: str) -> str:
    """Return a stored time.

    :raises Refused: it is NULL or no time.
    """
    found = rows.time(row[column], column)
    if found is None:
        raise Refused(f"{column} is NULL")
    return found


def checked(check: Callable[..., Any], *args: Any) -> Any:
    """Return ``check(*args)``, a rule of the services, whose objection becomes the reason of a reject."""
    try:
        return check(*args)
    except InvalidArgument as error:
        raise Refused(str(error)) from error


def extras(row: Row, placed: Collection[str]) -> dict[str, Any]:
    """Return the values of all columns that have none here: they go to the metadata, but for NULL."""
    return {
        column: value.hex() if isinstance(value, bytes) else value
        for column, value in row.items()
        if column not in placed and value is not None
    }


def note_extras(row: Row, placed: Collection[str], note: Note) -> None:
    """Keep the values of columns that have none here, in a table that has no metadata either."""
    for column in extras(row, placed):
        note(f"there is no column for {column}")


def json_object(value: dict[str, Any]) -> str:
    """Return metadata as JSON text.

    :raises Refused: it cannot be kept as it is.
    """
    found: str = checked(arguments.json_object, "metadata", value)
    return found


def tokens(row: Row, note: Note) -> int | None:
    """Return a number of tokens; one that cannot be is none."""
    try:
        return arguments.token_count(row["token_count"])
    except InvalidArgument:
        note("token_count is no number of tokens")
        return None


def message(
    service: Conversations,
    row: Row,
    role: Any,
    created_at: str,
    token_count: int | None = None,
    metadata: dict[str, Any] | None = None,
) -> NewMessage:
    """Return a message by the rules of the service; its old id becomes the ``external_id``."""
    if row["id"] is None:
        raise Refused("id is NULL")
    found: NewMessage = checked(
        service._checked, created_at, role, row["content"], token_count, metadata or None, text(row, "id")
    )
    return found
