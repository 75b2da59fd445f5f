"""The viewer as Flask sees it: addresses, who is let in, and whatever happens turned into a page.

Flask is imported when a viewer is made, so that this module can be looked at without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

from .. import arguments
from ..errors import ConversationNotFound, InvalidArgument, PeeweeConvError
from ..http_status import retry_after, status_of
from . import protection
from .page import Download, Look, Page, Values
from .pages import PAGES
from .query_string import Query
from .rendering import FOLDER, render
from .shelf import NeedsUpgrade, NothingStored, Shelf, Shown

if TYPE_CHECKING:
    from flask import Blueprint, Flask, Request
    from werkzeug.exceptions import HTTPException
    from werkzeug.wrappers import Response

#: Says whether a request may see the viewer.
Authorize: TypeAlias = "Callable[[Request], object]"

_THEMES = ("auto", "light", "dark")
_COOKIE = "peewee_conv_theme"
_YEAR = 366 * 86_400  # seconds


class Site:
    """What one viewer knows, and its answers."""

    def __init__(self, shown: Shown, authorize: Authorize, name: str, limit_tokens: int | None) -> None:
        if not callable(authorize):
            raise InvalidArgument("authorize", authorize, "a callable that takes a request and says whether to answer")
        if limit_tokens is not None:
            arguments.whole("limit_tokens", limit_tokens, 1, arguments.MAX_TOKENS)
        self.shelf = Shelf(shown)
        self.authorize, self.name, self.limit_tokens = authorize, name, limit_tokens

    # --- before and after an answer ---

    def guard(self) -> None:
        """Let nobody in who may not, and nothing but reading."""
        from flask import abort, request

        if request.method not in protection.METHODS:
            abort(405, valid_methods=list(protection.METHODS))
        if "check" in request.args and request.headers.get("Sec-Fetch-Site") == "cross-site":
            abort(403, "A check reads whole files: ask for it from the page itself.")
        is_public = request.endpoint is not None and request.endpoint.endswith(".static")
        if not is_public and not self.authorize(request):
            abort(403)

    def finish(self, response: Response) -> Response:
        """Add the headers that every answer has, and remember a theme that was chosen."""
        from flask import request

        response.headers.update(protection.HEADERS)
        if not (request.endpoint or "").endswith(".static"):
            response.headers["Cache-Control"] = "no-store"
        if request.args.get("theme") in _THEMES:
            path = self.address("projects")
            response.set_cookie(
                _COOKIE,
                request.args["theme"],
                _YEAR,
                path=path,
                secure=request.is_secure,
                httponly=True,
                samesite="Lax",
            )
        return response

    # --- answers ---

    def projects(self) -> str:
        """Answer with a page of the projects; none of them is opened."""
        from flask import request

        after = Query(request.args).text("after")
        volumes, following = self.shelf.volumes(after)
        return self.page("projects.html", {"volumes": volumes, "next": following, "is_first": after is None})

    def answer(self, kind: Page, project: str) -> Any:
        """Answer with a page of a project."""
        from flask import request

        opened = self.shelf.get(project)
        shown = {"project": project, "here_name": kind.name}
        try:
            found = self._look(kind, Look(opened, Query(request.args), self.limit_tokens))
        except NothingStored:
            if "id" in request.args:
                raise ConversationNotFound(request.args["id"]) from None
            return self.page("nothing.html", shown)
        return _send(found) if isinstance(found, Download) else self.page(kind.template, {**shown, **found})

    def _look(self, kind: Page, look: Look) -> Values | Download:
        if kind.schema is None:
            return kind.view(look)
        self.shelf.check(look.project, kind.schema)
        with look.project:
            return kind.view(look)

    def page(self, template: str, values: dict[str, Any]) -> str:
        """Return a page with what all pages show."""
        from flask import request

        theme = request.args.get("theme", request.cookies.get(_COOKIE))
        shared = {
            "project": None,
            "here_name": None,
            "theme": theme if theme in _THEMES else "auto",
            "themes": _THEMES,
            "link": self.address,
            "asset": self.asset,
            "here": self.here,
        }
        return render(template, {**shared, **values})

    def failed(self, error: PeeweeConvError) -> Any:
        """Answer an error of ours with one sentence; operators may read why something does not work."""
        from flask import make_response

        status, sentence = (409, str(error)) if isinstance(error, NeedsUpgrade) else status_of(error)
        shown = {"status": status, "sentence": str(error) if status >= 500 else sentence}
        response = make_response(self.page("error.html", shown), status)
        seconds = retry_after(error)
        if seconds is not None:
            response.headers["Retry-After"] = str(seconds)
        return response

    def refused(self, error: HTTPException) -> Any:
        """Answer an error of the protocol, or of the application around, in the same way."""
        if error.response is not None:  # the application has an answer of its own
            return error
        response = error.get_response()
        sentence = error.description or error.name
        if sentence == type(error).description:  # what Werkzeug says of it goes on with advice
            sentence = sentence.partition(". ")[0].removesuffix(".") + "."
        response.data = self.page("error.html", {"status": error.code or 500, "sentence": sentence})
        response.content_type = "text/html; charset=utf-8"
        return response

    # --- addresses ---

    def address(self, page: str, project: str | None = None, /, **query: Any) -> str:
        """Return the address of a page; arguments that are ``None`` or empty are left out."""
        from flask import request, url_for

        values: dict[str, Any] = {} if project is None else {"project": project}
        return _with_query(url_for(f"{request.blueprint or self.name}.{page}", **values), query)

    def asset(self, filename: str) -> str:
        """Return the address of a static file."""
        from flask import request, url_for

        return url_for(f"{request.blueprint or self.name}.static", filename=filename)

    def here(self, **changes: Any) -> str:
        """Return the address of this very page, with some of its arguments changed."""
        from flask import request

        if request.endpoint is None or request.view_args is None or "project" not in request.view_args:
            return self.address("projects", **changes)
        page = request.endpoint.rpartition(".")[2]
        return self.address(page, request.view_args["project"], **{**request.args.to_dict(), **changes})


def _with_query(path: str, query: dict[str, Any]) -> str:
    # By hand: url_for() takes arguments such as _scheme for itself, and these come from whoever made the link.
    anchor = query.pop("anchor", None)
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return path + (f"?{urlencode(given)}" if given else "") + (f"#{anchor}" if anchor else "")


def _send(found: Download) -> Any:
    from flask import send_file

    return send_file(
        found.stream,
        mimetype=found.mimetype,
        as_attachment=found.filename is not None,
        download_name=found.filename,
        max_age=0,
    )


# --- what is registered ---


def blueprint(
    shown: Shown, authorize: Authorize, *, name: str, url_prefix: str | None, limit_tokens: int | None
) -> Blueprint:
    """Return the blueprint of a new site."""
    return _blueprint(Site(shown, authorize, name, limit_tokens), url_prefix)


def _blueprint(site: Site, url_prefix: str | None) -> Blueprint:
    from flask import Blueprint
    from werkzeug.exceptions import HTTPException

    made = Blueprint(site.name, __name__, url_prefix=url_prefix, root_path=FOLDER, static_folder="static")
    made.before_request(site.guard)
    made.after_request(site.finish)
    made.register_error_handler(PeeweeConvError, site.failed)
    made.register_error_handler(HTTPException, site.refused)
    made.add_url_rule("/", "projects", site.projects)
    for kind in PAGES:
        made.add_url_rule(f"/p/<project>/{kind.address}", kind.name, partial(site.answer, kind))
    return made


def application(shown: Shown, *, trusted_hosts: Iterable[str], limit_tokens: int | None) -> Flask:
    """Return an application that is a new site alone."""
    from flask import Flask, abort, request
    from werkzeug.exceptions import HTTPException

    trusted = frozenset(host.lower() for host in trusted_hosts)
    site = Site(shown, lambda request: True, "peewee_conv_viewer", limit_tokens)

    def check_host() -> None:
        if not protection.is_trusted(request.headers.get("Host", ""), trusted):
            abort(400, "This viewer does not answer under that host name.")

    app = Flask("peewee_conv.viewer", static_folder=None, template_folder=None)
    app.before_request(check_host)
    app.register_blueprint(_blueprint(site, None))
    app.after_request(lambda response: response if request.blueprint else site.finish(response))
    app.register_error_handler(HTTPException, site.refused)
    return app
