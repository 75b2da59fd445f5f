"""``retain``: prune, delete what nobody uses any more, give the space back, in one project or all of a folder."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from peewee_conv.errors import InvalidArgument, PeeweeConvError
from peewee_conv.project import Project, Projects
from peewee_conv.retention import Retention, Rules, check_rules

from . import projects
from .console import Console
from .parser import Commands, whole_number
from .progress import Progress
from .text import one_line, plural, size

_UNITS: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "retain",
        _retain,
        summary="keep a project small: prune, delete inactive conversations, vacuum",
        usage="[--root ROOT] RULES [--dry-run] [options]",
        details=(
            "The rules are applied in the order in which they stand below. What is deleted is gone: look at it with"
            " --dry-run first, which works on a private copy and tells the very counts. The project stays in use"
            " meanwhile."
        ),
        examples=(
            "peewee-conv retain --project projects/aurora --inactive-days 90 --dry-run",
            "peewee-conv retain --root projects --prune 1000 --purge",
            "peewee-conv retain --project projects/aurora --max-size 500MB",
        ),
    )
    parser.add_argument("--root", metavar="ROOT", help="all projects of this folder, instead of one")
    parser.add_argument("--dry-run", action="store_true", help="tell what a run would do and change nothing")
    rules = parser.add_argument_group("rules, at least one")
    rules.add_argument("--purge", action="store_true", help="delete expired sessions and overrides of schedules")
    rules.add_argument("--inactive-days", metavar="N", type=whole_number, help="delete what was inactive for longer")
    rules.add_argument("--max-conversations", metavar="N", type=whole_number, help="keep the N most recently active")
    rules.add_argument("--prune", metavar="N", type=whole_number, help="keep the newest N messages of each")
    rules.add_argument(
        "--max-size", metavar="SIZE", type=byte_size, help="delete the oldest until the file fits: 500MB"
    )
    rules.add_argument("--vacuum", action="store_true", help="give free space back to the file system")
    which = parser.add_argument_group("conversations that the rules are about")
    which.add_argument("--user", metavar="ID", help="those of one user")
    which.add_argument("--project-name", metavar="NAME", help="those with this project name")


def byte_size(text: str) -> int:
    """Read a number of bytes, with a unit or without."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)", text.lower(), re.ASCII)
    if found is None or found[2] not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 500MB, 1.5GB or 1000000")
    return int(float(found[1]) * _UNITS[found[2]])


def _retain(args: argparse.Namespace, console: Console) -> int:
    rules = _rules(args)
    check_rules(rules)
    if args.root is not None and hasattr(args, "project"):
        raise InvalidArgument("--project", args.project, "either --root, for all projects, or one of them")
    if args.root is None:
        with projects.existing(args) as project:
            done = _one(project, args, rules, console, "deleting")
        if console.as_json:
            console.json(done.to_dict())
        _show(done, console)
        return 0
    return _all(projects.root(args.root), args, rules, console)


def _rules(args: argparse.Namespace) -> Rules:
    return {
        "purge": args.purge,
        "inactive_days": args.inactive_days,
        "max_conversations": args.max_conversations,
        "prune": args.prune,
        "max_size_bytes": args.max_size,
        "vacuum": args.vacuum,
        "user_id": args.user,
        "project_name": args.project_name,
    }


def _one(project: Project, args: argparse.Namespace, rules: Rules, console: Console, label: str) -> Retention:
    with Progress(console, label) as progress:
        return project.retain(dry_run=args.dry_run, on_progress=progress, **rules)


def _all(root: Projects, args: argparse.Namespace, rules: Rules, console: Console) -> int:
    """Go through all projects, on after a failure, and return the status."""
    answers: list[dict[str, Any]] = []
    for name in root.list():
        try:
            with _project(root, name) as project:
                done = _one(project, args, rules, console, f"deleting in {name}")
            answers.append({"project": name, "error": None, **done.to_dict()})
            console.say(f"{console.style(one_line(name), 'bold')}")
            _show(done, console)
        except PeeweeConvError as error:
            answers.append({"project": name, "error": str(error)})
            console.error(f"{name}: {error}")
    failed = sum(answer["error"] is not None for answer in answers)
    if console.as_json:
        console.json({"projects": answers})
    console.say(f"{plural(len(answers), 'project')}, {failed} failed")
    return 1 if failed else 0


@contextmanager
def _project(root: Projects, name: str) -> Iterator[Project]:
    project = root.get(name)
    try:
        yield project
    finally:
        project.dispose()


def _show(done: Retention, console: Console) -> None:
    verb = "would be " if done.dry_run else ""
    lines = [
        (done.conversations_deleted, "conversation", f"with {plural(done.messages_deleted, 'message')} {verb}deleted"),
        (done.messages_pruned, "message", f"of {plural(done.conversations_pruned, 'conversation')} {verb}pruned"),
        (done.sessions_purged, "expired session", f"{verb}purged"),
        (done.overrides_purged, "expired override", f"{verb}purged"),
    ]
    for count, noun, what in lines:
        if count:
            console.say(f"{plural(count, noun)} {what}")
    console.say(f"{size(done.bytes_before)} before, {size(done.bytes_after)} after")
