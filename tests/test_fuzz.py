"""A little of each fuzz target, with the seed of the day it was written; tests/stress has the long runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import fuzz_cli
import fuzz_files
import fuzz_texts
import fuzz_verbs
import pytest
from fuzz_values import Target, run

from peewee_conv import Project
from peewee_conv.schemas import assistant, features

SEED = 20261122


@pytest.fixture(autouse=True)
def quiet() -> object:
    """The upgrades of damaged files warn of what they reject."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("target", [fuzz_texts.checks, fuzz_texts.times, fuzz_texts.stored_times])
def test_a_value_is_taken_or_refused(target: Target) -> None:
    assert run(target, SEED, 2000) == 2000


@pytest.mark.parametrize(
    ("make", "times"),
    [
        (fuzz_verbs.services, 3000),
        (fuzz_texts.page_marks, 1000),
        (fuzz_texts.search_texts, 1000),
        (lambda project: fuzz_texts.Imports(project, "jsonl"), 300),
        (lambda project: fuzz_texts.Imports(project, "markdown"), 300),
        (lambda project: fuzz_texts.feature_lists(project, project.path), 50),
    ],
    ids=["services", "page marks", "search texts", "JSON Lines", "Markdown", "feature lists"],
)
def test_a_project_stays_sound(
    make_project: Callable[..., Project], make: Callable[[Project], Target], times: int
) -> None:
    project = make_project(durability="normal")

    run(make(project), SEED, times)

    for schema in (assistant, features):
        assert [problem for problem in project.check(schema) if problem.kind != "missing"] == []


def test_command_lines_are_taken_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(fuzz_cli.command_line(tmp_path), SEED, 60) == 60


@pytest.mark.parametrize(
    ("make", "times"),
    [
        (fuzz_texts.names, 500),
        (fuzz_files.own_files, 25),
        (fuzz_files.legacy_files, 10),
        (fuzz_files.sources, 4),
    ],
    ids=["names", "own files", "legacy files", "sources"],
)
def test_files_are_taken_or_refused(tmp_path: Path, make: Callable[[Path], Target], times: int) -> None:
    assert run(make(tmp_path), SEED, times) == times
