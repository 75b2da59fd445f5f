"""``backup``: a copy of a project's database while it is in use."""

from __future__ import annotations

import argparse
import os

from . import projects
from .console import Console
from .parser import Commands
from .progress import Progress
from .text import size


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "backup",
        _backup,
        summary="copy the database of a project while it is in use",
        usage="FILE [--overwrite] [options]",
        details="The copy is one state of the whole file, however busy the project is; nobody is kept from writing.",
        examples=("peewee-conv backup aurora-monday.db --project projects/aurora",),
    )
    parser.add_argument("file", metavar="FILE", help="where to put the copy")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")


def _backup(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.backup import backup

    with projects.existing(args) as project, Progress(console, "copying pages") as progress:
        backup(project, args.file, overwrite=args.overwrite, on_progress=progress)
    path, count = os.path.abspath(args.file), os.stat(args.file).st_size
    if console.as_json:
        console.json({"path": path, "bytes": count})
    console.say(f"copied to {path}, {size(count)}")
    return 0
