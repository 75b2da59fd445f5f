"""Pages follow each other without a gap, and each costs what it shows, however much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import pytest
from viewer_tools import Client, Reader, client_of, client_of_app, read

from peewee_conv import Project, Projects
from peewee_conv.schemas import assistant
from peewee_conv.viewer import create_app

SHORT, LONG = 300, 30_000


def follow(client: Client, address: str, rel: str) -> Iterator[Reader]:
    """Yield a page, and all that follow by links of that relation."""
    page = read(client.get(address))
    yield page
    while links := page.links(rel):
        page = read(client.get(links[0].partition("#")[0]))
        yield page


def shown(page: Reader) -> list[int]:
    """Return the sequences of the messages of a page."""
    ids = [attrs["id"] or "" for tag, attrs in page.tags if tag == "article"]
    return [int(id.removeprefix("m-")) for id in ids]


def talk_of(project: Project, length: int) -> str:
    talk = project.conversations.create().id
    project.conversations.add_messages(talk, ({"role": "user", "content": f"m{n}"} for n in range(length)))
    return talk


def test_a_transcript_is_complete_both_ways(project: Project) -> None:
    client, talk = client_of(project), talk_of(project, 170)
    address = f"/p/{project.name}/conversation?id={talk}"

    forward = [shown(page) for page in follow(client, address + "&after=0", "next")]
    backward = [shown(page) for page in follow(client, address, "prev")]

    assert list(chain(*forward)) == list(chain(*reversed(backward))) == list(range(1, 171))
    assert len(forward) == len(backward) == 4


def test_a_pruned_transcript_begins_where_it_does(project: Project) -> None:
    client, talk = client_of(project), talk_of(project, 120)
    project.conversations.prune(talk, 60)

    pages = list(follow(client, f"/p/{project.name}/conversation?id={talk}", "prev"))

    assert list(chain(*(shown(page) for page in reversed(pages)))) == list(range(61, 121))
    assert "61\u201370 of 120" in pages[-1].text


def test_a_message_that_is_gone_shows_what_follows(project: Project) -> None:
    client, talk = client_of(project), talk_of(project, 10)
    project.conversations.clear(talk)

    assert "No messages" in read(client.get(f"/p/{project.name}/conversation?id={talk}&at=3")).text


def test_a_list_is_complete(project: Project) -> None:
    ids = {project.conversations.create(id=f"talk-{n:03}").id for n in range(95)}

    pages = list(follow(client_of(project), f"/p/{project.name}/", "next"))

    assert {id for page in pages for link in page.links() for id in ids if f"id={id}" in link} == ids
    assert len(pages) == 3


def test_features_of_a_status_are_complete(project: Project) -> None:
    project.features.create_many([{"name": f"f{n}"} for n in range(130)])

    pages = list(follow(client_of(project), f"/p/{project.name}/features?status=open", "next"))

    found = [attrs["id"] for page in pages for tag, attrs in page.tags if tag == "article"]
    assert found == [f"f-{id}" for id in range(1, 131)]
    assert len(pages) == 3


def test_many_projects_are_paged(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("root")
    names = [f"p{n:03}" for n in range(205)]
    for name in names:
        (root / name).mkdir()

    pages = list(follow(client_of_app(create_app(Projects(root))), "/", "next"))

    assert [attrs for page in pages for tag, attrs in page.tags if tag == "h2"] == [{}] * 205
    assert len(pages) == 3


# --- cost ---


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Project, dict[int, str]]]:
    """Return a factory: each test begins with its project closed, and the long conversation is filled once."""
    folder = tmp_path_factory.mktemp("long")
    ids: dict[int, str] = {}

    def open_project() -> tuple[Project, dict[int, str]]:
        project = Project(folder, durability="normal")
        if not ids:
            ids.update({length: talk_of(project, length) for length in (SHORT, LONG)})
        return project, ids

    return open_project


def cost(project: Project, address: str) -> tuple[int, int]:
    """Return the statements and the steps of SQLite's machine that a page takes."""
    client = client_of(project)
    client.get(address)  # once before: statements are compiled, pages are read
    statements: list[str] = []
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    with project:
        connection = project._binding.lease(assistant).conn
        connection.set_trace_callback(statements.append)
        connection.set_progress_handler(step, 1)
        assert client.get(address).status_code == 200
        connection.set_trace_callback(None)
        connection.set_progress_handler(None, 0)
    return len(statements), steps[0]


@pytest.mark.parametrize("where", ["", "&after=0", "&at=150", "&before=200", "&max_tokens=50&system=1"])
def test_a_page_of_a_long_conversation_costs_no_more_than_one_of_a_short(
    filled: Callable[[], tuple[Project, dict[int, str]]], where: str
) -> None:
    project, ids = filled()

    short, long = (cost(project, f"/p/{project.name}/conversation?id={ids[n]}{where}") for n in (SHORT, LONG))

    assert long[0] == short[0] <= 6
    assert abs(long[1] - short[1]) <= 20
    assert long[1] < 4_000


def test_a_page_of_conversations_looks_each_owner_up_once(project: Project) -> None:
    key = project.accounts.create_key()
    user = project.accounts.sign_in({"google_id": "g", "email": "a@x.org", "name": "Ada"}, referral_key=key).user
    bot = project.assistants.create("Bot", "You are a bot.")
    for _ in range(40):
        project.conversations.create(user_id=user.id, assistant_id=bot.id)

    assert cost(project, f"/p/{project.name}/")[0] <= 6
