"""``migrate``: where a project's files are, and taking them up and down."""

from __future__ import annotations

import argparse
import sys

from peewee_conv.database.schema import BUNDLED, Schema
from peewee_conv.errors import InvalidArgument
from peewee_conv.project import Project

from . import projects
from .console import Column, Console
from .parser import Commands, Parser, whole_number
from .text import plural

_OPENS_UPGRADE = "opening the project with this release upgrades it again: the file is meant for an older one now"


def add_commands(commands: Commands) -> None:
    """Add the command with its three actions."""
    parser = commands.add(
        "migrate",
        _status,
        summary="show the schema version of a project, or change it by hand",
        usage="[status | up | down [--to N]] [--schema NAME] [options]",
        details="Ordinary use needs none of this: opening a project upgrades its files.",
        examples=(
            "peewee-conv migrate status --project projects/aurora",
            "peewee-conv migrate down --to 1 --yes",
            "peewee-conv migrate up --schema tickets --migrations myapp/migrations",
        ),
    )
    add_schema(parser)
    actions = Commands(parser, dest="action", title="actions")
    add_schema(
        actions.add(
            "status", _status, summary="list the upgrade scripts and which of them the file has", usage="[options]"
        )
    )
    add_schema(actions.add("up", _up, summary="apply every script that is pending", usage="[options]"))
    _add_down(actions)


def _add_down(actions: Commands) -> None:
    parser = actions.add(
        "down",
        _down,
        summary="take the file back to an older schema version, for an older release",
        usage="[--to N] [--yes] [options]",
        details=(
            "This may delete data, so a file that holds any needs --yes, and a copy of it is kept beside it. Nobody"
            " else may have the project open. The next open with this release upgrades the file again."
        ),
    )
    parser.add_argument("--to", metavar="N", type=whole_number, help="the version to return to (one less than now)")
    parser.add_argument("--yes", action="store_true", help="go ahead although the file holds data")
    add_schema(parser)


def add_schema(parser: Parser) -> None:
    """Add the options that name a schema."""
    suppress = argparse.SUPPRESS  # it may stand before or after the action
    parser.add_argument(
        "--schema", metavar="NAME", default=suppress, help=f"{', '.join(BUNDLED)}, or one of your own (assistant)"
    )
    parser.add_argument(
        "--migrations", metavar="DIR", default=suppress, help="the folder of the scripts of a schema of your own"
    )


def schema_of(args: argparse.Namespace) -> Schema:
    """Return the schema that is named; the one of the conversations, if none is."""
    from peewee_conv import schemas

    name, folder = getattr(args, "schema", "assistant"), getattr(args, "migrations", None)
    if folder is not None:
        return Schema(name, migrations=folder)
    if name not in BUNDLED:
        raise InvalidArgument(
            "--schema", name, f"{' or '.join(BUNDLED)}, or --migrations with the folder of its scripts"
        )
    found: Schema = getattr(schemas, name)
    return found


# --- status ---


def _status(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.maintenance import migration_status

    schema = schema_of(args)
    with projects.existing(args, schema) as project:
        status = migration_status(project, schema)
    if console.as_json:
        console.json(
            {
                "schema": status.schema,
                "path": status.path,
                "version": status.version,
                "head": status.head,
                "scripts": [script._asdict() for script in status.scripts],
            }
        )
        return 0
    console.say(f"{status.path}\nversion {status.version} of {status.head}\n")
    rows = [(script.name, "applied" if script.applied else "pending") for script in status.scripts]
    console.table([Column("script"), Column("state")], rows)
    return 0


# --- up and down ---


def _up(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.maintenance import migration_status, upgrade

    schema = schema_of(args)
    with projects.existing(args, schema) as project:
        applied = upgrade(project, schema)
        version = migration_status(project, schema).version
    if console.as_json:
        console.json({"schema": schema.name, "version": version, "applied": applied})
    for name in applied:
        console.say(f"applied {name}")
    console.say(f"{schema.name} is at version {version}" + ("" if applied else ", there was nothing to do"))
    return 0


def _down(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.maintenance import downgrade, migration_status

    schema = schema_of(args)
    with projects.existing(args, schema) as project:
        version = migration_status(project, schema).version
        target = max(0, version - 1) if args.to is None else args.to
        if target < version and not args.yes and not _may_lose(project, schema, version, target, console):
            return 1
        done = downgrade(project, schema, target)
    if console.as_json:
        console.json({"schema": schema.name, "version": target, "reverted": done.reverted, "copy": done.copy})
    for name in done.reverted:
        console.say(f"reverted {name}")
    if done.copy:
        console.say(f"a copy from before is {done.copy}")
    console.say(f"{schema.name} is at version {target}" + ("" if done.reverted else ", there was nothing to do"))
    if done.reverted:
        console.note(_OPENS_UPGRADE)
    return 0


def _may_lose(project: Project, schema: Schema, version: int, target: int, console: Console) -> bool:
    """Say whether the downgrade may go ahead: nothing can be lost, or whoever sits at the terminal agrees."""
    from peewee_conv.maintenance import row_counts

    counts = row_counts(project, schema)
    if not counts:
        return True
    held = ", ".join(f"{count:,} in {table}" for table, count in counts.items())
    rows = plural(sum(counts.values()), "row")
    console.note(f"going from version {version} to {target} may delete data; the file has {rows}: {held}")
    console.note(_OPENS_UPGRADE)
    if not sys.stdin.isatty():
        console.error("nothing was changed: add --yes to go ahead")
        return False
    console.stderr.write("go ahead? [y/N] ")
    console.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        console.error("nothing was changed")
        return False
    return True
