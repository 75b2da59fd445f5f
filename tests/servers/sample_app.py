"""The application that the tests of servers run: a few views, each with the trap that its name says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import flask

from peewee_conv.flask_ext import PeeweeConv, current_project
from peewee_conv.models import Message

conv = PeeweeConv()


def create_app() -> flask.Flask:
    """Return the application for the projects below ``SAMPLE_ROOT``."""
    app = flask.Flask("sample")
    app.config["PEEWEE_CONV_ROOT"] = os.environ["SAMPLE_ROOT"]
    conv.init_app(app, project=lambda: (flask.request.view_args or {})["name"])
    _use_every_project(app)
    app.add_url_rule("/health", "health", lambda: {"pid": os.getpid()})
    app.add_url_rule("/<name>/append", "append", append, methods=["POST"])
    app.add_url_rule("/<name>/messages", "messages", messages)
    app.add_url_rule("/<name>/stream", "stream", stream)
    app.add_url_rule("/<name>/fail", "fail", fail)
    return app


def _use_every_project(app: flask.Flask) -> None:
    """Have every file open when the application is made: before the fork where it is preloaded."""
    with app.app_context():
        for name in conv.projects.list():
            conv.projects.get(name).conversations.find("talk")


def append(name: str) -> Any:
    """Append a message."""
    content = flask.request.get_json()["content"]
    return {"sequence": current_project.conversations.add_message("talk", "user", content).sequence}


def messages(name: str) -> Any:
    """Return the contents, and their number as the model sees it."""
    contents = [message.content for message in current_project.conversations.iterate("talk")]
    return {"contents": contents, "count": Message.select().count(), "pid": os.getpid()}


def stream(name: str) -> flask.Response:
    """Append what is sent, part by part, after the view is over."""
    project = conv.project

    def parts() -> Iterator[str]:
        for number in range(3):
            yield project.conversations.add_message("talk", "assistant", f"{name} part {number}").content + "\n"

    return flask.Response(parts(), mimetype="text/plain")


def fail(name: str) -> Any:
    """Fail with a transaction open."""
    with current_project.atomic():
        current_project.conversations.add_message("talk", "user", "never")
        raise LookupError("a bug")
