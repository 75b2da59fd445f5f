"""The exceptions of ChatDF, and which of them stands for which error of ours.

They belong to the tree of this package too: who catches ``PeeweeConvError`` catches them.

>>> RateLimitError("Daily token limit exceeded", resets_in_seconds=60).resets_in_seconds
60
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from .. import errors
from ..errors import DatabaseFailure, PeeweeConvError


class ChatError(PeeweeConvError):
    """The base of these exceptions; :attr:`message` is what to show."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFoundError(ChatError, LookupError):
    """What was asked for does not exist."""


class ForbiddenError(ChatError):
    """It exists and is somebody else's."""


class RateLimitError(ChatError):
    """The user's token budget is spent.

    :ivar resets_in_seconds: until some of it is free again.
    """

    def __init__(self, message: str, *, resets_in_seconds: int) -> None:
        super().__init__(message)
        self.resets_in_seconds = resets_in_seconds


class ConflictError(ChatError):
    """It cannot be done now: somebody else was first."""


class DatasetError(ChatError, ValueError):
    """A dataset was refused, or could not be loaded."""


class IntegrityError(DatabaseFailure):
    """A statement of the caller's breaks a rule of a table; ``__cause__`` has SQLite's report."""


#: What callers name as exceptions of ``aiosqlite``: all that SQLite reports.
Error = DatabaseError = OperationalError = DatabaseFailure


@contextmanager
def named() -> Iterator[None]:
    """Let what SQLite refuses for a rule of a table out as :class:`IntegrityError`."""
    try:
        yield
    except DatabaseFailure as failure:
        if isinstance(failure.__cause__, sqlite3.IntegrityError):
            raise IntegrityError(failure.path, failure.detail) from failure.__cause__
        raise


@contextmanager
def translated() -> Iterator[None]:
    """Let errors of this package out as exceptions of ChatDF, each with its cause."""
    try:
        yield
    except errors.UserNotFound as error:
        raise NotFoundError("User not found") from error
    except errors.ConversationNotFound as error:
        raise NotFoundError("Conversation not found") from error
    except errors.ReferralKeyInvalid as error:
        raise ConflictError("Referral key is unknown or used") from error
