"""Errors of ours as answers of a Flask application: a status and one sentence, in JSON for who asks for it.

Which status and which sentence, :mod:`peewee_conv.http_status` says. What a client can do nothing about is left to
Flask, which logs it and answers 500 without a detail.
"""

from __future__ import annotations

import sys

from .errors import MissingExtra, PeeweeConvError
from .http_status import retry_after, status_of

try:
    from flask import Flask, Response, current_app, got_request_exception, jsonify, request
except ImportError as error:
    raise MissingExtra("peewee_conv.flask_errors", "Flask", "web") from error


def register(app: Flask) -> None:
    """Answer for every error of ours; the application's own handlers of single errors come first."""
    app.register_error_handler(PeeweeConvError, _answer)


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
    seconds = retry_after(error)
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
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
