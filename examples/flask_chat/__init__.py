"""A chat server for several projects: the example of peewee_conv under Flask. ``README.md`` says how to run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from flask import Flask, Response, render_template, request
from flask.cli import with_appcontext

from peewee_conv.errors import PeeweeConvError
from peewee_conv.flask_ext import PeeweeConv

from . import api, identity, models, operators, pages

conv = PeeweeConv()

DEFAULTS: dict[str, Any] = {
    "PEEWEE_CONV_ROOT": "projects",  # below the instance folder
    "PEEWEE_CONV_COUNT_TOKENS": models.count_tokens,
    "CHAT_MODEL": models.echo,
    "CHAT_DELAY": 0.03,  # seconds between two parts of an echo
    "CHAT_IDENTIFY": identity.believe,
    "CHAT_OPEN": False,  # whether new users need no invitation
    "CHAT_LIMIT_TOKENS": 100_000,  # of a user in 24 hours
    "CHAT_STALE_SECONDS": 60,  # after which an answer that nobody writes any more counts as interrupted
    "CHAT_OPERATOR_PASSWORD": None,
    "MAX_CONTENT_LENGTH": 256 * 1024,
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # nothing is there to go back to after signing out
    "Referrer-Policy": "same-origin",
}


@conv.project_of
def project_of() -> str | None:
    """Say which project a request belongs to: the name in ``/p/<project>/``."""
    return (request.view_args or {}).get("project")


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return the application.

    :param config: overrules the environment (``FLASK_CHAT_OPEN=true`` and so on), which overrules the defaults.
    """
    app = Flask(__name__)
    app.config.from_mapping(DEFAULTS)
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    conv.init_app(app)
    app.register_blueprint(pages.pages, url_prefix="/p/<project>")
    app.register_blueprint(api.api, url_prefix="/p/<project>/api")
    operators.register(app, conv)
    app.add_url_rule("/", "index", index)
    app.add_url_rule("/health", "health", lambda: {"status": "ok"})
    app.after_request(add_headers)
    app.cli.add_command(invite)
    return app


def index() -> str:
    """Show the names of the projects."""
    return render_template("flask_chat/index.html", names=conv.projects.list())


def add_headers(response: Response) -> Response:
    """Tell browsers to load nothing from elsewhere, and to keep no page."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@click.command()
@click.argument("project")
@with_appcontext
def invite(project: str) -> None:
    """Print an invitation for one new user of PROJECT, which is made if there is none."""
    try:
        found = conv.projects.find(project) or conv.projects.create(project)
        click.echo(found.accounts.create_key())
    except PeeweeConvError as error:
        raise click.ClickException(str(error)) from error
