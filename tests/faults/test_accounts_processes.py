"""Limits that four processes of eight threads each cannot overrun."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from account_tools import profile, sign_up
from fault_tools import assert_sound, in_child, race

from peewee_conv import Project
from peewee_conv.errors import PeeweeConvError

PROCESSES, THREADS = 4, 8
Attempt = Callable[[Project, int], object]


def attempt_from_threads(root: Path, journal: str, attempt: Attempt, first: int) -> list[str]:
    """Attempt from all threads of this process at once; return ``done``, or the name of the error, for each."""
    project = Project(root, journal_mode=journal)

    def outcome(number: int) -> str:
        try:
            attempt(project, number)
        except PeeweeConvError as error:
            return type(error).__name__
        return "done"

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = list(pool.map(outcome, range(first, first + THREADS)))
    project.dispose()
    return outcomes


def outcomes_of(root: Path, journal: str, attempt: Attempt) -> Counter[str]:
    """Attempt it 32 times from four processes, each with a number of its own."""
    calls = [(root, journal, attempt, number * THREADS) for number in range(PROCESSES)]
    return Counter(outcome for outcomes in race(attempt_from_threads, calls) for outcome in outcomes)


def file_of(root: Path) -> Path:
    return root / ".peewee_conv" / "assistant.db"


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("turn", range(3))
def test_32_threads_with_one_key_make_one_user(tmp_path: Path, journal: str, turn: int) -> None:
    key = in_child(lambda: Project(tmp_path, journal_mode=journal).accounts.create_key())

    def sign_up_with_it(project: Project, number: int) -> None:
        assert project.accounts.sign_in(profile(f"user{number}"), referral_key=key).is_new

    found = outcomes_of(tmp_path, journal, sign_up_with_it)

    assert found == {"done": 1, "ReferralKeyInvalid": 31}
    accounts = Project(tmp_path, journal_mode=journal).accounts
    assert len(accounts.list()) == 1
    assert not accounts.is_key_valid(key)
    assert_sound(file_of(tmp_path))


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("turn", range(3))
def test_32_threads_that_spend_the_last_tokens_never_overrun(tmp_path: Path, journal: str, turn: int) -> None:
    def prepare() -> str:
        project = Project(tmp_path, journal_mode=journal)
        user = sign_up(project).user_id
        project.usage.spend(user, 4_999_000, 0, "m")
        return user

    user = in_child(prepare)

    def spend(project: Project, number: int) -> None:
        project.usage.spend(user, 50, 50, f"by-{os.getpid()}")

    found = outcomes_of(tmp_path, journal, spend)

    assert found == {"done": 10, "RateLimited": 22}
    usage = Project(tmp_path, journal_mode=journal).usage
    assert usage.status(user).usage_tokens == usage.total().total_tokens == 5_000_000
    assert_sound(file_of(tmp_path))


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize(("urls", "expected"), [(1, {"done": 1, "AlreadyExists": 31}), (20, {"done": 5})])
def test_32_threads_that_add_datasets_keep_both_limits(
    tmp_path: Path, journal: str, urls: int, expected: dict[str, int]
) -> None:
    talk = in_child(lambda: Project(tmp_path, journal_mode=journal).conversations.create().id)

    def add(project: Project, number: int) -> None:
        project.datasets.add(talk, f"https://example.com/{number % urls}")

    found = outcomes_of(tmp_path, journal, add)

    assert found.items() >= expected.items()
    assert set(found) <= {"done", "AlreadyExists", "LimitReached"}
    held = Project(tmp_path, journal_mode=journal).datasets.list(talk)
    assert sorted(dataset.name for dataset in held) == [f"table{number + 1}" for number in range(found["done"])]
    assert_sound(file_of(tmp_path))
