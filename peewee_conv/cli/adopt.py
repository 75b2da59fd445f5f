"""``adopt``: the database of another system, copied into a project."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from peewee_conv.errors import InvalidArgument

from . import projects
from .console import Column, Console
from .parser import Commands
from .progress import Progress
from .text import plural
from .transfer import refuse_missing

if TYPE_CHECKING:
    from peewee_conv.adopt import Adopted

_COLUMNS = (
    Column("table"),
    Column("found", right=True),
    Column("copied", right=True),
    Column("already there", right=True),
    Column("rejected", right=True),
)


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "adopt",
        _adopt,
        summary="copy a database of AutoForge, Sovereign Assistant, HAIA or ChatDF into a project",
        usage="SOURCE [--into PROJECT] [options]",
        details=(
            "The source is recognised by its tables, and only read; it may be in use. Doing it again changes nothing,"
            " finishes what was interrupted, and copies what is new. What the project cannot hold is written to a file"
            " in its data folder, with the reasons. The project is made if there is none."
        ),
        examples=("peewee-conv adopt chatdf.db --into projects/aurora",),
    )
    parser.add_argument("source", metavar="SOURCE", help="the database to copy from")
    parser.add_argument("--into", metavar="PROJECT", help="the project directory, as --project")


def _adopt(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.adopt import adopt

    refuse_missing(args.source)
    if args.into is not None:
        if getattr(args, "project", args.into) != args.into:
            raise InvalidArgument("--project", args.project, "the same as --into, or nothing")
        args.project = args.into
    with projects.new_or_existing(args) as project, Progress(console, "adopting rows") as progress:
        report = adopt(args.source, project, on_progress=progress)
        path = str(project.path)
    if console.as_json:
        console.json({**report.to_dict(), "project": path})
    elif not console.quiet:
        _show(console, report, path)
    return 0


def _show(console: Console, report: Adopted, path: str) -> None:
    console.table(_COLUMNS, [(table, *(f"{n:,}" for n in counts)) for table, counts in report.tables.items()])
    what = "nothing changed in" if report.is_unchanged else "adopted into"
    console.say(f"{report.source} of {report.system}: {what} {path}")
    if report.moved:
        console.say(f"{plural(len(report.moved), 'row')} could not keep the id; --json shows which")
    for table, count in report.left.items():
        console.say(f"left where they are: {plural(count, 'row')} of {table}")
    if report.rejects is not None:
        console.say(f"what the project cannot hold as it is, with the reasons: {report.rejects}")
