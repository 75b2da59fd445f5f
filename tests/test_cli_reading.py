"""``list``, ``show``, ``search``, ``context`` and ``stats`` say what a project holds."""

from __future__ import annotations

import io
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_tools import Run, make_run

from peewee_conv import Project


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    return make_run(capsys)


@pytest.fixture
def path(make_project: Callable[..., Project], clock: Callable[[], str]) -> Path:
    """A project with two conversations: 1 is "brakes", 2 is "17", whose id is like a number."""
    project = make_project("aurora", now=clock)
    bot = project.assistants.create(id="mira", name="Mira", instructions="You are Mira.", model="none")
    talks = project.conversations
    talks.create(id="brakes", assistant_id=bot.id, project_name="shop", metadata={"desk": "front", "rank": 3})
    talks.add_messages(
        "brakes",
        [
            {"role": "system", "content": "Be brief.", "token_count": 3},
            {"role": "user", "content": "My disc brakes squeal.", "token_count": 6},
            {"role": "assistant", "content": "Clean them.\n\nThen test.", "token_count": 5},
        ],
    )
    clock.advance(60)  # type: ignore[attr-defined]
    talks.create(id="17", title="Numbers")
    talks.add_message("17", "user", "Ring \a the bell \x1b[2J")
    project.dispose()
    return project.path


# --- list ---


def test_list_shows_the_newest_activity_first(run: Run, path: Path) -> None:
    done = run("list", "--project", path)

    assert done == (
        0,
        (
            "No.  title                   messages  tokens  last activity     id\n"
            "  2  Numbers                        1       0  2026-03-01 12:01  17\n"
            "  1  My disc brakes squeal.         3      14  2026-03-01 12:00  brakes\n"
        ),
        "",
    )


def test_list_as_json_has_whole_records_and_the_next_page(run: Run, path: Path) -> None:
    first = run("list", "--limit", "1", "--json", "--project", path).json
    second = run("list", "--limit", "1", "--json", "--project", path, "--after", first["next"]).json

    assert [talk["id"] for talk in first["conversations"] + second["conversations"]] == ["17", "brakes"]
    assert second["next"] is None
    assert second["conversations"][0]["metadata"] == {"desk": "front", "rank": 3}


def test_list_says_how_to_see_more(run: Run, path: Path) -> None:
    done = run("list", "--limit", "1", "--project", path)

    assert "more follow: --limit N, or --after '[" in done.out


@pytest.mark.parametrize("option", [("--assistant", "mira"), ("--project-name", "shop")])
def test_list_takes_filters(run: Run, path: Path, option: tuple[str, str]) -> None:
    found = run("list", *option, "--json", "--project", path).json

    assert [talk["id"] for talk in found["conversations"]] == ["brakes"]


def test_list_without_a_conversation_says_so(run: Run, path: Path) -> None:
    assert run("list", "--user", "nobody", "--project", path) == (0, "no conversations\n", "")


# --- show ---


def test_show_prints_a_transcript(run: Run, path: Path) -> None:
    done = run("show", "brakes", "--project", path)

    assert done.status == 0
    assert done.out == (
        "My disc brakes squeal.\n"
        "No. 1 · brakes · 3 messages · 2026-03-01 12:00 UTC · desk front\n"
        "  1 system\n    Be brief.\n"
        "  2 user\n    My disc brakes squeal.\n"
        "  3 assistant\n    Clean them.\n\n    Then test.\n"
    )


def test_conversation_is_found_by_id_before_it_is_found_by_number(run: Run, path: Path) -> None:
    assert run("show", "17", "--json", "--project", path).json["conversation"]["number"] == 2
    assert run("show", "1", "--json", "--project", path).json["conversation"]["id"] == "brakes"


@pytest.mark.parametrize("reference", ["99", "-x", "99999999999999999999", "nowhere", "\u0661"])
def test_missing_conversation_is_a_problem_and_no_error(run: Run, path: Path, reference: str) -> None:
    done = run("show", "--project", path, "--", reference)

    assert done == (1, "", f"peewee-conv: conversation {reference!r} does not exist\n")


@pytest.mark.parametrize(
    ("option", "sequences"), [((), [1, 2, 3]), (("--first", "2"), [1, 2]), (("--last", "2"), [2, 3])]
)
def test_show_takes_one_end(run: Run, path: Path, option: tuple[str, ...], sequences: list[int]) -> None:
    found = run("show", "brakes", *option, "--json", "--project", path).json

    assert [message["sequence"] for message in found["messages"]] == sequences


def test_show_keeps_content_as_it_is_in_a_file(run: Run, path: Path) -> None:
    assert "Ring \a the bell \x1b[2J" in run("show", "17", "--project", path).out


def test_show_spells_control_characters_out_on_a_terminal(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")

    run("show", "17", "--project", path)

    assert "Ring \\x07 the bell \\x1b[2J" in terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()


# --- search ---


def test_search_shows_where_the_words_are(run: Run, path: Path) -> None:
    done = run("search", "BRAKES", "--project", path)

    assert done == (
        0,
        "My disc brakes squeal.\n    brakes #2 user, 2026-03-01 12:00\n    My disc [brakes] squeal.\n",
        "",
    )


def test_search_marks_the_words_in_colour_on_a_terminal(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("WT_SESSION", "1")

    run("search", "brakes", "--project", path)

    assert "My disc \x1b[1;33mbrakes\x1b[0m squeal." in terminal.getvalue()


def test_search_as_json_has_the_message_and_the_snippet(run: Run, path: Path) -> None:
    found = run("search", "disc", "brakes", "--json", "--project", path).json

    assert found["query"] == "disc brakes"
    assert [(hit["message"]["sequence"], hit["snippet"]) for hit in found["hits"]] == [
        (2, "My [disc] [brakes] squeal.")
    ]


def test_search_that_finds_nothing_has_a_status_of_its_own(run: Run, path: Path) -> None:
    assert run("search", "xyzzy", "--project", path) == (1, "nothing found\n", "")
    assert run("search", "xyzzy", "--json", "--project", path).json == {"query": "xyzzy", "hits": []}


@pytest.mark.parametrize(
    ("option", "count"),
    [
        (("--role", "assistant"), 0),
        (("--conversation", "1"), 1),
        (("--conversation", "17"), 0),
        (("--assistant", "mira"), 1),
        (("--since", "2026-03-01T12:00"), 1),
        (("--since", "2026-03-01T12:00:00.000001"), 0),
        (("--since", "2026-03-01T13:00+01:00"), 1),
        (("--until", "2026-03-01"), 0),
    ],
)
def test_search_takes_filters(run: Run, path: Path, option: tuple[str, ...], count: int) -> None:
    assert len(run("search", "squeal", *option, "--json", "--project", path).json["hits"]) == count


def test_search_says_when_there_may_be_more(run: Run, path: Path) -> None:
    assert (
        "these are the best 1: --limit N shows more" in run("search", "brakes", "--limit", "1", "--project", path).out
    )


# --- context ---


def test_context_is_what_fits_with_its_pins(run: Run, path: Path) -> None:
    done = run(
        "context", "brakes", "--max-messages", "1", "--pin", "instructions", "--pin", "system", "--project", path
    )

    assert done.out == (
        "  * system\n    You are Mira.\n"
        "  1 system\n    Be brief.\n"
        "  3 assistant\n    Clean them.\n\n    Then test.\n"
        "2 of 3 messages, about 12 tokens\n"
    )


def test_context_as_json_has_messages_and_tokens(run: Run, path: Path) -> None:
    found = run("context", "1", "--max-tokens", "11", "--json", "--project", path).json

    assert found["conversation_id"] == "brakes"
    assert found["token_count"] == 11
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"]


def test_context_in_which_nothing_fits_has_a_status_of_its_own(run: Run, path: Path) -> None:
    done = run("context", "brakes", "--max-tokens", "1", "--project", path)

    assert done == (1, "0 of 3 messages, about 0 tokens\n", "")


# --- stats ---


def test_stats_as_json_count_everything(run: Run, path: Path) -> None:
    found = run("stats", "--json", "--project", path).json

    assert found["file"].pop("bytes") > 0
    assert found["file"].pop("journal_reason")
    assert found.pop("warnings") is not None
    assert found == {
        "project": str(path),
        "conversations": 2,
        "messages": 4,
        "messages_by_role": {"assistant": 1, "system": 1, "user": 2},
        "tokens": 14,
        "messages_without_token_count": 1,
        "longest_conversation": 3,
        "conversations_not_yet_indexed": 2,
        "assistants": 1,
        "users": 0,
        "first_created_at": "2026-03-01T12:00:00.000000Z",
        "last_activity_at": "2026-03-01T12:01:00.000000Z",
        "file": {
            "path": str(path / ".peewee_conv" / "assistant.db"),
            "wal_bytes": found["file"]["wal_bytes"],
            "journal_mode": found["file"]["journal_mode"],
            "schema_version": found["file"]["newest_schema_version"],
            "newest_schema_version": found["file"]["newest_schema_version"],
            "sqlite_version": sqlite3.sqlite_version,
        },
    }


def test_stats_are_readable(run: Run, path: Path) -> None:
    shown = run("stats", "--project", path).out

    assert "messages        4: 2 user, 1 assistant, 1 system\n" in shown
    assert "tokens          14, 1 message not counted\n" in shown
    assert "search index    2 conversations to catch up with at the next search\n" in shown


def test_stats_of_an_empty_project_are_zero(run: Run, project: Project) -> None:
    project.conversations.list()
    project.dispose()

    shown = run("stats", "--project", project.path).out

    assert "conversations   0, the longest of 0 messages\n" in shown
    assert "active          never to never UTC\n" in shown
