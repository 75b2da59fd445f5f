"""Whatever is stored is text on a page, and whatever is asked for has an answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from viewer_tools import Client, Filled, addresses, client_of, fill, read

from peewee_conv import Project
from peewee_conv.viewer.rendering import FOLDER, environment

HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(2)>"'`{{ 7*7 }}{% raw %}</textarea><!-- -->&amp;"""
TAGS = {"script", "style", "iframe", "object", "base", "marquee"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Client, Filled]:
    """A filled project called aurora, and its viewer; neither changes."""
    project = Project(tmp_path_factory.mktemp("served") / "aurora", durability="normal")
    filled = fill(project)
    project.dispose()
    return client_of(project), filled


def test_hostile_text_is_only_text_in_every_field(project: Project) -> None:
    client, filled = client_of(project), fill(project, HOSTILE)
    seen = 0

    for address in addresses(project.name, filled):
        response = client.get(address)
        if response.mimetype != "text/html":
            continue
        page = read(response)
        assert not {tag for tag, _ in page.tags} & TAGS, address
        assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"], (
            address
        )
        assert (page.wrong, page.open) == ([], []), address
        assert [attrs["src"] for tag, attrs in page.tags if tag == "img"] == ["/static/icon.svg"], address
        seen += "<script>alert(1)</script>" in page.text
    assert seen >= 8


def test_hostile_text_that_is_found_is_only_text(project: Project) -> None:
    talk = project.conversations.create(title="<b>title</b>").id
    project.conversations.add_message(talk, "user", "find <script>alert(1)</script> \ue000<i>this\ue001 \ue001\ue000")

    response = client_of(project).get(f"/p/{project.name}/search?q=script")

    body = response.get_data(as_text=True)
    assert "&lt;<mark>script</mark>&gt;alert(1)&lt;/<mark>script</mark>&gt;" in body
    assert not {tag for tag, _ in read(response).tags} & {"script", "i", "b"}


@pytest.mark.parametrize(
    "query",
    [
        "NEAR(",
        '"',
        "'",
        "a AND",
        "OR",
        "*",
        "content:x",
        "-",
        "(((",
        "\0",
        "a\0b",
        "%",
        "\ud83d",
        "x" * 1000,
        "^a",
        "{a b}",
    ],
)
def test_a_search_of_anything_has_an_answer(served: tuple[Client, Filled], query: str) -> None:
    for page in ("search", ""):
        response = served[0].get(f"/p/aurora/{page}", query_string={"q": query.encode("utf-8", "replace")})

        assert response.status_code == 200


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("conversation", 400),
        ("conversation?id=" + "x" * 300, 400),
        ("conversation?id=%00", 400),
        ("conversation?id=nobody", 404),
        ("conversation?id={talk}&after=-1", 400),
        ("conversation?id={talk}&after=99999999999999999999", 400),
        ("conversation?id={talk}&at=1e3", 400),
        ("conversation?id={talk}&max_messages=0", 400),
        ("conversation?id={talk}&max_tokens=x", 400),
        ("conversation?id={talk}&at=%D9%A1", 400),
        ("message?id={talk}&sequence=77", 404),
        ("message?id={talk}", 404),
        ("message?id=nobody&sequence=1", 404),
        ("export?id={talk}&format=exe", 400),
        ("export?id=nobody", 404),
        ("?after=nonsense", 400),
        ("?user_id=%00", 400),
        ("?project_name=" + "x" * 300, 400),
        ("search?q=a&role=robot", 400),
        ("search?q=" + "x" * 1001, 200),
        ("usage?days=0", 400),
        ("usage?days=367", 400),
        ("usage?user_id=%00", 400),
        ("usage?model=" + "x" * 300, 400),
        ("features?status=stuck", 400),
        ("features?after=[1]", 400),
        ("features?after=[99999999999999999999,1]", 400),
        ("health?check=everything", 400),
        ("nowhere", 404),
        ("conversation?id={talk}&page=1&project=2&self=3&_scheme=javascript&_external=1&anchor=x", 200),
    ],
)
def test_a_bad_argument_is_a_sentence_with_its_status(served: tuple[Client, Filled], page: str, status: int) -> None:
    client, filled = served

    response = client.get(f"/p/aurora/{page.replace('{talk}', filled.talk)}")

    assert response.status_code == status
    assert response.mimetype == "text/html"
    assert not [link for link in read(response).links() if not re.match(r"[/#]", link)]


@pytest.mark.parametrize("name", ["none", "..", "%2e%2e", "a%00b", "%ff", "x" * 300])
def test_a_project_that_does_not_exist_is_not_found(served: tuple[Client, Filled], name: str) -> None:
    response = served[0].get(f"/p/{name}/")

    assert response.status_code == 404
    assert "there is no such project" in read(response).text


def test_no_template_trusts_what_is_stored() -> None:
    loader = environment().loader
    assert loader is not None
    sources = {name: loader.get_source(environment(), name)[0] for name in loader.list_templates()}

    assert len(sources) >= 10
    for name, source in sources.items():
        assert not re.search(r"\|\s*safe|autoescape|Markup|<script|<style|\sstyle=|\son\w+=", source), name


def test_the_style_sheet_loads_nothing() -> None:
    text = Path(FOLDER, "static", "viewer.css").read_text(encoding="utf-8")

    assert not re.search(r"url\(|@import|http", text)
