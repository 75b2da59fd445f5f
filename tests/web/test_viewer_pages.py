"""What each page of the viewer shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from viewer_tools import PLAIN_PAGES, Reader, addresses, client_of, client_of_app, fill, read

from peewee_conv import Project, Projects
from peewee_conv.schemas import assistant
from peewee_conv.viewer import create_app


def page_of(project: Project, page: str) -> Reader:
    """Return a page of the project, which must be there."""
    response = client_of(project).get(f"/p/{project.name}/{page}")
    assert response.status_code == 200
    return read(response)


def test_every_page_is_there_and_well_formed(project: Project) -> None:
    client, filled = client_of(project), fill(project)

    for address in addresses(project.name, filled):
        response = client.get(address)

        assert response.status_code == 200, address
        if response.mimetype == "text/html":
            page = read(response)
            assert (page.wrong, page.open) == ([], []), address
            assert len(page.attributes("id")) == len(set(page.attributes("id"))), address


def test_every_link_leads_somewhere(project: Project) -> None:
    client, filled = client_of(project), fill(project)
    found = {
        link.partition("#")[0]
        for address in addresses(project.name, filled)
        if (response := client.get(address)).mimetype == "text/html"
        for link in read(response).links()
    }

    assert [link for link in found if link and client.get(link).status_code != 200] == []
    assert len(found) > 20


@pytest.mark.parametrize("page", PLAIN_PAGES)
def test_an_empty_project_has_every_page(project: Project, page: str) -> None:
    project.conversations.list()
    project.features.stats()

    assert client_of(project).get(f"/p/{project.name}/{page}").status_code == 200


def test_whatever_takes_the_focus_for_scrolling_has_a_name(project: Project) -> None:
    client, filled = client_of(project), fill(project)
    project.conversations.add_message(filled.talk, "assistant", "Look:\n```sh\nls\n```\n")

    for address in addresses(project.name, filled):
        tags = [attrs for _, attrs in read(client.get(address)).tags if attrs.get("tabindex") == "0"]
        assert [attrs for attrs in tags if not attrs.get("aria-label")] == [], address


def test_pages_have_landmarks_one_heading_and_labels(project: Project) -> None:
    client, filled = client_of(project), fill(project)

    for address in addresses(project.name, filled):
        if (response := client.get(address)).mimetype != "text/html":
            continue
        page = read(response)
        tags = [tag for tag, _ in page.tags]
        assert [tags.count(tag) for tag in ("main", "footer", "h1")] == [1, 1, 1], address
        assert page.links()[0] == "#content", address
        assert tags.count("table") == tags.count("caption"), address
        assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th"), address


# --- projects and conversations ---


def test_projects_are_listed_with_size_and_age(make_project: Callable[..., Project]) -> None:
    full, bare = make_project("full"), make_project("bare")
    full.conversations.create()

    text = read(client_of(full, bare).get("/")).text

    assert "2 projects" in text
    assert text.index("full") < text.index("last written") < text.index("bare") < text.index("nothing stored yet")


def test_a_root_shows_projects_made_later(tmp_path: Path) -> None:
    client = client_of_app(create_app(Projects(tmp_path)))
    before = read(client.get("/")).text

    Projects(tmp_path).create("aurora")

    assert "No projects yet" in before
    assert "aurora" in read(client.get("/")).text


def test_the_next_projects_are_found_when_the_last_ones_are_gone(tmp_path: Path) -> None:
    projects = Projects(tmp_path)
    for name in ("aurora", "borealis"):
        projects.create(name)
    client = client_of_app(create_app(projects))

    assert "borealis" in read(client.get("/?after=aurora-gone")).text
    assert "No more projects" in read(client.get("/?after=cassiopeia")).text


def test_a_project_that_goes_while_the_projects_are_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects = Projects(tmp_path)
    projects.create("aurora")
    monkeypatch.setattr(projects, "list", lambda: ["aurora", "gone"])

    assert "aurora" in read(client_of_app(create_app(projects)).get("/")).text


def test_projects_of_one_name_are_told_apart(make_project: Callable[..., Project]) -> None:
    first, second = make_project("a/aurora"), make_project("b/aurora")
    first.conversations.create(title="of the first")
    second.conversations.create(title="of the second")
    client = client_of(first, second)

    assert "of the first" in read(client.get("/p/aurora/")).text
    assert "of the second" in read(client.get("/p/aurora-2/")).text


def test_the_list_has_title_owner_and_counts(project: Project) -> None:
    fill(project)

    text = page_of(project, "").text

    assert "night train No. 1 night train night train night train messages 6 tokens 35" in text
    assert "just now" in text


def test_the_list_is_filtered(project: Project) -> None:
    filled = fill(project)
    project.conversations.create(title="of nobody", project_name="shop")

    shown = {
        query: "of nobody" in page_of(project, query).text
        for query in ("", "?project_name=shop", f"?user_id={filled.user}", "?q=developer", "?q=nobody")
    }

    assert shown == {
        "": True,
        "?project_name=shop": True,
        f"?user_id={filled.user}": False,
        "?q=developer": False,
        "?q=nobody": False,
    }


def test_a_text_filters_conversations_by_their_messages(project: Project) -> None:
    filled = fill(project)
    other = project.conversations.create(title="Another")
    project.conversations.add_message(other.id, "user", "a night bus")

    page = page_of(project, "?q=night+bus")

    assert [link for link in page.links() if filled.talk in link] == []
    assert any(other.id in link for link in page.links())


def test_a_conversation_that_has_a_text_often_is_listed_once(project: Project) -> None:
    fill(project)

    links = [link for link in page_of(project, "?q=of").links() if "conversation?" in link]

    assert len(links) == 1


def test_the_list_says_when_it_looked_for_no_more_messages(project: Project) -> None:
    often = project.conversations.create(title="Often")
    project.conversations.add_messages(often.id, [{"role": "user", "content": "night train"}] * 199)

    whole = page_of(project, "?q=train").text
    project.conversations.add_message(often.id, "user", "night train")
    cut = page_of(project, "?q=train").text

    assert "there may be more" not in whole
    assert "the best match first; those of the 200 best messages, there may be more" in cut


def test_a_text_that_cannot_be_searched_for_is_a_sentence(project: Project) -> None:
    fill(project)

    for page in ("?q=%3F%3F", "search?q=%3F%3F", "search?q=%22"):
        assert "This cannot be searched for: expected at least one word to look for." in page_of(project, page).text


# --- a conversation ---


def test_a_transcript_has_roles_tokens_and_status(project: Project) -> None:
    filled = fill(project)

    text = page_of(project, f"conversation?id={filled.talk}").text

    assert "system #1 7 tokens" in text
    assert "developer #5 7 tokens" in text
    assert "assistant #6 streaming" in text


def test_the_window_is_marked(project: Project) -> None:
    talk = project.conversations.create().id
    project.conversations.add_messages(
        talk, [{"role": "user", "content": f"m{n}", "token_count": 2} for n in range(30)]
    )

    page = page_of(project, f"conversation?id={talk}&max_messages=20&max_tokens=10")

    seen = [attrs["id"] for tag, attrs in page.tags if tag == "article" and "seen" in (attrs["class"] or "").split()]
    assert seen == [f"m-{sequence}" for sequence in range(26, 31)]
    assert "5 of 30 messages, about 10 tokens" in page.text
    assert page.text.index("#25") < page.text.index("The model sees from here on") < page.text.index("#26")


def test_pinned_messages_are_marked_apart(project: Project) -> None:
    bot = project.assistants.create("Bot", "You are a bot.")
    talk = project.conversations.create(assistant_id=bot.id).id
    said = [{"role": "system", "content": "rules"}, *({"role": "user", "content": "x"} for _ in range(9))]
    project.conversations.add_messages(talk, said)

    text = page_of(project, f"conversation?id={talk}&max_messages=2&system=1&instructions=1").text

    assert "instructions pinned You are a bot." in text
    assert "system #1 pinned" in text
    assert text.index("user #8") < text.index("The model sees from here on") < text.index("user #9")


def test_instructions_keep_their_lines_and_are_cut_as_messages_are(project: Project) -> None:
    bot = project.assistants.create("Mira", "Be brief.\n- No lists.\n" + "x" * 20_000)
    talk = project.conversations.create(assistant_id=bot.id).id

    page = client_of(project).get(f"/p/{project.name}/conversation?id={talk}&instructions=1").get_data(as_text=True)

    assert '<div class="text" dir="auto">Be brief.\n- No lists.\nxxx' in page
    assert "20,000 of 20,022 characters." in page


def test_code_is_set_apart(project: Project) -> None:
    talk = project.conversations.create().id
    project.conversations.add_message(talk, "assistant", "Try:\n\n```python\nx = '<b>'\n```\nDone.")

    body = client_of(project).get(f"/p/{project.name}/conversation?id={talk}").get_data(as_text=True)

    assert 'data-language="python"><code>x = &#39;&lt;b&gt;&#39;</code></pre>' in body


def test_a_long_message_is_cut_and_its_whole_is_a_page(project: Project) -> None:
    talk = project.conversations.create().id
    project.conversations.add_message(talk, "user", "x" * 30_000 + "the end")
    client = client_of(project)

    page = read(client.get(f"/p/{project.name}/conversation?id={talk}"))
    whole = client.get(next(link for link in page.links() if "/message?" in link))

    assert "20,000 of 30,007 characters" in page.text
    assert "the end" not in page.text
    assert whole.get_data(as_text=True).endswith("the end")
    assert whole.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize("id", ["a/b", "..", "a b", "?id=1&x#y", "é%2F", "<script>"])
def test_any_id_has_its_page(project: Project, id: str) -> None:
    project.conversations.create(id=id, title="strange")
    client = client_of(project)

    (link,) = {link for link in read(client.get(f"/p/{project.name}/")).links() if "conversation?" in link}

    assert "strange" in read(client.get(link)).text


def test_an_export_can_be_read_again(project: Project) -> None:
    filled, client = fill(project), client_of(project)

    lines = client.get(f"/p/{project.name}/export?id={filled.talk}")
    markdown = client.get(f"/p/{project.name}/export?id={filled.talk}&format=markdown")

    assert [said["role"] for said in json.loads(lines.data)["messages"]][:2] == ["system", "user"]
    assert lines.headers["Content-Disposition"] == "attachment; filename=conversation-1.jsonl"
    assert "# night train" in markdown.get_data(as_text=True)
    assert markdown.headers["Content-Disposition"] == "attachment; filename=conversation-1.md"


# --- search, usage, work, health ---


def test_found_words_are_marked_and_lead_to_their_message(project: Project) -> None:
    filled, client = fill(project), client_of(project)

    response = client.get(f"/p/{project.name}/search?q=developer")
    page = read(response)

    assert "night train of <mark>developer</mark>" in response.get_data(as_text=True)
    assert [link for link in page.links() if link.endswith("&at=5#m-5") and filled.talk in link]


def test_usage_is_drawn_and_written(project: Project) -> None:
    filled = fill(project)
    project.usage.record(filled.user, 4_500_000, 0, "gpt-5")

    page = page_of(project, f"usage?user_id={filled.user}")

    assert "4,500,150" in page.attributes("title")
    assert "90.0 % near the limit" in page.text
    assert "limit of the user in a day" in page.text
    assert [attrs["class"] for tag, attrs in page.tags if tag == "rect"][:2] == ["input", "output"]
    assert f"{datetime.now(UTC):%Y-%m-%d}" in page.text


def test_a_limit_of_the_viewer_is_the_one_compared_with(project: Project) -> None:
    fill(project)
    client = client_of(project, limit_tokens=150)

    assert "100.0 % spent" in read(client.get(f"/p/{project.name}/usage")).text


def test_what_a_feature_waits_for_is_a_link_only_where_it_is_shown(project: Project) -> None:
    first, _ = project.features.create_many([{"name": "first"}, {"name": "second", "depends_on_indices": [0]}])
    project.features.claim(first.id)
    project.features.mark_passing(first.id)

    board, waiting = page_of(project, "features"), page_of(project, "features?status=open")

    assert "#f-1" in board.links()
    assert "#f-1" not in waiting.links()
    assert "Waits for #1" in waiting.text


def test_features_stand_below_their_state(project: Project) -> None:
    fill(project)

    text = page_of(project, "features").text

    assert "Needs a person 1 #1 night train" in text
    assert "Blocked 1 #2 night train" in text
    assert "Waits for #1 (Needs a person)" in text


def test_schedules_are_drawn_over_midnight(project: Project) -> None:
    fill(project)

    page = page_of(project, "schedules")

    lanes = [attrs for tag, attrs in page.tags if tag == "rect" and "lane" in (attrs["class"] or "")]
    assert {(lane["x"], lane["width"]) for lane in lanes} == {("0.0%", "2.083%"), ("93.75%", "6.25%")}
    assert len(lanes) == 14
    assert "22:30 2 h 00 every day on" in page.text


def test_health_says_how_files_are_kept(project: Project) -> None:
    fill(project)

    text = page_of(project, "health?check=assistant").text

    assert f"Journal mode {project.health().journal_mode}" in text
    assert "Pending migrations none" in text
    assert "Everything was read, and nothing is wrong." in text
    assert text.count("Everything was read") == 1


def test_health_shows_what_a_check_finds(project: Project) -> None:
    filled = fill(project)
    with project:
        connection = project._binding.lease(assistant).conn
        connection.execute("UPDATE conversations SET message_count = 99 WHERE id = ?", (filled.talk,))

    text = page_of(project, "health?check=assistant").text

    assert "1 problem" in text
    assert "99 messages with 35 tokens are counted, 6 with 35 are stored" in text
