"""``backup``: a copy of a project's database while it is in use."""

from __future__ import annotations

import argparse

from . import projects
from .console import Console
from .parser import Commands
from .progress import Progress
from .text import size
from .transfer import refuse_existing


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "backup",
        _backup,
        summary="copy the database of a project while it is in use",
        usage="FILE [--overwrite] [options]",
        details=(
            "The copy is one state of the whole file, however busy the project is. On a local disk nobody waits for it."
        ),
        examples=("peewee-conv backup aurora-monday.db --project projects/aurora",),
    )
    parser.add_argument("file", metavar="FILE", help="where to put the copy")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")


def _backup(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.backup import backup

    refuse_existing(args.file, args.overwrite)
    with projects.existing(args) as project, Progress(console, "copying pages") as progress:
        made = backup(project, args.file, overwrite=args.overwrite, on_progress=progress)
    if console.as_json:
        console.json(made._asdict())
    console.say(f"copied to {made.path}, {size(made.bytes)}")
    return 0
