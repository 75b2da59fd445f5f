"""The JSON interface below ``/p/<project>/api``, with server-sent events for answers."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from peewee_conv.errors import InvalidArgument
from peewee_conv.flask_ext import current_project

from . import answers, identity
from .answers import Answer, Event

api = Blueprint("api", __name__)
api.before_request(identity.check_csrf)
api.after_request(identity.remember_visitor)


@api.errorhandler(HTTPException)
def in_json(error: HTTPException) -> Any:
    """Answer in JSON where Flask itself refuses a request."""
    if error.response is not None:
        return error.response
    return {"error": error.name, "message": error.description}, error.code or 500


@api.get("/me")
def me(project: str) -> Any:
    """Return who is signed in, and the token that requests of this browser must have."""
    user = identity.user()
    return {"user": user and {"name": user.name, "email": user.email}, "csrf_token": identity.csrf_token()}


@api.post("/sign-in")
def sign_in(project: str) -> Any:
    """Sign in; the token of before is of no use afterwards."""
    entry = identity.sign_in(_body())
    return identity.remember(Response(status=204), entry)


@api.post("/sign-out")
def sign_out(project: str) -> Any:
    """Sign out."""
    return identity.sign_out(Response(status=204))


@api.get("/usage")
def usage(project: str) -> Any:
    """Return where the user's budget stands."""
    return answers.usage_of(current_project).status(identity.required_user().id).to_dict()


@api.get("/talks")
def talks(project: str) -> Any:
    """Return a page of the user's conversations."""
    user = identity.required_user()
    page = current_project.conversations.for_user(user.id).list(after=request.args.get("after"))
    return {"talks": [talk.to_dict() for talk in page], "next": page.next}


@api.post("/talks")
def create_talk(project: str) -> Any:
    """Make a conversation."""
    user = identity.required_user()
    talk = current_project.conversations.for_user(user.id).create(title=_body().get("title"))
    return talk.to_dict(), 201


@api.delete("/talks/<talk_id>")
def delete_talk(project: str, talk_id: str) -> Any:
    """Delete a conversation; one that is gone already is fine too."""
    current_project.conversations.for_user(identity.required_user().id).delete(talk_id)
    return Response(status=204)


@api.get("/talks/<talk_id>/messages")
def messages(project: str, talk_id: str) -> Any:
    """Return messages, from the first or from the one after ``?after=``."""
    after = request.args.get("after", 0, type=int)
    found = answers.read(current_project, identity.required_user(), talk_id, after=after)
    return {"messages": [answers.shown(message) for message in found]}


@api.post("/talks/<talk_id>/messages")
def post_message(project: str, talk_id: str) -> Any:
    """Store a message. Sent again with the same ``external_id``, it is stored once."""
    user, body = identity.required_user(), _body()
    answers.check_budget(current_project, user)
    talks = current_project.conversations.for_user(user.id)
    content: Any = body.get("content")  # what is no text is refused with the rest that cannot be stored
    message = talks.add_message(talk_id, "user", content, external_id=body.get("external_id"))
    return answers.shown(message), 201


@api.post("/talks/<talk_id>/answer")
def answer(project: str, talk_id: str) -> Response:
    """Send the model's answer as it is written."""
    user = identity.required_user()
    events = Answer(current_project, user, talk_id).events()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(_server_sent(events), mimetype="text/event-stream", headers=headers)


def _server_sent(events: Generator[Event]) -> Iterator[str]:
    with closing(events):  # a reader who leaves ends the answer now
        for name, data in events:
            yield f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _body() -> dict[str, Any]:
    body = request.get_json()
    if not isinstance(body, dict):
        raise InvalidArgument("body", type(body).__name__, "a JSON object")
    return body
