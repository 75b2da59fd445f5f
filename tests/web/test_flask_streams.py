"""Responses that are written while they are sent: they hold no connection, whoever reads them and however slowly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import flask
import pytest
from flask_app import make_app, make_project

from peewee_conv.database.cache import cache
from peewee_conv.database.scope import bound_scope
from peewee_conv.errors import ProjectNotBound
from peewee_conv.flask_ext import PeeweeConv, current_project
from peewee_conv.models import Message


@pytest.fixture
def app(tmp_path: Path) -> flask.Flask:
    root = tmp_path / "projects"
    aurora = make_project(root, "aurora")
    aurora.conversations.create(id="talk")
    return make_app(root)


def on_loan() -> int:
    return cache.connection_count - sum(database.idle_count for database in cache.open_databases())


def test_stream_that_keeps_its_context_stores_what_it_sends_and_holds_nothing(app: flask.Flask) -> None:
    held: list[int] = []

    @app.get("/<project>/stream")
    def stream(project: str) -> flask.Response:
        current_project.conversations.list()

        @flask.stream_with_context
        def parts() -> Iterator[str]:
            for part in ("one ", "two"):
                current_project.conversations.add_message("talk", "assistant", part)
                held.append(on_loan())
                yield part

        return flask.Response(parts())

    assert app.test_client().get("/aurora/stream").text == "one two"
    assert (held, on_loan(), bound_scope()) == ([0, 0], 0, None)


def test_stream_that_is_the_first_to_ask_for_the_project_holds_nothing_either(app: flask.Flask) -> None:
    held: list[int] = []

    @app.get("/<project>/stream")
    def stream(project: str) -> flask.Response:
        @flask.stream_with_context
        def parts() -> Iterator[str]:
            yield str(len(current_project.conversations.list()))
            held.append(on_loan())

        return flask.Response(parts())

    assert app.test_client().get("/aurora/stream").text == "1"
    assert (held, on_loan(), bound_scope()) == ([0], 0, None)


def test_context_that_is_kept_after_the_answer_holds_nothing(app: flask.Flask) -> None:
    with app.test_client() as client:
        client.get("/aurora/models")

        assert (on_loan(), bound_scope()) == (0, None)
        assert len(current_project.conversations.list()) == 1


def test_generator_that_outlives_its_request_takes_the_project_along(app: flask.Flask) -> None:
    conv = PeeweeConv()

    @app.get("/<project>/stream")
    def stream(project: str) -> flask.Response:
        ours = conv.project

        def parts() -> Iterator[str]:
            assert not flask.has_request_context()
            yield ours.conversations.add_message("talk", "assistant", "one").content

        return flask.Response(parts())

    assert app.test_client().get("/aurora/stream").text == "one"
    assert on_loan() == 0


def test_generator_that_outlives_its_request_has_no_current_project(app: flask.Flask) -> None:
    @app.get("/<project>/stream")
    def stream(project: str) -> flask.Response:
        def parts() -> Iterator[str]:
            yield str(current_project.name)

        return flask.Response(parts())

    with pytest.raises(ProjectNotBound, match=r"take it along with PeeweeConv\.project"):
        app.test_client().get("/aurora/stream", buffered=True)


def test_models_in_a_stream_want_a_scope_of_their_own(app: flask.Flask) -> None:
    @app.get("/<project>/stream")
    def stream(project: str) -> flask.Response:
        current_project.conversations.add_message("talk", "user", "Hello")

        @flask.stream_with_context
        def parts() -> Iterator[str]:
            with current_project:
                count = Message.select().count()
            yield str(count)
            Message.select().count()

        return flask.Response(parts())

    with pytest.raises(ProjectNotBound):
        app.test_client().get("/aurora/stream", buffered=True)
    assert (on_loan(), bound_scope()) == (0, None)


def test_reader_who_leaves_in_the_middle_leaves_nothing_behind(app: flask.Flask) -> None:
    ended: list[str] = []

    @app.get("/<project>/stream")
    def stream(project: str) -> flask.Response:
        @flask.stream_with_context
        def parts() -> Iterator[str]:
            try:
                while True:
                    yield current_project.conversations.add_message("talk", "assistant", "more").content
            finally:
                ended.append(current_project.name)

        return flask.Response(parts())

    response = app.test_client().get("/aurora/stream", buffered=False)
    assert next(iter(response.response)) == b"more"
    response.close()

    assert (ended, on_loan(), bound_scope()) == (["aurora"], 0, None)


def test_scope_around_a_yield_ends_with_the_stream(app: flask.Flask) -> None:
    @app.get("/<project>/stream")
    def stream(project: str) -> flask.Response:
        @flask.stream_with_context
        def parts() -> Iterator[str]:
            with current_project:
                yield str(Message.select().count())
                yield str(Message.select().count())

        return flask.Response(parts())

    response = app.test_client().get("/aurora/stream", buffered=False)
    next(iter(response.response))
    response.close()

    assert (on_loan(), bound_scope()) == (0, None)
