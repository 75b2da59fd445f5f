"""What those who run the server see: metrics and the viewer, behind one password, or not there at all."""

from __future__ import annotations

import hmac

import prometheus_client
from flask import Flask, Response, abort, current_app, request

from peewee_conv import prometheus
from peewee_conv.flask_ext import PeeweeConv
from peewee_conv.viewer import viewer_blueprint


def register(app: Flask, conv: PeeweeConv) -> None:
    """Add ``/metrics`` and ``/conversations``."""
    prometheus.register()
    with app.app_context():
        projects = conv.projects
    limit = app.config["CHAT_LIMIT_TOKENS"]
    viewer = viewer_blueprint(projects, authorize=lambda request: authorized(), limit_tokens=limit)
    app.register_blueprint(viewer)
    app.add_url_rule("/metrics", "metrics", metrics)


def metrics() -> Response:
    """Answer with the figures of this process, in the format of Prometheus: each worker has its own."""
    authorized()
    return Response(prometheus_client.generate_latest(), mimetype="text/plain; version=0.0.4")


def authorized() -> bool:
    """Let an operator in; ask for the password where there is one, else there is nothing to see."""
    password = current_app.config["CHAT_OPERATOR_PASSWORD"]
    if not password:
        abort(404)
    given = request.authorization.password if request.authorization else None
    if given is None or not hmac.compare_digest(given.encode(), password.encode()):
        abort(Response("The operator's password, please.\n", 401, {"WWW-Authenticate": 'Basic realm="operators"'}))
    return True
