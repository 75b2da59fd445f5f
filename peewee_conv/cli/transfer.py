"""``import`` and ``export``: conversations as JSON Lines, or one of them as Markdown."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile

from . import projects
from .console import Console
from .parser import Commands
from .progress import Progress
from .text import plural

_STDOUT = "-"


def add_commands(commands: Commands) -> None:
    """Add the two commands."""
    _add_import(commands)


# --- import ---


def _add_import(commands: Commands) -> None:
    parser = commands.add(
        "import",
        _import,
        summary="store the conversations of a JSON Lines file",
        usage="FILE [options]",
        details=(
            'One conversation a line: {"id": "...", "messages": [{"role": "user", "content": "..."}, ...]}.'
            " Doing it again changes nothing. The project is made if there is none."
        ),
        examples=("peewee-conv import talks.jsonl --project projects/aurora",),
    )
    parser.add_argument("file", metavar="FILE", help="the file to read")


def _import(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.transfer import import_conversations

    with projects.new_or_existing(args) as project, Progress(console, "importing") as progress:
        report = import_conversations(project, args.file, on_progress=progress)
    return 0
