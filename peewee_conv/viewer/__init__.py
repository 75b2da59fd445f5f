"""A read-only look at projects in the browser: a Flask blueprint for your application, or an application of its own.

It reads through the services and shows what a project holds, but no tokens, hashes or keys. It answers GET and HEAD
alone, makes no project and upgrades no file; only a search may write, when it brings the search index up to date.
Flask is the extra ``web``, and imported when a viewer is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import MissingExtra

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from .shelf import Shown
    from .site import Authorize


def viewer_blueprint(
    projects: Shown,
    *,
    authorize: Authorize,
    name: str = "peewee_conv_viewer",
    url_prefix: str = "/conversations",
    limit_tokens: int | None = None,
) -> Blueprint:
    """Return a blueprint for an application of yours; register it as any other.

    It shows everything to everybody whom *authorize* lets in: all projects, all users.

    :param projects: a root of projects (:class:`~peewee_conv.project.Projects`), or one project, or several.
    :param authorize: called with each request; a false answer is status 403. It may also ``abort`` with a status or a
        redirect of its own. Only the style sheet is there for everybody.
    :param name: of the blueprint, if two are registered in one application.
    :param url_prefix: where it is, unless ``register_blueprint`` says so.
    :param limit_tokens: the budget of a user in a day that the usage page compares with; 5,000,000 if left out.
    :raises MissingExtra: Flask is not installed.
    :raises InvalidArgument: an argument is not what it should be.
    """
    _require_flask()
    from . import site

    return site.blueprint(projects, authorize, name=name, url_prefix=url_prefix, limit_tokens=limit_tokens)


def create_app(projects: Shown, *, trusted_hosts: Iterable[str] = (), limit_tokens: int | None = None) -> Flask:
    """Return a WSGI application that is the viewer alone, without any sign-in: keep it to your machine.

    A request whose ``Host`` is neither ``localhost`` nor an address in numbers is refused, so that no page of the
    internet can read it by giving this machine a name of its own.

    :param projects: as for :func:`viewer_blueprint`.
    :param trusted_hosts: more host names by which it may be asked for, without ports.
    :param limit_tokens: as for :func:`viewer_blueprint`.
    :raises MissingExtra: Flask is not installed.
    :raises InvalidArgument: an argument is not what it should be.
    """
    _require_flask()
    from . import site

    return site.application(projects, trusted_hosts=trusted_hosts, limit_tokens=limit_tokens)


def _require_flask() -> None:
    try:
        import flask  # noqa: F401 - by itself, so that no other failing import is taken for this one
    except ModuleNotFoundError as error:
        raise MissingExtra("the viewer", "Flask", "web") from error
