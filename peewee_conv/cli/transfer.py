"""``import`` and ``export``: conversations as JSON Lines, or as Markdown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from peewee_conv.errors import InvalidArgument
from peewee_conv.project import Project

from . import projects
from .console import Console
from .parser import Commands
from .progress import Progress
from .text import plural

if TYPE_CHECKING:
    from peewee_conv.transfer import ExportReport, ImportReport

_STANDARD = "-"


def add_commands(commands: Commands) -> None:
    """Add the two commands."""
    _add_import(commands)
    _add_export(commands)


# --- import ---


def _add_import(commands: Commands) -> None:
    parser = commands.add(
        "import",
        _import,
        summary="store the conversations of a JSON Lines file",
        usage="FILE [--markdown] [--assistant ID] [--user ID] [options]",
        details=(
            'One conversation a line: {"id": "...", "messages": [{"role": "user", "content": "..."}, ...]}.'
            " A file with a mistake is refused whole. Doing it again changes nothing; messages that were added to a"
            " conversation are appended. The project is made if there is none."
        ),
        examples=(
            "peewee-conv import talks.jsonl --project projects/aurora",
            "zcat talks.jsonl.gz | peewee-conv import - --project projects/aurora",
        ),
    )
    parser.add_argument("file", metavar="FILE", help="the file to read; - is standard input")
    parser.add_argument("--markdown", action="store_true", help="read Markdown, as export --markdown writes it")
    parser.add_argument("--assistant", metavar="ID", help="the assistant of the conversations that are new")
    parser.add_argument("--user", metavar="ID", help="the user of the conversations that are new")


def _import(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv import transfer

    read = transfer.import_markdown if args.markdown else transfer.import_conversations
    source = _binary(sys.stdin) if args.file == _STANDARD else args.file
    refuse_missing(source)
    with projects.new_or_existing(args) as project, Progress(console, "importing conversations") as progress:
        report = read(project, source, assistant_id=args.assistant, user_id=args.user, on_progress=progress)
        path = str(project.path)
    if console.as_json:
        console.json({**report._asdict(), "project": path, "is_unchanged": report.is_unchanged})
    else:
        console.say(_describe(report, path))
    return 0


def _describe(report: ImportReport, path: str) -> str:
    found = f"{plural(report.conversations, 'conversation')} and {plural(report.messages, 'message')}"
    if not report.conversations:
        return f"{report.source} has no conversation, nothing changed"
    if report.is_unchanged:
        return f"nothing changed: {path} has the {found} of {report.source} already"
    parts = (
        (report.conversations_added, "new"),
        (report.conversations_extended, "extended"),
        (report.conversations_unchanged, "unchanged"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    return f"read {found} from {report.source}\nstored {plural(report.messages_added, 'message')} in {path} ({told})"


def refuse_missing(source: Any) -> None:
    """Look for a file before a project is made for it."""
    if isinstance(source, str):
        os.stat(source)


# --- export ---


def _add_export(commands: Commands) -> None:
    parser = commands.add(
        "export",
        _export,
        summary="write conversations as JSON Lines or Markdown",
        usage="[FILE] [--markdown] [--conversation ID] [--overwrite] [options]",
        details=(
            "The file appears whole or not at all, and can be imported again, into another project too."
            " With --json, the answer says what was written, so it needs a FILE."
        ),
        examples=(
            "peewee-conv export talks.jsonl --project projects/aurora",
            "peewee-conv export --markdown --conversation 17 > talk.md",
        ),
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default=_STANDARD, help="the file to write (standard output)"
    )
    parser.add_argument("--markdown", action="store_true", help="write Markdown, for people to read")
    parser.add_argument(
        "--conversation",
        metavar="ID",
        action="append",
        help="only this one, by id or number; may be given more than once, without --markdown",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")


def _export(args: argparse.Namespace, console: Console) -> int:
    to_file = args.file != _STANDARD
    if console.as_json and not to_file:
        raise InvalidArgument("--json", "standard output", "a FILE to export to, where the answer is to be JSON")
    if to_file:
        refuse_existing(args.file, args.overwrite)
    write = _writer(args)
    target = args.file if to_file else _binary(sys.stdout)
    with projects.existing(args) as project, Progress(console, "exporting conversations") as progress:
        ids = [projects.conversation(project, reference).id for reference in args.conversation or ()]
        report = write(project, target, ids, overwrite=args.overwrite, on_progress=progress)
    if console.as_json:
        console.json({"path": os.path.abspath(args.file), **report._asdict()})
    elif to_file:
        told = f"{plural(report.conversations, 'conversation')} and {plural(report.messages, 'message')}"
        console.say(f"wrote {told} to {args.file}")
    return 0


def refuse_existing(path: str, overwrite: bool) -> None:
    """Refuse the path of a file that is there, in the words of the command line."""
    if not overwrite and os.path.lexists(path):
        raise InvalidArgument("FILE", path, "a file that is not there yet, or --overwrite")


def _writer(args: argparse.Namespace) -> Callable[..., ExportReport]:
    from peewee_conv import transfer

    def write(project: Project, target: Any, ids: list[str], **options: Any) -> ExportReport:
        if args.markdown:
            return transfer.export_markdown(project, target, ids[0] if ids else None, **options)
        return transfer.export_conversations(project, target, conversation_ids=ids or None, **options)

    if args.markdown and len(args.conversation or ()) > 1:
        raise InvalidArgument("--conversation", len(args.conversation), "one conversation with --markdown, or none")
    return write


def _binary(stream: TextIO) -> Any:
    """Return what a text stream is written to, past its encoding: the files are UTF-8 whatever the terminal has."""
    return getattr(stream, "buffer", stream)
