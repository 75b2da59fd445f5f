"""The token budget of ChatDF's users."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .chatdf_connection import Connection
from .chatdf_errors import translated

DEFAULT_MODEL = "gemini-2.5-flash"


@dataclass(frozen=True)
class RateLimitStatus:
    """Where a user stands in the 24 hours that end now.

    :ivar resets_in_seconds: until the oldest usage leaves the window; ``None`` while :attr:`allowed`.
    :ivar warning: whether 80 % of the limit are used.
    """

    allowed: bool
    usage_tokens: int
    limit_tokens: int
    usage_percent: float
    remaining_tokens: int
    resets_in_seconds: int | None
    warning: bool

    def model_dump(self) -> dict[str, Any]:
        """Return the values by name."""
        return asdict(self)


async def check_limit(db: Connection, user_id: str) -> RateLimitStatus:
    """Return where a user stands; the limit is that of the connection's settings.

    :raises NotFoundError: the user does not exist.
    """
    with translated():
        status = await db.usage.status(user_id)
    values = status.to_dict()
    resets = status.resets_in_seconds
    return RateLimitStatus(**{**values, "resets_in_seconds": None if resets is None else max(0, int(resets))})


async def record_usage(
    db: Connection,
    user_id: str,
    conversation_id: str | None,
    input_tokens: int,
    output_tokens: int,
    model_name: str = DEFAULT_MODEL,
) -> None:
    """Store what an answer used.

    :raises NotFoundError: the user does not exist, or the conversation is not theirs; nothing is stored or locked.
    """
    with translated():
        await db.usage.record(user_id, input_tokens, output_tokens, model_name, conversation_id=conversation_id)
    await db.commit()
