"""``check``: whether a project is sound, and mending what can be mended."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from . import projects
from .console import Console
from .migrate import add_schema, schema_of
from .parser import Commands
from .text import one_line, plural

if TYPE_CHECKING:
    from peewee_conv.health_checks import Problem


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "check",
        _check,
        summary="check a project: integrity, foreign keys, sequences, counts, search index",
        usage="[--repair] [--schema NAME] [options]",
        details=(
            "The status is 0 if everything is in order (or was mended), 1 if a problem is left. Reads everything:"
            " a large project takes a while. Each schema has a file of its own, and is checked on its own."
        ),
        examples=(
            "peewee-conv check --project projects/aurora",
            "peewee-conv check --repair --json",
            "peewee-conv check --schema features",
        ),
    )
    parser.add_argument("--repair", action="store_true", help="mend what can be without loss, after a backup")
    add_schema(parser)


def _check(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv import health

    schema = schema_of(args)
    with projects.existing(args, schema) as project:
        if args.repair:
            mended, left, backup = health.repair(project, schema)
        else:
            mended, left, backup = [], health.check(project, schema), None
    if console.as_json:
        told = {"ok": not left, "problems": _as_json(left), "mended": _as_json(mended), "backup": backup}
        console.json(told)
        return 1 if left else 0
    for problem in mended:
        console.say(f"{console.style('mended', 'green')}   {problem.kind}: {one_line(problem.detail)}")
    for problem in left:
        advice = " (--repair mends it)" if problem.repairable and not args.repair else ""
        console.line(f"{console.style('problem', 'bold', 'red')}  {problem.kind}: {one_line(problem.detail)}{advice}")
    if backup:
        console.say(f"a copy from before is {backup}")
    console.say(_sum_up(len(mended), len(left)))
    return 1 if left else 0


def _sum_up(mended: int, left: int) -> str:
    if left:
        return f"{plural(left, 'problem')} left" if mended else f"{plural(left, 'problem')} found"
    return "no problem left" if mended else "no problems found"


def _as_json(problems: list[Problem]) -> list[dict[str, Any]]:
    return [problem._asdict() for problem in problems]
