"""Who may look: headers, hosts, methods, and the application that the viewer is mounted in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import flask
import pytest
from viewer_tools import addresses, client_of, client_of_app, fill, read
from werkzeug.exceptions import Unauthorized

from peewee_conv import Project, Projects
from peewee_conv.errors import InvalidArgument, MissingExtra
from peewee_conv.flask_ext import PeeweeConv
from peewee_conv.viewer import create_app, viewer_blueprint

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def test_every_answer_has_the_headers(project: Project) -> None:
    client, filled = client_of(project), fill(project)

    for address in [*addresses(project.name, filled), "/nowhere", "/p/none/", "/static/viewer.css", "/static/none"]:
        response = client.get(address)
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS, address
        if "/static/" not in address:
            assert response.headers["Cache-Control"] == "no-store", address


def test_no_secret_is_on_any_page(project: Project) -> None:
    filled = fill(project)
    key = project.accounts.create_key(filled.user)
    token = project.accounts.sign_in({"google_id": "g-2", "email": "b@x.org", "name": "Bo"}, referral_key=key).token
    with project:
        from peewee_conv.models import ReferralKey, Session

        hashes = [row.token_hash for row in Session.select()] + [row.key_hash for row in ReferralKey.select()]
    client = client_of(project)

    text = "".join(client.get(address).get_data(as_text=True) for address in addresses(project.name, filled))

    assert [secret for secret in (key, token, *hashes, "g-night train") if str(secret) in text] == []
    assert len(hashes) == 4


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("address", ["/", "/p/project/", "/p/project/usage", "/p/none/", "/static/viewer.css"])
def test_nothing_but_reading_is_answered(project: Project, method: str, address: str) -> None:
    response = client_of(project).open(address, method=method)

    assert response.status_code == 405
    assert "Content-Security-Policy" in response.headers


@pytest.mark.parametrize("address", ["/nowhere", "/p/..%2fx/", "/static/nothing.css"])
def test_what_is_nowhere_is_one_sentence(project: Project, address: str) -> None:
    response = client_of(project).get(address)

    assert response.status_code == 404
    assert "The requested URL was not found on the server. All projects" in read(response).text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8765", 200),
        ("127.0.0.1:8765", 200),
        ("[::1]:8765", 200),
        ("192.168.1.7", 200),
        ("viewer.lan:80", 200),
        ("attacker.example", 400),
        ("127.0.0.1.attacker.example", 400),
        ("localhost.attacker.example:8765", 400),
        ("127.0.0.1:8765@attacker.example", 400),
        ("", 400),
    ],
)
def test_only_hosts_that_nobody_can_invent_are_answered(project: Project, host: str, status: int) -> None:
    client = client_of(project, trusted_hosts=["Viewer.lan"])

    for address in ("/", "/nowhere", "/static/viewer.css"):
        response = client.get(address, headers={"Host": host})
        expected = 404 if (status, address) == (200, "/nowhere") else status
        assert response.status_code == expected


def test_a_check_is_not_run_for_another_site(project: Project) -> None:
    fill(project)
    client = client_of(project)
    statuses = {
        site: client.get("/p/project/health?check=assistant", headers={"Sec-Fetch-Site": site}).status_code
        for site in ("cross-site", "same-origin", "none")
    }

    assert statuses == {"cross-site": 403, "same-origin": 200, "none": 200}


def test_a_theme_is_remembered(project: Project) -> None:
    client = client_of(project)

    first = client.get("/?theme=dark")
    second = client.get("/p/none/")

    assert 'data-theme="dark"' in first.get_data(as_text=True)
    assert 'data-theme="dark"' in second.get_data(as_text=True)
    assert "HttpOnly; Path=/; SameSite=Lax" in first.headers["Set-Cookie"]
    assert len(first.headers.getlist("Set-Cookie")) == 1
    assert "Set-Cookie" not in client.get("/?theme=pink").headers


# --- mounted in an application ---


def mounted(projects: Project | Projects, authorize: Callable[[flask.Request], object], **options: str) -> flask.Flask:
    app = flask.Flask("host", template_folder=None)
    app.register_blueprint(viewer_blueprint(projects, authorize=authorize, **options))
    return app


def test_a_mounted_viewer_shows_nothing_to_whom_it_does_not_know(make_project: Callable[..., Project]) -> None:
    project = make_project("aurora")
    filled = fill(project)
    client = client_of_app(mounted(project, lambda request: request.args.get("key") == "right"))

    for address in addresses(project.name, filled):
        response = client.get("/conversations" + address)
        assert response.status_code == 403, address
        assert "night train" not in response.get_data(as_text=True)
        assert "aurora" not in read(response).text
    assert client.get("/conversations/?key=right").status_code == 200
    assert client.get("/conversations/static/viewer.css").status_code == 200


def test_authorize_may_answer_by_itself(project: Project) -> None:
    def authorize(request: flask.Request) -> object:
        if "to" in request.args:
            flask.abort(flask.redirect("/login"))
        raise Unauthorized(response=flask.Response("sign in first", 401) if "say" in request.args else None)

    client = client_of_app(mounted(project, authorize))

    assert client.get("/conversations/").status_code == 401
    assert client.get("/conversations/?to=1").headers["Location"] == "/login"
    assert client.get("/conversations/?say=1").get_data(as_text=True) == "sign in first"


def test_authorize_that_fails_lets_nobody_in(project: Project) -> None:
    client = mounted(project, lambda request: request.headers["X-User"] in {}["users"]).test_client()

    assert client.get("/conversations/").status_code >= 400


def test_it_cannot_be_mounted_without_saying_who_may_look(project: Project) -> None:
    with pytest.raises(TypeError, match="authorize"):
        viewer_blueprint(project)  # type: ignore[call-arg]
    with pytest.raises(InvalidArgument, match="invalid authorize None"):
        viewer_blueprint(project, authorize=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("shown", [None, [], "projects", ["projects/aurora"], 5])
def test_only_projects_can_be_shown(shown: object) -> None:
    with pytest.raises(InvalidArgument, match="invalid projects"):
        create_app(shown)  # type: ignore[arg-type]


def test_a_bad_limit_is_refused(project: Project) -> None:
    with pytest.raises(InvalidArgument, match="invalid limit_tokens 0"):
        create_app(project, limit_tokens=0)


def test_links_of_a_mounted_viewer_stay_in_it(project: Project) -> None:
    filled = fill(project)
    client = client_of_app(mounted(project, lambda request: True, url_prefix="/admin/talks", name="talks"))

    for address in addresses(project.name, filled):
        response = client.get("/admin/talks" + address)
        if response.mimetype == "text/html":
            page = read(response)
            found = page.links() + page.attributes("src") + page.attributes("action")
            assert [link for link in found if not link.startswith(("/admin/talks/", "#"))] == []


def test_templates_of_the_application_are_not_those_of_the_viewer(project: Project, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    for name in ("base.html", "projects.html", "error.html"):
        (templates / name).write_text("this is the application's")
    app = flask.Flask("host", template_folder=str(templates))
    app.jinja_env.autoescape = False
    app.register_blueprint(viewer_blueprint(project, authorize=lambda request: True))
    app.add_url_rule("/", "home", lambda: flask.render_template("base.html"))
    client = client_of_app(app)

    assert "application's" not in read(client.get("/conversations/")).text
    assert client.get("/").get_data(as_text=True) == "this is the application's"
    assert "Content-Security-Policy" not in client.get("/").headers


def test_it_works_beside_the_extension(tmp_path: Path) -> None:
    projects = Projects(tmp_path)
    filled = fill(projects.create("aurora"))
    app = flask.Flask("host")
    app.config["PEEWEE_CONV_ROOT"] = str(tmp_path)
    PeeweeConv(app, project=lambda: "aurora")
    app.register_blueprint(viewer_blueprint(projects, authorize=lambda request: True))
    client = client_of_app(app)

    for address in addresses("aurora", filled):
        assert client.get("/conversations" + address).status_code == 200
    assert client.get("/conversations/p/none/").mimetype == "text/html"


def test_two_viewers_in_one_application(make_project: Callable[..., Project]) -> None:
    app = flask.Flask("host")
    for name in ("aurora", "borealis"):
        project = make_project(name)
        project.conversations.create(title=f"of {name}")
        app.register_blueprint(
            viewer_blueprint(project, authorize=lambda request: True, name=name, url_prefix=f"/{name}")
        )
    client = client_of_app(app)

    assert "of aurora" in read(client.get("/aurora/p/aurora/")).text
    assert client.get("/aurora/p/borealis/").status_code == 404


def test_without_flask_the_extra_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask", None)

    with pytest.raises(MissingExtra) as caught:
        create_app(project)

    assert str(caught.value) == "the viewer needs Flask: pip install 'peewee-conv[web]'"
