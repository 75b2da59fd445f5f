"""The program that the type checkers check also runs, and the package says that it is typed."""

from __future__ import annotations

import ast
from pathlib import Path

import typing_sample

from peewee_conv.services.assistants import Assistants
from peewee_conv.services.conversations import Conversations


def test_program_that_the_type_checkers_check_runs(tmp_path: Path) -> None:
    seen = typing_sample.main(tmp_path / "projects")

    assert seen == {
        "window": ["You analyse markets.", "What's the market outlook?", "Calm.", "Still calm."],
        "refused": ("role", "nowhere"),
        "counted": 1,
        "notes": ["buy paper"],
        "problems": 0,
        "name": "aurora",
        "exists": True,
        "is_below": True,
        "listed": ["aurora", "migrations"],
        "disposed": True,
        "deleted": True,
    }


def test_that_program_uses_every_verb_of_the_services() -> None:
    source = Path(typing_sample.__file__).read_text(encoding="utf-8")
    used = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    verbs = {name for service in (Assistants, Conversations) for name in vars(service) if not name.startswith("_")}

    assert verbs - used == set()
