"""The exceptions of the Sovereign Assistant, and which of them stands for which error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .. import errors
from ..errors import InvalidArgument, InvalidRole, PeeweeConvError


class StateManagerException(Exception):
    """Something went wrong; ``__cause__`` is the error of this package that says what."""


class AssistantNotFound(StateManagerException):
    """There is no assistant of that id."""


class ThreadNotFound(StateManagerException):
    """There is no thread of that id."""


class MessageNotFound(StateManagerException):
    """There is no message of that id."""


_NOT_FOUND: Final[dict[type[PeeweeConvError], tuple[type[StateManagerException], str]]] = {
    errors.AssistantNotFound: (AssistantNotFound, "Assistant"),
    errors.ConversationNotFound: (ThreadNotFound, "Thread"),
    errors.MessageNotFound: (MessageNotFound, "Message"),
}
#: What cannot be an id names nothing that exists.
_BY_ARGUMENT: Final = {"assistant_id": errors.AssistantNotFound, "conversation_id": errors.ConversationNotFound}


@contextmanager
def translated() -> Iterator[None]:
    """Let errors of this package out as :class:`StateManagerException`, each with its cause."""
    try:
        yield
    except PeeweeConvError as error:
        raise _translate(error) from error


def _translate(error: PeeweeConvError) -> StateManagerException:
    kind, value = type(error), getattr(error, "id", None)
    if isinstance(error, InvalidRole):
        return StateManagerException(f"Invalid role: {error.value}")
    if isinstance(error, InvalidArgument):
        kind, value = _BY_ARGUMENT.get(error.argument, kind), error.value
        if error.argument == "instructions" and (value is None or (isinstance(value, str) and not value.strip())):
            return StateManagerException("Instructions cannot be empty")
    if kind in _NOT_FOUND:
        missing, noun = _NOT_FOUND[kind]
        return missing(f"{noun} not found: {value}")
    return StateManagerException(f"Database operation failed: {error}")
