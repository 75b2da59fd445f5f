"""Whoever pastes the text of an error into a search box finds it on the page of errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from peewee_conv import errors

ROOT = Path(__file__).parent.parent
PAGE = " ".join((ROOT / "docs" / "errors.md").read_text(encoding="utf-8").split())
#: Their texts are those of an argument, a line or a script: the page shows the form.
OF_INPUT = {"InvalidArgument", "InvalidContent", "InvalidProjectName", "ImportRejected"}


def raised() -> Iterator[tuple[str, str]]:
    """Yield the file and each part of a text that an error of ours is made with; those for other APIs have pages."""
    for path in sorted((ROOT / "peewee_conv").rglob("*.py")):
        if {"compat", "adopt"}.isdisjoint(path.parts):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                if isinstance(getattr(errors, name, None), type) and name not in OF_INPUT:
                    assert isinstance(node, ast.Call)
                    yield from ((path.name, part) for argument in node.args for part in parts_of(argument))


def parts_of(argument: ast.expr) -> list[str]:
    values = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    texts = [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return [text.strip(" ,:()") for text in texts if re.search(r"\w \w", text)]


def test_every_text_of_an_error_is_on_the_page() -> None:
    found = set(raised())

    assert len(found) > 50
    assert {(file, part) for file, part in found if part not in PAGE} == set()
