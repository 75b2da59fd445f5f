"""Tests that the documentation names, as ``test_module::test_name``, are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
NAMED = re.compile(r"`(test_\w+)::(test_\w+)`")


@cache
def names_in(module: str) -> frozenset[str]:
    """Return the tests of a module, wherever below this folder it is."""
    found = [node for path in TESTS.rglob(f"{module}.py") for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    return frozenset(node.name for node in found if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def named_on(page: Path) -> list[tuple[str, str]]:
    return NAMED.findall(page.read_text("utf-8"))


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_tests_that_a_page_names_are_there(page: Path) -> None:
    missing = [f"{module}::{name}" for module, name in named_on(page) if name not in names_in(module)]

    assert missing == []


@pytest.mark.parametrize("system", ["AutoForge", "Sovereign Assistant", "HAIA", "ChatDF"])
def test_each_promise_of_an_older_application_names_a_test(system: str) -> None:
    _, found, rest = (DOCS / "compat.md").read_text("utf-8").partition(f"### {system}: promises and their tests\n")
    assert found
    rows = [line for line in rest.partition("\n#")[0].splitlines() if line.startswith("|")][2:]

    assert len(rows) > 5
    assert [row for row in rows if not NAMED.search(row)] == []
