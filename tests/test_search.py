"""Search finds exactly what is there, at any moment, and takes every text for a query."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peewee_conv import Project, message_queries, search_index
from peewee_conv.database.handle import Handle
from peewee_conv.errors import InvalidArgument, LimitReached
from peewee_conv.models import User, assistant

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def talk(project: Project) -> str:
    return project.conversations.create().id


def say(project: Project, talk: str, *contents: str, role: str = "user") -> None:
    project.conversations.add_messages(talk, [{"role": role, "content": content} for content in contents])


def found(project: Project, query: str, **filters: Any) -> list[str]:
    return sorted(hit.message.content for hit in project.conversations.search(query, **filters))


def is_in_step(project: Project) -> bool:
    return Handle(project._binding, assistant).write(search_index.is_in_step)


# --- what a query says ---


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("market", ["the market opens", "the market outlook"]),
        ("market outlook", ["the market outlook"]),
        ("outlook market", ["the market outlook"]),
        ('"market outlook"', ["the market outlook"]),
        ('"outlook market"', []),
        ("opens OR outlook", ["the market opens", "the market outlook"]),
        ("market -outlook", ["the market opens"]),
        ("out*", ["the market outlook"]),
        ("out", []),
        ("MARKET Öpens", ["the market opens"]),
        ("Zurich", ["Zürich ist schön"]),
        ("schon", ["Zürich ist schön"]),
        ("content:market", []),
        ("near(market outlook)", []),
        ("市場", ["市場 見通し"]),
    ],
)
def test_a_query_is_what_people_type(project: Project, talk: str, query: str, expected: list[str]) -> None:
    say(project, talk, "the market opens", "the market outlook", "Zürich ist schön", "市場 見通し")

    assert found(project, query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        "\0",
        '""',
        "-",
        "-market",
        "()",
        "*",
        "!?",
        "😀",
        "\ud800",
        "OR",
        "AND NOT",
        None,
        5,
        b"market",
        ["market"],
    ],
    ids=ascii,
)
def test_a_query_without_a_word_is_refused(project: Project, talk: str, query: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid query "):
        project.conversations.search(query)


def test_a_query_of_a_thousand_characters_is_taken_and_one_more_refused(project: Project, talk: str) -> None:
    assert found(project, "x" * 1000) == []
    with pytest.raises(InvalidArgument, match="at most 1000 characters"):
        project.conversations.search("x" * 1001)


PIECES = ("market", "AND", "OR", "NOT", "NEAR", "NEAR(", "content", "rank", "--", "/*", *"\"'()*-+^:{},\0;\\%_é🎈0.")
hostile = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(), max_size=40),  # lone surrogates too
    st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=25).map("".join),
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=hostile)
def test_a_hostile_query_is_answered_or_refused(make_project: Callable[..., Project], query: str) -> None:
    service = make_project(durability="normal").conversations
    if service.find("c-1") is None:
        service.create(id="c-1")
        service.add_message("c-1", "user", "the market's outlook")

    with contextlib.suppress(InvalidArgument):
        assert [hit.message.sequence for hit in service.search(query)] in ([], [1])


@pytest.mark.parametrize(
    "query", ["(" * 499 + "market" + ")" * 495, "market OR " * 99 + "market", "-market " * 120 + "outlook", "a* " * 333]
)
def test_a_query_made_to_exhaust_is_answered(project: Project, talk: str, query: str) -> None:
    say(project, talk, "the market opens", "the outlook")

    project.conversations.search(query)


def test_a_search_that_takes_too_long_is_given_up(project: Project, talk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    say(project, talk, *[f"market number {n}" for n in range(20_000)])
    project.conversations.search("market")
    monkeypatch.setattr(message_queries, "_SEARCH_SECONDS", -1.0)

    with pytest.raises(LimitReached, match="look for rarer words"):
        project.conversations.search("market number", limit=1000)
    monkeypatch.undo()

    assert len(project.conversations.search("market", limit=1000)) == 1000


# --- what is answered ---


def test_a_hit_has_the_message_its_title_and_a_marked_snippet(project: Project) -> None:
    talk = project.conversations.create(title="Stocks")
    stored = project.conversations.add_message(
        talk.id, "user", "What of the märket?", token_count=4, metadata={"k": 1}, external_id="e-1"
    )

    (hit,) = project.conversations.search("market")

    assert hit.message == stored
    assert (hit.title, hit.snippet) == ("Stocks", "What of the [märket]?")
    assert hit.score > 0


def test_marks_are_the_callers(project: Project, talk: str) -> None:
    say(project, talk, "the market opens")

    (hit,) = project.conversations.search("market", marks=("<b>", "</b>"))

    assert hit.snippet == "the <b>market</b> opens"


@pytest.mark.parametrize(
    "marks", [None, (), ("[",), ("[", "]", "!"), "[]", (1, 2), ("\ud800", ""), ("\0", "")], ids=ascii
)
def test_marks_are_two_texts(project: Project, talk: str, marks: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid marks "):
        project.conversations.search("market", marks=marks)


def test_a_long_message_is_shown_where_the_word_is(project: Project, talk: str) -> None:
    say(project, talk, "before " * 200 + "needle" + " after" * 200)

    (hit,) = project.conversations.search("needle")

    assert "[needle]" in hit.snippet
    assert hit.snippet.startswith("...")
    assert len(hit.snippet) < 200


def test_the_best_match_comes_first(project: Project, talk: str) -> None:
    say(project, talk, "market " + "and many other words " * 20, "market market market", "nothing")

    hits = project.conversations.search("market")

    assert [hit.message.sequence for hit in hits] == [2, 1]
    assert hits[0].score > hits[1].score


def test_equal_matches_keep_their_order(project: Project, talk: str) -> None:
    say(project, talk, *["the market"] * 30)

    hits = project.conversations.search("market", limit=7)

    assert [hit.message.sequence for hit in hits] == list(range(1, 8))


@pytest.mark.parametrize("limit", [0, 1001, True, None, "5"], ids=repr)
def test_a_search_refuses_a_limit(project: Project, limit: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid limit"):
        project.conversations.search("market", limit=limit)


def test_content_with_nul_and_other_oddities_is_found(project: Project, talk: str) -> None:
    odd = ["\ufeffmarket one", "before\0market two", "market\u202ethree", "a" * 1_000_000 + " market", ""]
    say(project, talk, *odd)

    assert found(project, "market") == sorted(odd[:4])
    assert is_in_step(project)


# --- filters ---


@pytest.fixture
def many(project: Project) -> Project:
    bot = project.assistants.create("Aurora", "You analyse markets.", id="bot")
    with project:
        User.create(id="ada", google_id="g", email="a@b.c", name="A", created_at=START, last_login_at=START)
    service = project.conversations
    service.create(id="red", project_name="re d", assistant_id=bot.id)
    service.create(id="blue", project_name="", user_id="ada")
    for place, (id, role) in enumerate([("red", "user"), ("red", "tool"), ("blue", "user"), ("blue", "system")]):
        service.add_message(id, role, f"market {place}", created_at=START + place * HOUR)
    return project


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "0123"),
        ({"conversation_id": "red"}, "01"),
        ({"conversation_id": "nowhere"}, ""),
        ({"assistant_id": "bot"}, "01"),
        ({"user_id": "ada"}, "23"),
        ({"project_name": "re d"}, "01"),
        ({"project_name": ""}, "23"),
        ({"role": "user"}, "02"),
        ({"since": START + HOUR}, "123"),
        ({"until": START + HOUR}, "0"),
        ({"since": START + HOUR, "until": START + 2 * HOUR}, "1"),
        ({"role": "user", "conversation_id": "blue", "user_id": "ada"}, "2"),
        ({"user_id": "ada", "assistant_id": "bot"}, ""),
    ],
    ids=repr,
)
def test_filters(many: Project, filters: Any, expected: str) -> None:
    assert found(many, "market", **filters) == [f"market {place}" for place in expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("conversation_id", ""),
        ("assistant_id", 5),
        ("user_id", ""),
        ("project_name", 5),
        ("role", "robot"),
        ("since", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("until", "2026-01-01"),
    ],
)
def test_filters_are_checked(many: Project, name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid {name} "):
        many.conversations.search("market", **{name: value})


# --- in step ---


def test_what_was_appended_a_moment_ago_is_found(project: Project, talk: str) -> None:
    for place in range(5):
        say(project, talk, f"market {place}")

        assert len(project.conversations.search("market")) == place + 1


def test_more_than_one_chunk_is_indexed_by_one_search(project: Project, talk: str) -> None:
    other = project.conversations.create().id
    say(project, talk, *["market"] * 1500)
    say(project, other, *["market"] * 1000)

    assert len(project.conversations.search("market", limit=1000, conversation_id=other)) == 1000
    assert is_in_step(project)


def test_pruned_messages_are_not_found_indexed_or_not(project: Project, talk: str) -> None:
    say(project, talk, "market 1", "market 2", "market 3")
    project.conversations.search("market")
    say(project, talk, "market 4", "market 5")

    project.conversations.prune(talk, 1)

    assert found(project, "market") == ["market 5"]
    assert is_in_step(project)


def test_messages_that_were_never_indexed_leave_nothing_behind(project: Project, talk: str) -> None:
    say(project, talk, "market 1", "market 2")
    project.conversations.clear(talk)
    say(project, talk, "market 3")

    assert found(project, "market") == ["market 3"]
    assert is_in_step(project)


@pytest.mark.parametrize("is_indexed", [True, False])
def test_an_assistant_takes_its_conversations_out_of_the_index(project: Project, is_indexed: bool) -> None:
    bot = project.assistants.create("Aurora", "You analyse markets.")
    for _ in range(3):
        say(project, project.conversations.create(assistant_id=bot.id).id, "market")
    say(project, project.conversations.create().id, "market of others")
    if is_indexed:
        assert len(project.conversations.search("market")) == 4

    project.assistants.delete(bot.id)

    assert found(project, "market") == ["market of others"]
    assert is_in_step(project)


def test_what_is_rolled_back_is_not_found(project: Project, talk: str) -> None:
    say(project, talk, "market 1")

    with project.atomic() as transaction:
        say(project, talk, "market 2")
        assert found(project, "market") == ["market 1", "market 2"]
        transaction.rollback()

    assert found(project, "market") == ["market 1"]
    assert is_in_step(project)


def test_a_search_of_a_busy_project_ends(project: Project, talk: str) -> None:
    done = threading.Event()

    def append() -> None:
        while not done.is_set():
            project.conversations.add_message(talk, "user", "market")

    writers = [threading.Thread(target=append) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        counts = [len(project.conversations.search("market", limit=1000)) for _ in range(20)]
    finally:
        done.set()
        for writer in writers:
            writer.join()

    assert counts == sorted(counts)
    assert is_in_step(project)


# --- without a place to write to ---


@pytest.fixture
def busy(make_project: Callable[..., Project]) -> Project:
    """A project with two indexed messages and two that are not."""
    project = make_project(busy_timeout_ms=50)
    talk = project.conversations.create(id="c-1")
    say(project, talk.id, "market 1", "old news")
    project.conversations.search("market")
    say(project, talk.id, "market 3 market", "fresh news")
    return project


@pytest.fixture(autouse=True)
def lock(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection | None]:
    """Another program that has the file of ``busy`` locked."""
    if "busy" not in request.fixturenames:
        yield None
        return
    path = request.getfixturevalue("busy").database_path()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_a_locked_file_is_searched_whole(busy: Project) -> None:
    assert found(busy, "market") == ["market 1", "market 3 market"]
    assert found(busy, "news -old") == ["fresh news"]


def test_a_locked_file_gives_the_best_match_first(busy: Project) -> None:
    hits = busy.conversations.search("market OR news")

    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(busy.conversations.search("market OR news", limit=3)) == 3


@pytest.mark.parametrize("moment", ["INSERT INTO temp.unindexed", "SELECT conversations.id"])
def test_what_others_index_in_the_middle_of_a_search_is_found_once(
    busy: Project, lock: sqlite3.Connection, moment: str
) -> None:
    def index(statement: str) -> None:
        if statement.startswith(moment) and lock.in_transaction:
            search_index.index_some(lock)
            lock.execute("COMMIT")

    with busy:
        connection = busy._binding.lease(assistant).conn
        connection.set_trace_callback(index)
        hits = found(busy, "market")
        connection.set_trace_callback(None)

    assert hits == ["market 1", "market 3 market"]
    assert not lock.in_transaction


def test_filters_hold_for_a_locked_file(busy: Project) -> None:
    assert found(busy, "market", role="tool") == []
    assert found(busy, "market", conversation_id="c-1") == ["market 1", "market 3 market"]
