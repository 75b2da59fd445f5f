"""The Flask extension: which project a request belongs to, errors as answers, and ``flask conv`` commands.

It opens nothing until a view asks for the project. Then the models of Peewee work in that view too, and the connection
that they share with the services goes back when the view has answered: a response that is streamed holds none.

>>> import flask, tempfile
>>> app, conv = flask.Flask(__name__), PeeweeConv()
>>> @app.get("/<project>/talks")
... def talks(project):
...     return [talk.title for talk in current_project.conversations.list()]
>>> with tempfile.TemporaryDirectory() as folder:
...     app.config["PEEWEE_CONV_ROOT"] = folder
...     conv.init_app(app, project=lambda: flask.request.view_args["project"])
...     with app.app_context():
...         aurora = conv.projects.create("aurora")
...     talk = aurora.conversations.create(title="Outlook")
...     app.test_client().get("/aurora/talks").json, app.test_client().get("/borealis/talks").status
...     aurora.dispose()
(['Outlook'], '404 NOT FOUND')
True
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from . import paths
from .errors import InvalidArgument, MissingExtra, NoCurrentProject, ProjectNotBound
from .project import Project, Projects
from .settings import Settings

try:
    from flask import Flask, Response, current_app, g, has_app_context, has_request_context, request
    from werkzeug.local import LocalProxy
except ImportError as error:
    raise MissingExtra("peewee_conv.flask_ext", "Flask", "web") from error

if TYPE_CHECKING:
    from .database.scope import Scope

ProjectOf: TypeAlias = Callable[[], "str | Project | None"]

_NAME = "peewee_conv"  # in app.extensions and in g
_PREFIX = "PEEWEE_CONV_"
_DEFAULTS = {"ROOT": None, "PROJECT": None, "HANDLE_ERRORS": True}


class PeeweeConv:
    """The extension. One object serves any number of applications; what belongs to one is kept in it.

    :param app: the application, or ``None`` to call :meth:`init_app` later.
    :param project: as for :meth:`project_of`.
    :param cli_group: the name of the group of ``flask`` commands; ``None`` for no commands.
    :raises InvalidArgument: the application has the extension already, or a key of its configuration is wrong.
    """

    def __init__(
        self, app: Flask | None = None, *, project: ProjectOf | None = None, cli_group: str | None = "conv"
    ) -> None:
        self._project_of = project
        if app is not None:
            self.init_app(app, cli_group=cli_group)

    def init_app(self, app: Flask, *, project: ProjectOf | None = None, cli_group: str | None = "conv") -> None:
        """Register the extension on an application, and read its ``PEEWEE_CONV_*`` configuration this once.

        :param project: as for :meth:`project_of`, for this application alone.
        :param cli_group: the name of the group of ``flask`` commands; ``None`` for no commands.
        :raises InvalidArgument: the application has the extension already, or a key of its configuration is wrong.
        """
        if _NAME in app.extensions:
            raise InvalidArgument("app", app, "an application on which PeeweeConv is not registered yet")
        places = AppProjects(app, lambda: project or self._project_of)
        app.extensions[_NAME] = places
        app.after_request(_release_with_the_answer)
        app.teardown_request(_release)
        app.teardown_appcontext(_release)
        if app.config["PEEWEE_CONV_HANDLE_ERRORS"]:
            from . import flask_errors

            flask_errors.register(app)
        if cli_group is not None:
            from .flask_commands import conv

            app.cli.add_command(conv, name=cli_group)

    def project_of(self, function: ProjectOf) -> ProjectOf:
        """Take *function* as what says which project the current request belongs to; a decorator.

        It returns the name of a project below ``PEEWEE_CONV_ROOT``, a :class:`~peewee_conv.Project`, or ``None`` for
        a request that belongs to none. It is called once a request, and only if the project is asked for.
        """
        self._project_of = function
        return function

    @property
    def projects(self) -> Projects:
        """The projects below ``PEEWEE_CONV_ROOT`` of the current application.

        :raises ProjectNotBound: it has no root, or there is no current application.
        """
        return _app_projects().projects

    @property
    def project(self) -> Project:
        """The project behind :data:`current_project`: take it along where the request is over, as in a generator."""
        return _find_project()


class AppProjects:
    """The projects of one application, as ``app.extensions["peewee_conv"]``."""

    def __init__(self, app: Flask, project_of: Callable[[], ProjectOf | None]) -> None:
        self._project_of = project_of
        self._settings = _read_settings(app)
        root, fixed = _read_path(app, "ROOT"), _read_path(app, "PROJECT")
        if root is not None and fixed is not None:
            raise InvalidArgument("PEEWEE_CONV_PROJECT", fixed, "None where PEEWEE_CONV_ROOT is set")
        self._root = None if root is None else Projects(root, **self._settings)
        self._fixed = fixed

    @property
    def projects(self) -> Projects:
        """The projects below the root.

        :raises ProjectNotBound: there is no root.
        """
        if self._root is None:
            raise ProjectNotBound("the application has no root of projects", "set PEEWEE_CONV_ROOT")
        return self._root

    def current(self) -> Project:
        """Return the project of the current request; outside of one, that of ``PEEWEE_CONV_PROJECT``."""
        project_of = self._project_of()
        if project_of is not None and has_request_context():
            chosen = project_of()
            if chosen is None:
                raise NoCurrentProject
            return chosen if isinstance(chosen, Project) else self.projects.get(chosen)
        if self._fixed is not None:
            return self._fixed_project(self._fixed)
        if project_of is None:
            raise ProjectNotBound(
                "the application does not say which project it uses",
                "set PEEWEE_CONV_PROJECT, or say it for each request with project_of()",
            )
        raise ProjectNotBound("there is no request, so there is no project of it", "use PeeweeConv.projects")

    def named(self, names: Sequence[str] = ()) -> list[Project]:
        """Return the projects of these names, in their order; all of the application where there is no name.

        :raises ProjectNotFound: there is none of that name.
        """
        if self._fixed is None:
            return [self.projects.get(name) for name in names or self.projects.list()]
        fixed = self._fixed_project(self._fixed)
        for name in names:
            if name != fixed.name:
                raise InvalidArgument("project", name, f"{fixed.name!r}, the only one of this application")
        return [fixed]

    def _fixed_project(self, path: str) -> Project:
        return Project(path, **self._settings)  # anew each time: the one before may have been disposed


def _read_settings(app: Flask) -> dict[str, Any]:
    """Return what the configuration has for :class:`Settings`, and see to the defaults of the other keys."""
    for name, default in _DEFAULTS.items():
        app.config.setdefault(_PREFIX + name, default)
    given = {key: value for key, value in app.config.items() if key.startswith(_PREFIX)}
    settings: dict[str, Any] = {}
    for key, value in given.items():
        name = key.removeprefix(_PREFIX)
        if name in _DEFAULTS:
            continue
        if name.lower() not in Settings._fields:
            allowed = [*_DEFAULTS, *map(str.upper, Settings._fields)]
            raise InvalidArgument("configuration key", key, f"{_PREFIX} and one of {', '.join(allowed)}")
        settings[name.lower()] = value
    Settings.of(**settings)
    return settings


def _read_path(app: Flask, name: str) -> str | None:
    value = app.config[_PREFIX + name]
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise InvalidArgument(_PREFIX + name, value, "a path, or None")
    return paths.project_root(os.path.join(app.instance_path, value))


# --- the current project ---


class _Current:
    """The project of one request, and the scope in which its models work until the view has answered."""

    def __init__(self) -> None:
        self.project: Project | None = None
        self.scope: Scope | None = None
        self.is_answered = False

    def begin(self, project: Project) -> Project:
        if not self.is_answered:
            self.scope = project.scope().__enter__()
        self.project = project
        return project

    def release(self) -> None:
        if self.scope is not None:
            self.scope.__exit__()


def _current() -> _Current:
    """Return what belongs to this request, or to an application context without one.

    By request, because those that are made inside one application context, as tests do, have all the same ``g``.
    """
    if _NAME not in g:
        setattr(g, _NAME, WeakKeyDictionary())
    known: WeakKeyDictionary[object, _Current] = g.get(_NAME)
    proxy: Any = request if has_request_context() else g
    return known.setdefault(proxy._get_current_object(), _Current())


def _app_projects() -> AppProjects:
    if not has_app_context():
        raise ProjectNotBound(
            "there is no current project outside a request", "take it along with PeeweeConv.project while there is one"
        )
    found: AppProjects | None = current_app.extensions.get(_NAME)
    if found is None:
        raise ProjectNotBound("PeeweeConv is not registered on this application", "call its init_app()")
    return found


def _find_project() -> Project:
    places, current = _app_projects(), _current()
    return current.project or current.begin(places.current())


def _release(error: BaseException | None = None) -> None:
    _current().release()


def _release_with_the_answer(response: Response) -> Response:
    # Not as late as the teardown, which may come after the last part of a stream that keeps its context.
    current = _current()
    current.release()
    current.is_answered = True
    return response


#: The project that the current request belongs to: a proxy, to be used like the :class:`~peewee_conv.Project` itself.
current_project: Project = LocalProxy(_find_project)  # type: ignore[assignment]
