"""Every error of ours becomes a status and one sentence, and none tells more than the client may know."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import flask
import pytest
from flask_app import add_view, make_app, make_project

from peewee_conv import Project, errors, set_connection_limit
from peewee_conv.errors import PeeweeConvError
from peewee_conv.flask_ext import PeeweeConv, current_project

SECRET = "/srv/projects/aurora/.peewee_conv/assistant.db"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_project(tmp_path / "projects", "aurora").dispose()
    return tmp_path / "projects"


def failing(root: Path, error: PeeweeConvError, **config: object) -> flask.Flask:
    app = make_app(root, **config)

    def fail(project: Project) -> NoReturn:
        raise error

    add_view(app, fail)
    return app


@pytest.mark.parametrize(
    "name",
    ["borealis", "..", "..%2fborealis", "%2fetc", "C:%5c", "nul", "COM1.txt", "a%00b", ".hidden", "aurora.", "x" * 65],
)
def test_wrong_project_name_is_not_found(root: Path, name: str) -> None:
    answer = make_app(root).test_client().get(f"/{name}/titles")

    assert answer.status_code == 404
    assert sorted(path.name for path in root.parent.iterdir()) == ["projects"]
    assert [path.name for path in root.iterdir()] == ["aurora"]


@pytest.mark.parametrize("name", ["../projects/aurora", "/etc", "aurora\0", "nul", "", "con.txt"])
def test_name_from_anywhere_never_leaves_the_root(root: Path, name: str) -> None:
    app = flask.Flask("sample")
    app.config["PEEWEE_CONV_ROOT"] = root
    PeeweeConv(app, project=lambda: flask.request.args["name"])
    app.add_url_rule("/", "index", lambda: str(current_project.path))

    answer = app.test_client().get("/", query_string={"name": name})

    assert (answer.status_code, answer.text) == (404, "there is no such project\n")


def test_request_of_no_project_is_not_found(root: Path) -> None:
    answer = make_app(root).test_client().get("/talks/t-17")

    assert (answer.status_code, answer.text) == (404, "there is no such project\n")


def test_missing_conversation_is_not_found(root: Path) -> None:
    app = make_app(root)
    add_view(app, lambda project: project.conversations.get("c-17").to_dict())

    answer = app.test_client().get("/aurora/work")

    assert (answer.status_code, answer.text) == (404, "conversation 'c-17' does not exist\n")


def test_argument_that_is_not_allowed_is_a_bad_request(root: Path) -> None:
    app = make_app(root)
    add_view(app, lambda project: project.conversations.list(limit=0))

    answer = app.test_client().get("/aurora/work")

    assert (answer.status_code, answer.text) == (400, "invalid limit 0: expected a whole number from 1 to 1000\n")


def test_locked_database_is_busy_and_says_when_to_come_back(root: Path) -> None:
    app = make_app(root, PEEWEE_CONV_BUSY_TIMEOUT_MS=0)
    add_view(app, lambda project: project.conversations.create().id)
    app.test_client().get("/aurora/work")
    file = root / "aurora" / ".peewee_conv" / "assistant.db"

    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = app.test_client().get("/aurora/work")
        other.execute("ROLLBACK")

    assert (answer.status_code, answer.text) == (503, "the project is busy, try again in a moment\n")
    assert answer.headers["Retry-After"] == "1"
    assert app.test_client().get("/aurora/work").status_code == 200


def test_server_with_all_connections_in_use_is_busy(root: Path) -> None:
    client = make_app(root, PEEWEE_CONV_BUSY_TIMEOUT_MS=50).test_client()
    set_connection_limit(1)

    with make_project(root, "borealis") as other:
        other.conversations.list()
        answer = client.get("/aurora/titles")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert client.get("/aurora/titles").status_code == 200


def test_spent_budget_says_when_to_come_back(root: Path) -> None:
    answer = failing(root, errors.RateLimited(100, 99, 61.2)).test_client().get("/aurora/work")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "62")
    assert answer.text == "token limit reached: 99 of 100 used, retry in 61 s\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidProjectName("../x", "a reason"), 404),
        (errors.InvalidRole("robot", ["user"]), 400),
        (errors.InvalidContent("too long", "less"), 400),
        (errors.ImportRejected(SECRET, 3, "no JSON"), 400),
        (errors.ReferralKeyInvalid(), 403),
        (errors.ReferralKeyRequired(), 403),
        (errors.AlreadyExists("conversation", "c-17"), 409),
        (errors.FeatureStateConflict(7, "it passes"), 409),
        (errors.MessageStateConflict(7, "it is complete"), 409),
        (errors.DependencyCycle([1, 2, 1]), 409),
        (errors.LimitReached("datasets of a conversation", 5, "remove one"), 409),
        (errors.LimitReached("open connections", 64, "raise the limit"), 503),
        pytest.param(errors.LimitReached("seconds of search", 5, "look for rarer words"), 503, id="search-503"),
        (errors.DatabaseBusy(SECRET, "database is locked"), 503),
        (errors.DatabaseGone(SECRET, "was moved"), 503),
        (errors.DatabaseFull(SECRET, "database or disk is full"), 507),
        (errors.FileAlreadyExists(SECRET), 500),
        (errors.ProjectInUse(SECRET, "another durability"), 500),
        (errors.DatabaseCorrupt(SECRET, "file is not a database"), 500),
        (errors.SchemaTooNew(SECRET, 9, 1), 500),
        (errors.ProjectNotBound(), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
@pytest.mark.parametrize("accept", ["application/json", "text/html,*/*;q=0.8"])
def test_answer_has_the_status_and_no_path_of_the_server(
    root: Path, error: PeeweeConvError, status: int, accept: str
) -> None:
    app = failing(root, error, PROPAGATE_EXCEPTIONS=False)

    answer = app.test_client().get("/aurora/work", headers={"Accept": accept})

    assert answer.status_code == status
    assert "/srv" not in answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert answer.is_json == (accept == "application/json")


def test_json_names_the_error(root: Path) -> None:
    client = failing(root, errors.ConversationNotFound("c-17")).test_client()

    answer = client.get("/aurora/work", headers={"Accept": "application/json"})

    assert answer.json == {"error": "ConversationNotFound", "message": "conversation 'c-17' does not exist"}
    assert answer.headers["Vary"] == "Accept"


def test_client_that_sends_json_gets_json_where_anything_will_do(root: Path) -> None:
    client = failing(root, errors.ConversationNotFound("c-17")).test_client()

    for headers in ({"Accept": "*/*"}, {}):
        assert client.get("/aurora/work", json={}, headers=headers).is_json
        assert not client.get("/aurora/work", headers=headers).is_json


def test_fault_of_the_server_is_logged_and_signalled(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = failing(root, errors.DatabaseCorrupt(SECRET, "file is not a database"), PROPAGATE_EXCEPTIONS=False)
    heard: list[BaseException] = []

    def hear(sender: flask.Flask, exception: BaseException) -> None:
        heard.append(exception)

    with flask.got_request_exception.connected_to(hear, app):
        client = app.test_client()
        client.get("/aurora/work", headers={"Accept": "application/json"})
        client.get("/aurora/work", headers={"Accept": "text/html"})

    assert [type(error).__name__ for error in heard] == ["DatabaseCorrupt"] * 2
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [errors.DatabaseCorrupt] * 2


def test_fault_of_the_server_comes_through_to_a_test(root: Path) -> None:
    client = failing(root, errors.DatabaseCorrupt(SECRET, "file is not a database")).test_client()

    with pytest.raises(errors.DatabaseCorrupt):
        client.get("/aurora/work")


def test_handlers_of_the_application_come_first(root: Path) -> None:
    app = failing(root, errors.ConversationNotFound("c-17"))
    app.register_error_handler(errors.NotFound, lambda error: (f"nothing at {error.id}", 410))

    answer = app.test_client().get("/aurora/work")

    assert (answer.status_code, answer.text) == (410, "nothing at c-17")


def test_page_of_the_application_for_faults_is_shown(root: Path) -> None:
    app = failing(root, errors.ProjectNotBound(), PROPAGATE_EXCEPTIONS=False)
    app.register_error_handler(500, lambda error: ("our own page", 500))

    assert app.test_client().get("/aurora/work").text == "our own page"


def test_handler_can_be_left_out(root: Path) -> None:
    client = failing(root, errors.ConversationNotFound("c-17"), PEEWEE_CONV_HANDLE_ERRORS=False).test_client()

    with pytest.raises(errors.ConversationNotFound):
        client.get("/aurora/work")
