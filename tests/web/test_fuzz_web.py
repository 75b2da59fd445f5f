"""Random addresses, query strings and names of projects: a page or a sentence, never an error of Python."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest
from flask import Flask, request
from fuzz_values import Target, run, text
from viewer_tools import PLAIN_PAGES, client_of, client_of_app, fill

from peewee_conv import Project, Projects
from peewee_conv.flask_ext import PeeweeConv, current_project

SEED = int(os.environ.get("FUZZ_SEED", "20261122"))
TIMES = int(os.environ.get("FUZZ_TIMES", "150"))  # more on demand: a page takes milliseconds
_NAMES = ("id", "after", "q", "user_id", "at", "max_messages", "max_tokens", "system", "sequence", "format", "role")
_MORE = ("status", "days", "check", "theme", "limit", "_scheme", "_external", "anchor", "project", "page")
_VALUES = ("1", "0", "-1", "jsonl", "markdown", "user", "open", "assistant", "features", "7", "9" * 13, "dark")


def _quoted(chance: Random) -> str:
    # Sometimes bytes that are no UTF-8, which a client may send as well.
    if chance.random() < 0.1:
        return "%ff%fe"
    return quote(text(chance).encode("utf-8", "surrogatepass"))


def viewer(project: Project) -> Target:
    """Return the target of the viewer; no answer may be an error of the server."""
    filled = fill(project)
    client = client_of(project)
    pages = (*PLAIN_PAGES, "conversation", "message", "export", "none")

    def target(chance: Random) -> None:
        name = project.name if chance.random() < 0.8 else _quoted(chance)
        query = []
        for _ in range(chance.randrange(5)):
            value = chance.choice((_quoted(chance), chance.choice(_VALUES), filled.talk, filled.user))
            query.append(f"{chance.choice((*_NAMES, *_MORE, _quoted(chance)))}={value}")
        address = f"/p/{name}/{chance.choice(pages)}?{'&'.join(query)}"
        status = client.get(address).status_code
        assert status in (200, 308, 400, 404, 405), f"{status} for {address}"

    return target


def test_every_address_of_the_viewer_is_answered(project: Project) -> None:
    assert run(viewer(project), SEED, TIMES) == TIMES


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """An application whose projects are named by its addresses."""
    app = Flask("fuzzed")
    app.config["PEEWEE_CONV_ROOT"] = str(tmp_path / "root")
    Projects(tmp_path / "root").create("aurora")
    PeeweeConv(app, project=lambda: (request.view_args or {}).get("name"))

    @app.get("/of/<path:name>")
    def show(name: str) -> dict[str, int]:
        return {"count": len(current_project.conversations.list())}

    return app


def test_every_name_of_a_project_in_an_address_is_answered(app: Flask, tmp_path: Path) -> None:
    client = client_of_app(app)

    def target(chance: Random) -> None:
        name = chance.choice(("aurora", _quoted(chance), "../" + _quoted(chance), quote("../root/aurora", safe="")))
        assert client.get(f"/of/{name}").status_code in (200, 308, 400, 404)

    assert run(target, SEED, TIMES) == TIMES
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
