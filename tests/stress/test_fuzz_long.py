"""A million executions of hostile input; ``FUZZ_SEED`` chooses others than those of the day this was written."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import fuzz_cli
import fuzz_files
import fuzz_texts
import fuzz_verbs
import pytest
from fuzz_values import Target, run

from peewee_conv import Project
from peewee_conv.schemas import assistant, features

SEED = int(os.environ.get("FUZZ_SEED", "1"))
PROJECT_TIMES = 10_000  # executions after which a new project begins


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The upgrades of damaged files warn of what they reject."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("target", "times"),
    [(fuzz_texts.checks, 250_000), (fuzz_texts.times, 100_000), (fuzz_texts.stored_times, 100_000)],
)
def test_values_are_taken_or_refused(target: Target, times: int) -> None:
    assert run(target, SEED, times) == times


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("make", "times"),
    [
        (fuzz_verbs.services, 300_000),
        (fuzz_texts.page_marks, 100_000),
        (fuzz_texts.search_texts, 100_000),
        (lambda project: fuzz_texts.Imports(project, "jsonl"), 60_000),
        (lambda project: fuzz_texts.Imports(project, "markdown"), 60_000),
        (lambda project: fuzz_texts.feature_lists(project, project.path), 10_000),
    ],
    ids=["services", "page marks", "search texts", "JSON Lines", "Markdown", "feature lists"],
)
def test_projects_stay_sound(
    make_project: Callable[..., Project], make: Callable[[Project], Target], times: int
) -> None:
    for part in range(times // PROJECT_TIMES):
        project = make_project(str(part), durability="normal")
        run(make(project), SEED * 1000 + part, PROJECT_TIMES)

        for schema in (assistant, features):
            assert [problem for problem in project.check(schema) if problem.kind != "missing"] == []
        project.dispose()


@pytest.mark.timeout(900)
def test_command_lines_are_taken_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(fuzz_cli.command_line(tmp_path), SEED, 10_000) == 10_000


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("make", "times"),
    [
        (fuzz_texts.names, 100_000),
        (fuzz_files.own_files, 10_000),
        (fuzz_files.legacy_files, 5_000),
        (fuzz_files.sources, 1_500),
    ],
    ids=["names", "own files", "legacy files", "sources"],
)
def test_files_are_taken_or_refused(tmp_path: Path, make: Callable[[Path], Target], times: int) -> None:
    assert run(make(tmp_path), SEED, times) == times
