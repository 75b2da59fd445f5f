"""``check``: whether a project is sound, and repairing what can be."""

from __future__ import annotations

import argparse
from typing import Any

from . import projects
from .console import Console
from .parser import Commands
from .text import one_line, plural


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "check",
        _check,
        summary="check a project: integrity, foreign keys, sequences, counts, search index",
        usage="[--repair] [options]",
        details=(
            "The status is 0 if everything is in order (or was repaired), 1 if a problem is left. Reads everything:"
            " a large project takes a while."
        ),
        examples=("peewee-conv check --project projects/aurora", "peewee-conv check --repair --json"),
    )
    parser.add_argument("--repair", action="store_true", help="put right what can be: counts and the search index")


def _check(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv import health

    with projects.existing(args) as project:
        found = health.check(project)
        left = found
        if args.repair and any(problem.repairable for problem in found):
            health.repair(project)
            left = health.check(project)
    repaired = [problem for problem in found if problem not in left]
    if console.as_json:
        console.json({"ok": not left, "problems": _as_json(left), "repaired": _as_json(repaired)})
        return 1 if left else 0
    for problem in repaired:
        console.say(f"{console.style('repaired', 'green')} {problem.kind}: {one_line(problem.detail)}")
    for problem in left:
        advice = ", --repair puts it right" if problem.repairable else ""
        console.line(f"{console.style('problem', 'bold', 'red')} {problem.kind}: {one_line(problem.detail)}{advice}")
    console.say(plural(len(left), "problem") if left else "no problem is left" if repaired else "no problems found")
    return 1 if left else 0


def _as_json(problems: list[Any]) -> list[dict[str, Any]]:
    return [{"kind": found.kind, "detail": found.detail, "repairable": found.repairable} for found in problems]
