"""Applications with the extension, for the tests of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask

from peewee_conv import Project, Projects
from peewee_conv.flask_ext import PeeweeConv, current_project
from peewee_conv.models import Conversation


def make_app(root: Path, **config: Any) -> flask.Flask:
    """Return an application of many projects: ``/<project>/...`` belongs to that project, all else to none."""
    app = flask.Flask("sample", root_path=str(root.parent), instance_path=str(root.parent / "instance"))
    app.config.update(TESTING=True, PEEWEE_CONV_ROOT=str(root), **config)
    PeeweeConv(app, project=lambda: (flask.request.view_args or {}).get("project"))

    @app.get("/<project>/titles")
    def titles(project: str) -> Any:
        return [talk.title for talk in current_project.conversations.list()]

    @app.get("/<project>/models")
    def models(project: str) -> Any:
        current_project.conversations.list()
        return {"count": Conversation.select().count()}

    @app.get("/talks/<id>")
    def without_project(id: str) -> Any:
        return current_project.conversations.get(id).to_dict()

    @app.get("/health")
    def health() -> str:
        return "fine"

    return app


def add_view(app: flask.Flask, work: Callable[[Project], Any]) -> None:
    """Add ``/<project>/work``, which answers with what *work* returns for the current project."""
    app.add_url_rule("/<project>/work", "work", lambda project: work(current_project))


def make_project(root: Path, name: str, *titles: str) -> Project:
    """Make a project with conversations of these titles."""
    project = Projects(root).create(name)
    for title in titles:
        project.conversations.create(title=title)
    return project
