"""``features``: the work queue of a project's agents."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from peewee_conv.schemas import features as schema

from . import projects
from .console import Column, Console
from .parser import Commands, Parser, whole_number
from .text import plural

if TYPE_CHECKING:
    from peewee_conv.feature_records import Feature

_STATUS = ("passing", "in_progress", "needs_human_input", "open")
_COLUMNS = [
    Column("id", right=True),
    Column("priority", right=True, may_go=True),
    Column("state"),
    Column("category", may_shrink=True, may_go=True),
    Column("name", may_shrink=True),
    Column("waits for", may_shrink=True, may_go=True),
]


def add_commands(commands: Commands) -> None:
    """Add the command and its actions."""
    parser = commands.add(
        "features",
        _list,
        summary="show the work queue of a project's agents, import or export it",
        usage="[list | stats | ready | blocked | import | export] [options]",
        examples=(
            "peewee-conv features --project projects/aurora",
            "peewee-conv features list --status open --json --project projects/aurora",
            "peewee-conv features import feature_list.json --project projects/aurora",
        ),
    )
    parser.set_defaults(status=None, limit=20, after=None)
    actions = Commands(parser, dest="action", title="actions")
    _add_list(actions)
    actions.add("stats", _stats, summary="show how many features pass, and how many wait", usage="[options]")
    _add_limit(actions, "ready", _ready, "list what may start now, the most urgent first", 10, 50)
    _add_limit(actions, "blocked", _blocked, "list what waits for other features, and for which", 20, 100)
    _add_transfer(actions)


def _add_list(actions: Commands) -> None:
    parser = actions.add(
        "list",
        _list,
        summary="list features by priority",
        usage="[--status STATUS] [--limit N] [--after CURSOR] [options]",
    )
    parser.add_argument("--status", choices=_STATUS, metavar="STATUS", help=f"only: {', '.join(_STATUS)}")
    parser.add_argument("--limit", metavar="N", type=whole_number, default=20, help="at most N, up to 1000 (20)")
    parser.add_argument("--after", metavar="CURSOR", help="go on after a page: the 'next' of its JSON answer")


def _add_limit(actions: Commands, name: str, run: Any, summary: str, default: int, most: int) -> Parser:
    parser = actions.add(name, run, summary=summary, usage="[--limit N] [options]")
    help_text = f"at most N, up to {most} ({default})"
    parser.add_argument("--limit", metavar="N", type=whole_number, default=default, help=help_text)
    return parser


def _add_transfer(actions: Commands) -> None:
    importing = actions.add(
        "import",
        _import,
        summary="import a feature list into an empty queue",
        usage="[FILE] [options]",
        details=(
            "It is imported whole or not at all, then moved to FILE.backup.<time>. A queue that has features is left"
            " alone. The project is made if there is none."
        ),
    )
    importing.add_argument("file", metavar="FILE", nargs="?", help="feature_list.json of the project if left out")
    exporting = actions.add(
        "export",
        _export,
        summary="write all features as JSON",
        usage="[FILE] [options]",
        details="An older file is replaced.",
    )
    exporting.add_argument(
        "file", metavar="FILE", nargs="?", help="feature_list_export.json of the project if left out"
    )


# --- reading ---


def _list(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args, schema) as project:
        page = project.features.list(status=args.status, limit=args.limit, after=args.after)
    if console.as_json:
        console.json({"features": _dicts(page), "next": page.next})
        return 0
    _print(console, page, "no features")
    if page.next:
        console.say(f"\nmore follow: --limit N, or --after {shlex.quote(page.next)}")
    return 0


def _ready(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args, schema) as project:
        found = project.features.ready(limit=args.limit)
    if console.as_json:
        console.json({"features": _dicts(found)})
    else:
        _print(console, found, "no feature is ready")
    return 0


def _blocked(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args, schema) as project:
        found = project.features.blocked(limit=args.limit)
    if console.as_json:
        console.json({"features": [{**row.feature.to_dict(), "blocked_by": row.blocked_by} for row in found]})
    elif not found:
        console.say("no feature is blocked")
    else:
        columns = [Column("id", right=True), Column("name", may_shrink=True), Column("blocked by", may_shrink=True)]
        console.table(columns, [(row.feature.id, row.feature.name, _ids(row.blocked_by)) for row in found])
    return 0


def _stats(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args, schema) as project:
        stats = project.features.stats()
    if console.as_json:
        console.json(stats.to_dict())
        return 0
    console.pairs(
        [
            ("passing", f"{stats.passing} of {stats.total} ({stats.percentage} %)"),
            ("in progress", stats.in_progress),
            ("needs human input", stats.needs_human_input),
        ]
    )
    return 0


def _dicts(found: Iterable[Feature]) -> list[dict[str, Any]]:
    return [feature.to_dict() for feature in found]


def _print(console: Console, found: Sequence[Feature], if_none: str) -> None:
    if not found:
        console.say(if_none)
        return
    console.table(_COLUMNS, [_row(feature) for feature in found])


def _row(feature: Feature) -> tuple[object, ...]:
    state = "passing" if feature.passes else "waits for a person" if feature.needs_human_input else ""
    state = state or ("in progress" if feature.in_progress else "open")
    return feature.id, feature.priority, state, feature.category, feature.name, _ids(feature.dependencies)


def _ids(ids: Iterable[int]) -> str:
    return ", ".join(map(str, ids))


# --- files ---


def _import(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.feature_transfer import import_features

    with projects.new_or_existing(args) as project:
        done = import_features(project, args.file)
    if console.as_json:
        console.json(done._asdict())
    elif done.outcome == "imported":
        where = f"; the file is now {done.backup}" if done.backup else ""
        console.say(f"{plural(done.stored, 'feature')} imported{where}")
    else:
        reason = "there is no such file" if done.outcome == "no file" else "the queue has features already"
        console.say(f"nothing imported: {reason}")
    return 0 if done.outcome == "imported" else 1


def _export(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.feature_transfer import export_features

    with projects.existing(args, schema) as project:
        path = export_features(project, args.file)
    if console.as_json:
        console.json({"path": path})
    else:
        console.say(f"features written to {path}")
    return 0
