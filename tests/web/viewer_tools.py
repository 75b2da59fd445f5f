"""A project with something of everything, and a browser that is not one."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, NamedTuple

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from peewee_conv import Project
from peewee_conv.viewer import create_app

#: Pages of a project that need no argument.
PLAIN_PAGES = ("", "search", "usage", "features", "schedules", "health")
VOID = {"br", "hr", "img", "input", "link", "meta"}


class Filled(NamedTuple):
    """Where to look at what :func:`fill` stored."""

    talk: str
    user: str
    feature: int


def fill(project: Project, text: str = "night train") -> Filled:
    """Store something of everything, with *text* wherever a text may be."""
    profile = {"google_id": f"g-{text}"[:200], "email": f"{text}@example.com", "name": text}
    user = project.accounts.sign_in(profile, referral_key=project.accounts.create_key()).user
    bot = project.assistants.create(text, f"You know {text}.", text)
    talk = project.conversations.create(
        assistant_id=bot.id, user_id=user.id, project_name=text, title=text, metadata={text: [text]}
    )
    for role in ("system", "user", "assistant", "tool", "developer"):
        project.conversations.add_message(talk.id, role, f"{text} of {role}", token_count=7, metadata={"note": text})
    project.conversations.begin_message(talk.id, "assistant", content=text)
    project.usage.record(user.id, 100, 50, text, conversation_id=talk.id, prices={text: (1.0, 2.0)})
    first, second = project.features.create_many(
        [
            {"name": text, "category": text, "description": text, "steps": [text]},
            {"name": text, "depends_on_indices": [0]},
        ]
    )
    project.features.claim(first.id)
    project.features.request_human_input(first.id, text, [{"id": "a", "label": text, "type": "text"}])
    schedule = project.schedules.create("22:30", 120, model=text[:50])
    project.schedules.add_override(schedule.id, "start", expires_at=user.created_at + timedelta(days=90_000))
    project.conversations.search("of")  # the index is complete: looking writes nothing any more
    return Filled(talk.id, user.id, second.id)


class Client(FlaskClient):
    """A client that reads every answer to its end, and so closes what is behind it."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, **{"buffered": True, **kwargs})


def client_of(*projects: Project, **options: Any) -> Client:
    """Return a client of the viewer of these projects."""
    return client_of_app(create_app(projects, **options))


def client_of_app(app: Flask) -> Client:
    """Return a client of an application, in which an unexpected error is raised and not answered."""
    app.testing = True
    return Client(app, app.response_class)


def addresses(name: str, filled: Filled) -> list[str]:
    """Return an address of every kind of page of a project."""
    return [
        "/",
        *(f"/p/{name}/{page}" for page in PLAIN_PAGES),
        f"/p/{name}/?user_id={filled.user}&q=train",
        f"/p/{name}/conversation?id={filled.talk}",
        f"/p/{name}/conversation?id={filled.talk}&at=2&max_messages=2&max_tokens=9&system=1&developer=1&instructions=1",
        f"/p/{name}/message?id={filled.talk}&sequence=1",
        f"/p/{name}/export?id={filled.talk}&format=jsonl",
        f"/p/{name}/export?id={filled.talk}&format=markdown",
        f"/p/{name}/search?q=of&role=user",
        f"/p/{name}/usage?days=7&user_id={filled.user}",
        f"/p/{name}/features?status=open",
        f"/p/{name}/health?check=assistant",
        f"/p/{name}/health?check=features",
    ]


class Reader(HTMLParser):
    """Reads a page as a browser would: its text, its links, and whether its elements are closed in their order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text of the page, each run of white space as one space."""
        return re.sub(r"\s+", " ", " ".join(self.words))

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]

    def links(self, text_of: str | None = None) -> list[str]:
        return [
            attrs.get("href") or "" for tag, attrs in self.tags if tag == "a" and text_of in (None, attrs.get("rel"))
        ]


def read(response: TestResponse) -> Reader:
    return Reader(response.get_data(as_text=True))
