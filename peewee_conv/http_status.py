"""Errors of ours as answers of a web server: a status, one sentence, and when to ask again. No framework is needed.

What a client can do nothing about is status 500 without a detail. No sentence has a path, a cause or a content.
"""

from __future__ import annotations

import math
from typing import Final

from . import errors
from .errors import LimitReached, PeeweeConvError, RateLimited

_NO_PROJECT = "there is no such project"
_INTERNAL = "internal error"
_BUSY = "the project is busy, try again in a moment"
_BUSY_SECONDS = 1
_PASSING = ("open connections", "seconds of search")  # limits that are met by others' work, not by what is stored

# The first that fits counts. Without a sentence here the error's own is told, which has what the client sent at most.
_ANSWERS: Final[tuple[tuple[type[PeeweeConvError], int, str | None], ...]] = (
    (errors.InvalidProjectName, 404, _NO_PROJECT),
    (errors.ProjectNotFound, 404, _NO_PROJECT),
    (errors.NotFound, 404, None),
    (errors.InvalidArgument, 400, None),
    (errors.ImportRejected, 400, "the import is rejected"),
    (errors.ReferralKeyRequired, 403, "a new user needs a referral key"),
    (errors.ReferralKeyInvalid, 403, "the referral key is not valid"),
    (errors.FileAlreadyExists, 500, _INTERNAL),  # it names a path of the server
    (errors.AlreadyExists, 409, None),
    (errors.DependencyCycle, 409, None),
    (errors.FeatureStateConflict, 409, None),
    (errors.MessageStateConflict, 409, None),
    (errors.LimitReached, 409, None),
    (errors.RateLimited, 429, None),
    (errors.ProjectInUse, 500, _INTERNAL),  # two parts of the application differ in its settings
    (errors.DatabaseBusy, 503, _BUSY),
    (errors.ProjectDisposed, 503, _BUSY),
    (errors.DatabaseFull, 507, "the disk is full"),
)


def status_of(error: PeeweeConvError) -> tuple[int, str]:
    """Return the status of an error and the sentence that a client may read.

    >>> status_of(errors.ConversationNotFound("c-17"))
    (404, "conversation 'c-17' does not exist")
    >>> status_of(errors.DatabaseBusy("projects/aurora/.peewee_conv/assistant.db", "database is locked"))
    (503, 'the project is busy, try again in a moment')
    """
    if isinstance(error, LimitReached) and error.what in _PASSING:
        return 503, _BUSY
    for kind, status, sentence in _ANSWERS:
        if isinstance(error, kind):
            return status, sentence or str(error)
    return 500, _INTERNAL


def retry_after(error: PeeweeConvError) -> int | None:
    """Return after how many seconds to ask again, for ``Retry-After``; ``None`` where that would not help.

    >>> retry_after(errors.RateLimited(100_000, 100_000, 59.2)), retry_after(errors.ConversationNotFound("c-17"))
    (60, None)
    """
    if isinstance(error, RateLimited):
        return max(1, math.ceil(error.retry_after))
    return _BUSY_SECONDS if status_of(error)[0] == 503 else None
