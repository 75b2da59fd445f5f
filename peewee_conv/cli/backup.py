"""``backup`` and ``restore``: a copy of a project's database while it is in use, and the way back."""

from __future__ import annotations

import argparse

from . import projects
from .console import Console
from .migrate import add_schema, schema_of
from .parser import Commands
from .progress import Progress
from .text import size
from .transfer import refuse_existing, refuse_missing


def add_commands(commands: Commands) -> None:
    """Add the two commands."""
    _add_backup(commands)
    _add_restore(commands)


def _add_backup(commands: Commands) -> None:
    parser = commands.add(
        "backup",
        _backup,
        summary="copy the database of a project while it is in use",
        usage="FILE [--overwrite] [--schema NAME] [options]",
        details=(
            "The copy is one state of the whole file, however busy the project is. On a local disk nobody waits for it."
        ),
        examples=("peewee-conv backup aurora-monday.db --project projects/aurora",),
    )
    parser.add_argument("file", metavar="FILE", help="where to put the copy")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    add_schema(parser)


def _backup(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.backup import backup

    refuse_existing(args.file, args.overwrite)
    schema = schema_of(args)
    with projects.existing(args, schema) as project, Progress(console, "copying pages") as progress:
        made = backup(project, args.file, schema=schema, overwrite=args.overwrite, on_progress=progress)
    if console.as_json:
        console.json(made._asdict())
    console.say(f"copied to {made.path}, {size(made.bytes)}")
    return 0


def _add_restore(commands: Commands) -> None:
    parser = commands.add(
        "restore",
        _restore,
        summary="put a backup in the place of the database of a project",
        usage="FILE [--schema NAME] [options]",
        details=(
            "The backup is checked to its last page before anything changes, and stays where it is. The database from"
            " before is kept beside the new one. Stop who uses the project first. The project is made if there is none."
        ),
        examples=("peewee-conv restore aurora-monday.db --project projects/aurora",),
    )
    parser.add_argument("file", metavar="FILE", help="the backup")
    add_schema(parser)


def _restore(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.backup import restore

    refuse_missing(args.file)
    with projects.new_or_existing(args) as project:
        done = restore(project, args.file, schema=schema_of(args))
    if console.as_json:
        console.json(done._asdict())
    console.say(f"restored {done.path} from {args.file}")
    if done.kept:
        console.say(f"the database from before is {done.kept}")
    return 0
