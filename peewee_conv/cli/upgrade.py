"""``upgrade``: every project of a root, brought to the newest schema version."""

from __future__ import annotations

import argparse

from peewee_conv.upgrades import BUNDLED, FileUpgrade, State, UpgradeReport, upgrade

from . import projects
from .console import Console
from .migrate import add_schema, schema_of
from .parser import Commands
from .progress import Progress
from .text import one_line, plural


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "upgrade",
        _upgrade,
        summary="bring every project of a folder to the newest schema version",
        usage="ROOT [--dry-run] [options]",
        details=(
            "Ordinary use needs none of this: opening a project upgrades its files. The status is 1 if a file could not"
            " be upgraded; the others are, all the same. Only files that exist are touched."
        ),
        examples=(
            "peewee-conv upgrade projects --dry-run",
            "peewee-conv upgrade projects",
            "peewee-conv upgrade projects --schema tickets --migrations myapp/migrations",
        ),
    )
    parser.add_argument("root", metavar="ROOT", help="the folder of the projects")
    parser.add_argument("--dry-run", action="store_true", help="list what is due and change nothing")
    add_schema(parser)


def _upgrade(args: argparse.Namespace, console: Console) -> int:
    is_one = hasattr(args, "schema") or hasattr(args, "migrations")
    schemas = [schema_of(args)] if is_one else BUNDLED
    with Progress(console, "upgrading") as progress:
        report = upgrade(projects.root(args.root), schemas=schemas, dry_run=args.dry_run, on_progress=progress)
    if console.as_json:
        console.json({**report.to_dict(), "dry_run": args.dry_run})
    else:
        _show(report, console)
    return 1 if report.failed else 0


def _show(report: UpgradeReport, console: Console) -> None:
    for file in report.files:
        if file.state == "failed":
            named = f"{file.project} {file.schema}".strip()
            console.line(f"{console.style('failed', 'bold', 'red')}    {named}: {one_line(file.error or '')}")
        elif file.state != "current":
            console.say(_line(file, console))
    states: tuple[State, ...] = ("upgraded", "pending", "current", "failed")
    counts = [f"{len(found)} {state}" for state in states if (found := report.in_state(state))]
    console.say(f"{plural(report.projects, 'project')}, files: {', '.join(counts) or 'none'}")


def _line(file: FileUpgrade, console: Console) -> str:
    colour = "green" if file.state == "upgraded" else "yellow"
    versions = f"{file.schema} from version {file.version} to {file.head}"
    return f"{console.style(file.state.ljust(8), colour)}  {one_line(file.project)} {versions}"
