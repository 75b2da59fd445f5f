"""docs/cli.md shows the help of every command, word for word. ``python tests/test_cli_docs.py`` writes it anew."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from unittest import mock

import pytest

from peewee_conv import cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
SECTION = re.compile(r"^(?P<ticks>```)text\n(?P<help>usage: (?P<command>[^\n]*)\n.*?)^```$", re.MULTILINE | re.DOTALL)


def help_of(*command: str) -> str:
    """Return what ``--help`` prints in a terminal that is wide enough for whole lines."""
    printed = io.StringIO()
    wide = {"COLUMNS": "120", "NO_COLOR": "1", "PYTHON_COLORS": "0"}
    with mock.patch.dict(os.environ, wide), contextlib.redirect_stdout(printed):
        assert cli.main([*command, "--help"]) == 0
    return "".join(line.rstrip() + "\n" for line in printed.getvalue().splitlines())


def command_names() -> list[str]:
    found = re.search(r"\{([a-z,]+)\}", help_of())
    assert found is not None
    return found[1].split(",")


def commands() -> list[tuple[str, ...]]:
    actions = [("migrate", action) for action in ("status", "up", "down")]
    actions += [("keys", action) for action in ("list", "create")]
    actions += [("features", action) for action in ("list", "stats", "ready", "blocked", "import", "export")]
    return [(), *((name,) for name in command_names()), *actions]


def render(text: str) -> str:
    """Return the page with the help of today in every block that has a help."""

    def replace(match: re.Match[str]) -> str:
        words = re.match(r"peewee-conv((?: [a-z]+)*)", match["command"])
        assert words is not None
        return f"```text\n{help_of(*words[1].split())}```"

    return SECTION.sub(replace, text)


def test_page_has_the_help_of_today() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == render(text), "run: python tests/test_cli_docs.py"


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_page_has_a_section_for_each_command(command: tuple[str, ...]) -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert help_of(*command) in text
    if command:
        assert re.search(rf"^##+ `peewee-conv {command[0]}`$", text, re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
