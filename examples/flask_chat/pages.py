"""The pages below ``/p/<project>/``. They work without JavaScript; with it, answers appear while they are written."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from peewee_conv.errors import ReferralKeyInvalid
from peewee_conv.flask_ext import current_project

from . import answers, identity
from .answers import Answer

pages = Blueprint("pages", __name__)
pages.before_request(identity.check_csrf)
pages.after_request(identity.remember_visitor)

_SHOWN = 200  # messages of a page


@pages.app_context_processor
def for_templates() -> dict[str, Any]:
    """Let every template ask for the token of its forms."""
    return {"csrf_token": identity.csrf_token}


@pages.get("/")
def talks(project: str) -> Any:
    """Show the user's conversations, or where to sign in."""
    user = identity.user()
    if user is None:
        return render_template("flask_chat/sign_in.html", project=current_project.name, problem=None)
    found = current_project.conversations.for_user(user.id).list(after=request.args.get("after"))
    return render_template("flask_chat/talks.html", project=project, user=user, talks=found)


@pages.post("/sign-in")
def sign_in(project: str) -> Any:
    """Sign in."""
    try:
        entry = identity.sign_in(request.form)
    except ReferralKeyInvalid:
        problem = "This invitation does not hold: ask for a new one."
        return render_template("flask_chat/sign_in.html", project=project, problem=problem), 403
    return identity.remember(_to_talks(project), entry)


@pages.post("/sign-out")
def sign_out(project: str) -> Any:
    """Sign out."""
    return identity.sign_out(_to_talks(project))


@pages.post("/talks")
def create_talk(project: str) -> Any:
    """Make a conversation."""
    talk = current_project.conversations.for_user(identity.required_user().id).create()
    return _to_talk(project, talk.id)


@pages.get("/talks/<talk_id>")
def talk(project: str, talk_id: str) -> Any:
    """Show a conversation."""
    user = identity.user()
    if user is None:
        return _to_talks(project)
    found = current_project.conversations.for_user(user.id).get(talk_id)
    messages = answers.read(current_project, user, talk_id, before=2**32 - 1, limit=_SHOWN)
    status = answers.usage_of(current_project).status(user.id)
    return render_template(
        "flask_chat/talk.html", project=project, user=user, talk=found, messages=messages, status=status
    )


@pages.post("/talks/<talk_id>/messages")
def post_message(project: str, talk_id: str) -> Any:
    """Store a message and its whole answer: for browsers without JavaScript."""
    user = identity.required_user()
    answers.check_budget(current_project, user)
    talks = current_project.conversations.for_user(user.id)
    talks.add_message(talk_id, "user", request.form.get("content", ""))
    for _ in Answer(current_project, user, talk_id).events():
        pass
    return _to_talk(project, talk_id)


def _to_talks(project: str) -> Response:
    return redirect(url_for("pages.talks", project=project), 303)  # type: ignore[return-value]


def _to_talk(project: str, talk_id: str) -> Response:
    return redirect(url_for("pages.talk", project=project, talk_id=talk_id), 303)  # type: ignore[return-value]
