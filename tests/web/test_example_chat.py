"""The chat server of ``examples/flask_chat``: who may do what, what is stored, what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from peewee_conv import Project, Projects
from peewee_conv.records import Message

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "examples"))

import flask_chat
from flask_chat.models import ModelFailed

JSON = {"Accept": "application/json"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Projects(tmp_path / "projects", count_tokens=flask_chat.models.count_tokens).create("aurora")


@pytest.fixture
def app(tmp_path: Path, project: Project) -> flask.Flask:
    return make_app(tmp_path)


def make_app(folder: Path, **config: Any) -> flask.Flask:
    given = {"TESTING": True, "PEEWEE_CONV_ROOT": str(folder / "projects"), "CHAT_DELAY": 0, "CHAT_OPEN": True}
    return flask_chat.create_app({**given, **config})


class Browser:
    """A browser with cookies, which sends the token that it was given last."""

    def __init__(self, app: flask.Flask, project: str = "aurora") -> None:
        self.client: FlaskClient = app.test_client()
        self.base = f"/p/{project}/api"
        self.token = ""

    def get(self, path: str) -> TestResponse:
        return self.client.get(self.base + path, headers=JSON)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {**JSON, "X-CSRF-Token": self.token, **headers}
        return self.client.post(self.base + path, json={} if body is None else body, headers=sent, buffered=True)

    def load(self) -> Browser:
        self.token = self.get("/me").json["csrf_token"]
        return self

    def sign_in(self, email: str = "ada@example.com", **more: str) -> Browser:
        assert self.load().post("/sign-in", {"email": email, **more}).status_code == 204
        return self.load()

    def talk(self) -> str:
        return str(self.post("/talks").json["id"])


@pytest.fixture
def ada(app: flask.Flask) -> Browser:
    return Browser(app).sign_in()


def events(answer: TestResponse) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in answer.text.split("\n\n") if block]
    return [(event.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for event, data in blocks]


# --- signing in ---


def test_user_signs_in_and_out(ada: Browser) -> None:
    assert ada.get("/me").json["user"] == {"name": "ada@example.com", "email": "ada@example.com"}

    assert ada.post("/sign-out").status_code == 204

    assert ada.get("/me").json["user"] is None
    assert ada.get("/talks").status_code == 401


def test_cookies_are_out_of_reach_of_scripts_and_other_projects(app: flask.Flask) -> None:
    browser = Browser(app).load()

    cookie = browser.post("/sign-in", {"email": "ada@example.com"}).headers["Set-Cookie"]

    assert cookie.startswith("chat_session=")
    assert cookie.endswith("; HttpOnly; Path=/p/aurora/; SameSite=Lax")


def test_cookie_is_for_https_alone_where_it_was_set_there(app: flask.Flask) -> None:
    answer = app.test_client().get("/p/aurora/", base_url="https://chat.example")

    assert answer.headers["Set-Cookie"].endswith("; Secure; HttpOnly; Path=/p/aurora/; SameSite=Strict")


def test_new_user_needs_an_invitation_that_holds(tmp_path: Path, project: Project) -> None:
    browser = Browser(make_app(tmp_path, CHAT_OPEN=False)).load()
    key = project.accounts.create_key()

    assert browser.post("/sign-in", {"email": "ada@example.com"}).status_code == 403
    assert browser.post("/sign-in", {"email": "ada@example.com", "invitation": "wrong"}).status_code == 403
    assert browser.post("/sign-in", {"email": "ada@example.com", "invitation": key}).status_code == 204


def test_open_door_makes_invitations_for_new_users_alone(app: flask.Flask, ada: Browser, project: Project) -> None:
    Browser(app).sign_in()
    Browser(app).sign_in("bob@example.com", invitation=project.accounts.create_key())

    assert [key.is_used for key in project.accounts.list_keys()] == [True, True]


def test_invitations_come_from_the_command_line(tmp_path: Path) -> None:
    app = make_app(tmp_path, CHAT_OPEN=False)

    key = app.test_cli_runner().invoke(args=["invite", "borealis"]).output.strip()

    assert Browser(app, "borealis").sign_in(invitation=key).get("/me").json["user"]


def test_a_name_that_no_project_can_have_is_a_sentence_on_the_command_line(tmp_path: Path) -> None:
    done = make_app(tmp_path).test_cli_runner().invoke(args=["invite", "../x"])

    assert done.exit_code == 1
    assert done.output.startswith("Error: invalid project name '../x'")
    assert not (tmp_path / "x").exists()


def test_session_of_one_project_means_nothing_in_another(app: flask.Flask, ada: Browser, tmp_path: Path) -> None:
    Projects(tmp_path / "projects").create("borealis")
    token = ada.client.get_cookie("chat_session", path="/p/aurora/")
    assert token is not None

    other = Browser(app, "borealis")
    other.client.set_cookie("chat_session", token.value, path="/p/borealis/")

    assert other.get("/me").json["user"] is None


# --- forms of other sites ---


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/talks"])
@pytest.mark.parametrize("token", ["", "0" * 64, "\u00e9"])
def test_post_without_the_token_is_refused(ada: Browser, path: str, token: str) -> None:
    ada.token = token

    assert ada.post(path, {"email": "eve@example.com"}).status_code == 403


def test_token_of_another_browser_is_refused(app: flask.Flask, ada: Browser) -> None:
    eve = Browser(app).sign_in("eve@example.com")

    ada.token = eve.token

    assert ada.post("/talks").status_code == 403


def test_form_of_another_site_is_refused(ada: Browser) -> None:
    talk = ada.talk()

    answer = ada.client.post(f"/p/aurora/talks/{talk}/messages", data={"content": "Hello"})

    assert answer.status_code == 403
    assert ada.get(f"/talks/{talk}/messages").json == {"messages": []}


# --- conversations ---


def test_message_is_stored_and_answered(ada: Browser) -> None:
    talk = ada.talk()

    posted = ada.post(f"/talks/{talk}/messages", {"content": "Hello there"})
    answer = ada.post(f"/talks/{talk}/answer")

    assert (posted.status_code, posted.json["sequence"]) == (201, 1)
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("text/event-stream", "no-store")
    told = events(answer)
    assert [name for name, _ in told] == ["start", "text", "text", "text", "text", "done"]
    assert "".join(data["text"] for name, data in told if name == "text") == "You said: Hello there "
    stored = ada.get(f"/talks/{talk}/messages").json["messages"]
    assert [(message["role"], message["status"]) for message in stored] == [
        ("user", "complete"),
        ("assistant", "complete"),
    ]
    assert stored[1] == told[-1][1]


def test_message_that_is_sent_again_is_stored_once(ada: Browser) -> None:
    talk = ada.talk()

    sent = [ada.post(f"/talks/{talk}/messages", {"content": "Hello", "external_id": "m-1"}) for _ in range(2)]

    assert [answer.json["sequence"] for answer in sent] == [1, 1]
    assert len(ada.get(f"/talks/{talk}/messages").json["messages"]) == 1


def test_messages_are_read_on_from_a_sequence(ada: Browser) -> None:
    talk = ada.talk()
    for content in ("one", "two", "three"):
        ada.post(f"/talks/{talk}/messages", {"content": content})

    found = ada.get(f"/talks/{talk}/messages?after=1").json["messages"]

    assert [message["content"] for message in found] == ["two", "three"]


def test_conversations_of_others_are_missing(app: flask.Flask, ada: Browser) -> None:
    talk = ada.talk()
    eve = Browser(app).sign_in("eve@example.com")

    tries = [
        eve.get(f"/talks/{talk}/messages"),
        eve.post(f"/talks/{talk}/messages", {"content": "Hello"}),
        eve.post(f"/talks/{talk}/answer"),
        eve.client.get(f"/p/aurora/talks/{talk}"),
    ]

    assert [answer.status_code for answer in tries] == [404] * 4
    assert eve.get("/talks").json == {"talks": [], "next": None}
    assert eve.client.delete(f"/p/aurora/api/talks/{talk}", headers={"X-CSRF-Token": eve.token}).status_code == 204
    assert [found["id"] for found in ada.get("/talks").json["talks"]] == [talk]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/talks/nowhere/messages", {"content": "Hello"}, 404),
        ("/talks/nowhere/answer", {}, 404),
        ("/talks", ["a list"], 400),
        ("/talks", {"title": "x" * 201}, 400),
        ("/talks", {"title": "x" * 300_000}, 413),
    ],
)
def test_wrong_request_is_refused_in_json(ada: Browser, path: str, body: Any, status: int) -> None:
    answer = ada.post(path, body)

    assert (answer.status_code, set(answer.json)) == (status, {"error", "message"})


@pytest.mark.parametrize("content", [None, 5, "a\ud800"])
def test_content_that_cannot_be_stored_is_refused(ada: Browser, content: Any) -> None:
    assert ada.post(f"/talks/{ada.talk()}/messages", {"content": content}).status_code == 400


@pytest.mark.parametrize("name", ["nowhere", "..", "%2e%2e", "nul"])
def test_unknown_project_is_not_found(app: flask.Flask, name: str) -> None:
    assert app.test_client().get(f"/p/{name}/").status_code == 404
    assert app.test_client().get(f"/p/{name}/api/me").status_code == 404
    assert app.test_client().post(f"/p/{name}/sign-in").status_code in (403, 404)


# --- answers that do not come to their end ---


def break_off(context: Sequence[Message]) -> Iterator[str]:
    yield "Half "
    raise ModelFailed


def test_answer_of_a_model_that_fails_is_kept_as_interrupted(tmp_path: Path, project: Project) -> None:
    ada = Browser(make_app(tmp_path, CHAT_MODEL=break_off)).sign_in()
    talk = ada.talk()

    told = events(ada.post(f"/talks/{talk}/answer"))

    assert [name for name, _ in told] == ["start", "text", "failed"]
    assert (told[-1][1]["content"], told[-1][1]["status"]) == ("Half ", "interrupted")


def test_answer_whose_reader_leaves_is_kept_as_interrupted(ada: Browser) -> None:
    talk = ada.talk()
    ada.post(f"/talks/{talk}/messages", {"content": "one two three"})
    headers = {"X-CSRF-Token": ada.token}

    answer = ada.client.post(f"/p/aurora/api/talks/{talk}/answer", headers=headers, buffered=False)
    read = [next(iter(answer.response)) for _ in range(3)]
    answer.close()

    assert [part.split(b"\n")[0] for part in read] == [b"event: start", b"event: text", b"event: text"]
    kept = ada.get(f"/talks/{talk}/messages").json["messages"][-1]
    assert (kept["content"], kept["status"]) == ("You said: ", "interrupted")


def test_answer_that_nobody_writes_any_more_is_found_by_its_age(tmp_path: Path, project: Project) -> None:
    ada = Browser(make_app(tmp_path, CHAT_STALE_SECONDS=0)).sign_in()
    talk = ada.talk()
    left = project.conversations.begin_message(talk)
    project.conversations.extend_message(talk, left.sequence, "As I was say")

    (kept,) = ada.get(f"/talks/{talk}/messages").json["messages"]

    assert (kept["content"], kept["status"]) == ("As I was say", "interrupted")


def test_conversation_that_is_deleted_under_its_answer_ends_it(tmp_path: Path, project: Project) -> None:
    def delete_it(context: Sequence[Message]) -> Iterator[str]:
        yield "Half "
        project.conversations.delete(talk)

    ada = Browser(make_app(tmp_path, CHAT_MODEL=delete_it)).sign_in()
    talk = ada.talk()

    assert [name for name, _ in events(ada.post(f"/talks/{talk}/answer"))] == ["start", "text", "done"]


# --- the budget ---


def test_spent_budget_refuses_messages_and_answers(tmp_path: Path, project: Project) -> None:
    ada = Browser(make_app(tmp_path, CHAT_LIMIT_TOKENS=5)).sign_in()
    talk = ada.talk()
    ada.post(f"/talks/{talk}/messages", {"content": "one two three"})
    ada.post(f"/talks/{talk}/answer")

    refused = [ada.post(f"/talks/{talk}/messages", {"content": "more"}), ada.post(f"/talks/{talk}/answer")]

    assert [answer.status_code for answer in refused] == [429, 429]
    assert all(int(answer.headers["Retry-After"]) > 86_000 for answer in refused)
    assert ada.get("/usage").json["usage_tokens"] == 8  # three of the context, five of the answer
    assert len(ada.get(f"/talks/{talk}/messages").json["messages"]) == 2


# --- pages ---


def test_pages_work_without_javascript(app: flask.Flask) -> None:
    client = app.test_client()

    def form(path: str, **fields: str) -> TestResponse:
        page = client.get("/p/aurora/").text
        token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
        return client.post("/p/aurora" + path, data={"csrf_token": token, **fields}, follow_redirects=True)

    signed_in = form("/sign-in", email="ada@example.com", name="<b>Ada</b>")
    talk = form("/talks").request.path.removeprefix("/p/aurora")
    answered = form(f"{talk}/messages", content="Hello <script>")

    assert "&lt;b&gt;Ada&lt;/b&gt;" in signed_in.text
    assert "You said: Hello &lt;script&gt;" in answered.text
    assert "Hello &lt;script&gt;</a>" in client.get("/p/aurora/").text
    assert "Sign in to aurora" in form("/sign-out").text
    assert client.get("/p/aurora" + talk, follow_redirects=True).request.path == "/p/aurora/"


def test_page_says_when_an_invitation_does_not_hold(tmp_path: Path, project: Project) -> None:
    client = make_app(tmp_path, CHAT_OPEN=False).test_client()
    token = client.get("/p/aurora/").text.partition('name="csrf_token" value="')[2].partition('"')[0]

    answer = client.post("/p/aurora/sign-in", data={"csrf_token": token, "email": "a@example.com", "invitation": "x"})

    assert answer.status_code == 403
    assert "This invitation does not hold" in answer.text


def test_pages_are_not_kept_by_the_browser(app: flask.Flask) -> None:
    client = app.test_client()

    assert client.get("/p/aurora/").headers["Cache-Control"] == "no-store"
    with client.get("/static/chat.css") as style:
        assert style.headers["Cache-Control"] == "no-cache"


def test_pages_load_nothing_from_elsewhere(app: flask.Flask) -> None:
    for path in ("/", "/p/aurora/", "/health"):
        answer = app.test_client().get(path)
        assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'; ")


@pytest.mark.parametrize("path", ["/metrics", "/conversations/"])
def test_operators_need_their_password(tmp_path: Path, project: Project, path: str) -> None:
    closed, open_ = make_app(tmp_path), make_app(tmp_path, CHAT_OPERATOR_PASSWORD="open sesame")

    tries = [
        closed.test_client().get(path),
        open_.test_client().get(path),
        open_.test_client().get(path, auth=("operator", "wrong")),
        open_.test_client().get(path, auth=("operator", "open sesame")),
    ]

    assert [answer.status_code for answer in tries] == [404, 401, 401, 200]


def test_metrics_are_those_of_the_databases(tmp_path: Path, project: Project) -> None:
    app = make_app(tmp_path, CHAT_OPERATOR_PASSWORD="open sesame")
    Browser(app).sign_in().talk()

    shown = app.test_client().get("/metrics", auth=("operator", "open sesame")).text

    assert 'peewee_conv_operations_total{operation="write",schema="assistant"}' in shown
    assert "peewee_conv_open_databases" in shown
