"""Which project a request belongs to, in which models and services work, and which no code outside of it sees."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import flask
import pytest
from flask_app import add_view, make_app, make_project

from peewee_conv import Project, Projects
from peewee_conv.database.cache import cache
from peewee_conv.database.scope import bound_scope
from peewee_conv.errors import NoCurrentProject, ProjectNotBound
from peewee_conv.flask_ext import PeeweeConv, current_project
from peewee_conv.models import Conversation


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "projects"


def on_loan() -> int:
    """Return how many connections somebody has borrowed."""
    return cache.connection_count - sum(database.idle_count for database in cache.open_databases())


def test_request_sees_its_own_project(root: Path) -> None:
    make_project(root, "aurora", "Outlook")
    make_project(root, "borealis", "Weather")
    client = make_app(root).test_client()

    assert client.get("/aurora/titles").json == ["Outlook"]
    assert client.get("/borealis/titles").json == ["Weather"]


def test_models_work_in_a_view_that_uses_the_current_project(root: Path) -> None:
    make_project(root, "aurora", "Outlook", "Weather")

    assert make_app(root).test_client().get("/aurora/models").json == {"count": 2}


def test_request_that_asks_for_no_project_opens_none(root: Path) -> None:
    client = make_app(root).test_client()

    assert client.get("/health").status_code == 200
    assert (cache.connection_count, root.exists()) == (0, False)


@pytest.mark.parametrize("path", ["/aurora/models", "/aurora/work"])
def test_connection_is_back_and_nothing_bound_after_a_request(root: Path, path: str) -> None:
    make_project(root, "aurora")
    app = make_app(root)
    add_view(app, lambda project: str(1 // len(project.conversations.list())))
    app.testing = False

    app.test_client().get(path)

    assert (on_loan(), bound_scope()) == (0, None)


def test_abort_releases_the_project(root: Path) -> None:
    make_project(root, "aurora")
    app = make_app(root)
    add_view(app, lambda project: (project.conversations.list(), flask.abort(418)))

    assert app.test_client().get("/aurora/work").status_code == 418
    assert (on_loan(), bound_scope()) == (0, None)


@pytest.mark.parametrize("error", [LookupError("a bug"), KeyboardInterrupt()])
def test_failure_before_the_view_releases_the_project(root: Path, error: BaseException) -> None:
    make_project(root, "aurora")
    app = make_app(root)

    @app.before_request
    def fail() -> None:
        assert current_project.conversations.list() == []
        raise error

    with pytest.raises(type(error)):
        app.test_client().get("/aurora/titles")

    assert (on_loan(), bound_scope()) == (0, None)


def test_function_after_the_view_may_use_the_project(root: Path) -> None:
    make_project(root, "aurora", "Outlook")
    app = make_app(root)

    @app.after_request
    def count(response: flask.Response) -> flask.Response:
        response.headers["X-Count"] = str(len(current_project.conversations.list()) + Conversation.select().count())
        return response

    assert app.test_client().get("/aurora/titles").headers["X-Count"] == "2"


def test_transaction_that_a_view_leaves_open_is_taken_back(root: Path) -> None:
    make_project(root, "aurora")
    app = make_app(root)

    def leave_open(project: Project) -> str:
        flask.g.transaction = project.atomic()
        flask.g.transaction.__enter__()
        project.conversations.create(title="Half")
        raise LookupError

    add_view(app, leave_open)
    app.testing = False

    assert app.test_client().get("/aurora/work").status_code == 500
    assert app.test_client().get("/aurora/titles").json == []


def test_project_of_is_asked_once_a_request(root: Path) -> None:
    app, asked = flask.Flask("sample"), []
    conv = PeeweeConv()

    @conv.project_of
    def project_of() -> Project:
        asked.append(flask.request.path)
        return Project(root / "aurora")

    conv.init_app(app)
    app.add_url_rule("/twice", "twice", lambda: f"{current_project.name} {conv.project.name}")

    assert app.test_client().get("/twice").text == "aurora aurora"
    assert asked == ["/twice"]


def test_fixed_project_needs_no_request(root: Path) -> None:
    app = flask.Flask("sample")
    app.config["PEEWEE_CONV_PROJECT"] = root
    PeeweeConv(app)

    with app.app_context():
        talk = current_project.conversations.create()
        assert Conversation.get_by_id(talk.number).id == talk.id

    assert (current_project_is_missing(), on_loan()) == (True, 0)


def current_project_is_missing() -> bool:
    try:
        return not current_project.name
    except ProjectNotBound:
        return True


def test_fixed_project_that_was_disposed_is_opened_again(root: Path) -> None:
    app = flask.Flask("sample")
    app.config["PEEWEE_CONV_PROJECT"] = root
    PeeweeConv(app)
    app.add_url_rule("/", "index", lambda: str(len(current_project.conversations.list())))
    client = app.test_client()

    client.get("/")
    Project(root).dispose()

    assert client.get("/").text == "0"


def test_view_may_delete_its_project(root: Path) -> None:
    make_project(root, "aurora", "Outlook")
    app = make_app(root)
    add_view(app, lambda project: str(project.delete()))

    assert app.test_client().get("/aurora/work").text == "True"
    assert app.test_client().get("/aurora/titles").json == []


def test_applications_of_one_process_keep_their_projects_apart(tmp_path: Path) -> None:
    conv, apps = PeeweeConv(), []
    for name in ("one", "two"):
        app = flask.Flask(name)
        app.config["PEEWEE_CONV_ROOT"] = tmp_path / name
        conv.init_app(app, project=lambda: "aurora")
        app.add_url_rule("/", "index", lambda: [talk.title for talk in current_project.conversations.list()])
        apps.append(app)
        with app.app_context():
            conv.projects.create("aurora").conversations.create(title=name)

    assert [app.test_client().get("/").json for app in apps] == [["one"], ["two"]]


def test_contexts_that_nest_have_a_project_each(tmp_path: Path) -> None:
    apps = []
    for name in ("one", "two"):
        app = flask.Flask(name)
        app.config["PEEWEE_CONV_PROJECT"] = tmp_path / name
        PeeweeConv(app)
        apps.append(app)

    with apps[0].app_context():
        before = current_project.conversations.create(title="one")
        with apps[1].app_context():
            assert current_project.conversations.find(before.id) is None
            assert Conversation.select().count() == 0
        assert Conversation.get_by_id(before.number).title == "one"


def test_requests_inside_one_application_context_have_a_project_each(root: Path) -> None:
    make_project(root, "aurora", "Outlook")
    make_project(root, "borealis", "Weather")
    app = make_app(root)
    client = app.test_client()

    with app.app_context():
        assert client.get("/aurora/titles").json == ["Outlook"]
        assert client.get("/borealis/titles").json == ["Weather"]
        assert (on_loan(), bound_scope()) == (0, None)


def test_request_inside_a_request_leaves_the_outer_one_its_project(root: Path) -> None:
    make_project(root, "aurora", "Outlook")
    make_project(root, "borealis", "Weather")
    app = make_app(root)

    def work(project: Project) -> Any:
        before = Conversation.select(Conversation.title).scalar() if project.conversations.list() else None
        inside = app.test_client().get("/borealis/titles").json
        return [before, inside, project.name, Conversation.select(Conversation.title).scalar()]

    add_view(app, work)

    assert app.test_client().get("/aurora/work").json == ["Outlook", ["Weather"], "aurora", "Outlook"]
    assert (on_loan(), bound_scope()) == (0, None)


def test_threads_of_a_server_never_meet_in_a_project(root: Path) -> None:
    names = [f"project-{number}" for number in range(6)]
    for name in names:
        make_project(root, name, name)
    app = make_app(root)
    seen: list[tuple[str, Any]] = []

    def ask(offset: int) -> None:
        client = app.test_client()
        for turn in range(12):
            name = names[(turn + offset) % len(names)]
            seen.append((name, client.get(f"/{name}/titles").json))

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 48
    assert [(name, titles) for name, titles in seen if titles != [name]] == []


def test_thread_of_a_view_has_its_own_scope(root: Path) -> None:
    make_project(root, "aurora", "Outlook")
    app, found = make_app(root), []

    def work(project: Project) -> str:
        project.conversations.list()
        ask = flask.copy_current_request_context(lambda: found.append(len(current_project.conversations.list())))
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        return "done"

    add_view(app, work)

    assert (app.test_client().get("/aurora/work").text, found, on_loan()) == ("done", [1], 0)


# --- where there is none ---


def test_outside_a_request_the_error_says_what_to_do() -> None:
    with pytest.raises(ProjectNotBound) as caught:
        str(current_project.name)

    assert str(caught.value) == (
        "there is no current project outside a request: take it along with PeeweeConv.project while there is one"
    )


def test_application_without_the_extension_is_told(root: Path) -> None:
    with flask.Flask("sample").app_context(), pytest.raises(ProjectNotBound, match=r"call its init_app\(\)"):
        str(current_project.name)


def test_application_that_names_no_project_is_told(root: Path) -> None:
    app = flask.Flask("sample")
    PeeweeConv(app)

    with app.app_context(), pytest.raises(ProjectNotBound, match="set PEEWEE_CONV_PROJECT, or say it for each request"):
        str(current_project.name)


def test_name_without_a_root_is_told(root: Path) -> None:
    app = flask.Flask("sample")
    PeeweeConv(app, project=lambda: "aurora")

    with app.test_request_context(), pytest.raises(ProjectNotBound, match="set PEEWEE_CONV_ROOT"):
        str(current_project.name)


def test_context_without_a_request_has_no_project_of_a_request(root: Path) -> None:
    with make_app(root).app_context(), pytest.raises(ProjectNotBound, match=r"use PeeweeConv\.projects"):
        str(current_project.name)


def test_request_of_no_project_is_told_apart(root: Path) -> None:
    with make_app(root).test_request_context("/health"), pytest.raises(NoCurrentProject):
        str(current_project.name)


def test_projects_of_the_application_are_those_below_its_root(root: Path) -> None:
    app, conv = flask.Flask("sample"), PeeweeConv()
    app.config["PEEWEE_CONV_ROOT"] = root
    conv.init_app(app)

    with app.app_context():
        conv.projects.create("aurora")

    assert Projects(root).list() == ["aurora"]
