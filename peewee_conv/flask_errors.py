"""Errors of ours as answers of a Flask application: a status and one sentence, in JSON for who asks for it.

What a client can do nothing about is left to Flask, which logs it and answers 500 without a detail. No answer has a
path, a cause or a content.
"""

from __future__ import annotations

import math
import sys

from . import errors
from .errors import LimitReached, MissingExtra, PeeweeConvError, RateLimited

try:
    from flask import Flask, Response, current_app, got_request_exception, jsonify, request
except ImportError as error:
    raise MissingExtra("peewee_conv.flask_errors", "Flask", "web") from error

_NO_PROJECT = "there is no such project"
_INTERNAL = "internal error"
_BUSY = "the project is busy, try again in a moment"
_RETRY_SECONDS = 1
_PASSING = ("open connections", "seconds of search")  # limits that are met by others' work, not by what is stored

# The first that fits counts. Without a sentence here the error's own is told, which has what the client sent at most.
_ANSWERS: tuple[tuple[type[PeeweeConvError], int, str | None], ...] = (
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


def register(app: Flask) -> None:
    """Answer for every error of ours; the application's own handlers of single errors come first."""
    app.register_error_handler(PeeweeConvError, _answer)


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


def _answer(error: PeeweeConvError) -> Response:
    status, sentence = status_of(error)
    if status == 500:
        _report(error)
    if _wants_json():
        response = jsonify(error=type(error).__name__, message=sentence)
    else:
        response = Response(sentence + "\n", mimetype="text/plain")
    response.status_code = status
    response.vary.add("Accept")
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif status == 503:
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


def _report(error: PeeweeConvError) -> None:
    """Do what Flask does with an exception that nobody handles; leave it the answer too, but for clients of JSON."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    propagates = app.config["PROPAGATE_EXCEPTIONS"]
    if propagates is None:
        propagates = app.testing or app.debug
    if propagates or not _wants_json():
        raise error
    app.log_exception(sys.exc_info())
    got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)


def _wants_json() -> bool:
    """Say whether the client asks for JSON; where anything will do, whether it sent JSON."""
    kinds = ["application/json", "text/plain"] if request.is_json else ["text/plain", "application/json"]
    return request.accept_mimetypes.best_match(kinds, kinds[0]) == "application/json"
