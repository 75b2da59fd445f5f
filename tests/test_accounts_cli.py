"""``users``, ``usage`` and ``keys`` on the command line."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from account_tools import Clock, profile
from cli_tools import Run, make_run

from peewee_conv import Project
from peewee_conv.cli.text import cells


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    return make_run(capsys)


@pytest.fixture
def path(make_project: Callable[..., Project], clock: Clock) -> Path:
    """A project of two users, who used tokens on three of five days."""
    project = make_project("aurora", now=clock)
    key = project.accounts.create_key()
    ada = project.accounts.sign_in(profile("ada"), referral_key=key).user_id
    clock.advance(minutes=1)
    bob = project.accounts.sign_in(profile("bob"), referral_key=project.accounts.create_key(ada)).user_id
    for user, tokens, model, days in ((ada, 4000, "large", 4), (bob, 1, "small", 2), (ada, 2000, "small", 0)):
        moment = datetime(2026, 3, 1, tzinfo=UTC) - timedelta(days=days)
        project.usage.record(user, tokens, 0, model, prices={"large": (500, 0), "small": (0, 0)}, timestamp=moment)
    project.dispose()
    return project.path


# --- users --------------------------------------------------------------------------------------------------------


def test_users_are_listed_the_newest_first(run: Run, path: Path) -> None:
    done = run("users", "--project", path)

    title, first, second = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert title.split() == ["name", "email", "signed", "up", "last", "sign-in", "id"]
    assert first.startswith("Bob   bob@example.com  2026-03-01 12:01  2026-03-01 12:01  ")
    assert second.startswith("Ada   ada@example.com  2026-03-01 12:00  2026-03-01 12:00  ")


def test_users_come_in_pages(run: Run, path: Path) -> None:
    first = run("users", "--project", path, "--limit", "1", "--json").json
    second = run("users", "--project", path, "--after", first["next"], "--json").json

    assert [user["name"] for user in first["users"] + second["users"]] == ["Bob", "Ada"]
    assert second["next"] is None
    assert "more follow: --limit N, or --after " in run("users", "--project", path, "--limit", "1").out


# --- usage --------------------------------------------------------------------------------------------------------


def test_usage_is_a_bar_for_each_day_those_without_usage_too(run: Run, path: Path) -> None:
    done = run("usage", "--project", path, "--since", "2026-01-01")

    rows = [(line.split()[0], line.count("█") or line.count("#")) for line in done.out.splitlines()[:5]]
    assert (done.status, done.err) == (0, "")
    assert rows == [("2026-02-25", 40), ("2026-02-26", 0), ("2026-02-27", 1), ("2026-02-28", 0), ("2026-03-01", 20)]
    assert done.out.splitlines()[0].endswith(" 4,000, cost 2.00")
    assert done.out.splitlines()[-1] == "6,001 tokens in 3 calls, cost 2.00"


def test_usage_by_model_has_the_largest_first(run: Run, path: Path) -> None:
    done = run("usage", "--project", path, "--since", "2026-01-01", "--by", "model", "--json").json

    assert [(part["key"], part["total_tokens"]) for part in done["totals"]] == [("large", 4000), ("small", 2001)]
    assert (done["by"], done["since"], done["total"]["calls"]) == ("model", "2026-01-01T00:00:00Z", 3)


def test_usage_can_be_narrowed(run: Run, path: Path) -> None:
    narrow = ("--since", "2026-02-26", "--until", "2026-03-01", "--model", "small", "--json")

    assert run("usage", "--project", path, *narrow).json["total"]["total_tokens"] == 1
    assert run("usage", "--project", path, *narrow, "--user", "nobody").json["total"]["calls"] == 0


def test_usage_shows_thirty_days_up_to_the_end(run: Run, path: Path) -> None:
    since = [
        run("usage", "--project", path, "--until", day, "--json").json["since"] for day in ("2026-03-01", "2026-03-31")
    ]

    assert since == ["2026-01-31T00:00:00Z", "2026-03-02T00:00:00Z"]


def test_usage_of_nothing_says_so(run: Run, path: Path) -> None:
    done = run("usage", "--project", path, "--since", "2026-04-01")

    assert (done.status, done.out) == (0, "no usage since 2026-04-01 00:00 UTC\n")


@pytest.mark.parametrize("columns", [40, 60, 200])
@pytest.mark.parametrize("by", ["day", "conversation", "user"])
def test_bars_fit_the_terminal(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch, columns: int, by: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")

    run("usage", "--project", path, "--since", "2026-01-01", "--by", by)

    bars = terminal.getvalue().splitlines()[:-2]
    assert len(bars) == {"day": 5, "conversation": 1, "user": 2}[by]
    assert max(map(cells, bars)) < columns


# --- keys ---------------------------------------------------------------------------------------------------------


def test_created_key_is_printed_alone_and_works(run: Run, path: Path) -> None:
    done = run("keys", "create", "--project", path)

    assert (done.status, done.err) == (0, "it lets one new user in, and cannot be shown again\n")
    project = Project(path)
    assert project.accounts.is_key_valid(done.out.removesuffix("\n"))


def test_key_of_a_new_project_makes_the_project(run: Run, tmp_path: Path) -> None:
    key = run("keys", "create", "--project", tmp_path / "new", "--json").json["key"]

    assert Project(tmp_path / "new").accounts.is_key_valid(key)


def test_key_of_a_missing_user_is_not_made(run: Run, path: Path) -> None:
    done = run("keys", "create", "--project", path, "--created-by", "nobody")

    assert (done.status, done.out, done.err) == (1, "", "peewee-conv: user 'nobody' does not exist\n")


@pytest.mark.parametrize("action", [(), ("list",)], ids=str)
def test_keys_are_listed_by_prefix_and_use(run: Run, path: Path, action: tuple[str, ...]) -> None:
    key = run("keys", "create", "--project", path).out.strip()

    done = run("keys", *action, "--project", path)

    title, first, *others = done.out.splitlines()
    assert title.split() == ["key", "made", "used", "made", "by", "id"]
    assert first.startswith(f"{key[:4]}...  ")
    assert " no " in first
    assert len(others) == 2
    assert all("  2026-03-01 12:0" in line for line in others)
    assert key not in done.out


def test_keys_as_json_have_no_secret(run: Run, path: Path) -> None:
    key = run("keys", "create", "--project", path).out.strip()

    done = run("keys", "--project", path, "--json")

    assert [(found["is_used"], found["used_by"] is None) for found in done.json["keys"]] == [
        (False, True),
        (True, False),
        (True, False),
    ]
    assert key not in done.out


@pytest.mark.parametrize("command", ["users", "keys"])
def test_nobody_and_nothing_are_said_in_words(run: Run, tmp_path: Path, command: str) -> None:
    project = Project(tmp_path / "empty")
    project.conversations.create()
    project.dispose()

    done = run(command, "--project", project.path)

    assert (done.status, done.out) == (0, "no users\n" if command == "users" else "no referral keys\n")
