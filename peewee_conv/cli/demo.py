"""``demo``: a show of everything, on data of its own."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from peewee_conv import demo as work
from peewee_conv.demo import Check, Measured, Stored, Talk
from peewee_conv.errors import InvalidArgument
from peewee_conv.filesystem import journal_mode_for
from peewee_conv.project import Project

from . import conversations
from .console import Column, Console
from .parser import Commands
from .text import plural

_INDENT = "  "
_TRANSCRIPT = ("bikeshop", "stolen-bike")
_SEARCHES = (("homelab", 'krakow "night train"'), ("bikeshop", '"night train"'), ("bikeshop", "elodie OR quietscht"))
_WINDOW = ("homelab", "storm-warning")
_WINDOW_TOKENS = 150


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "demo",
        _demo,
        summary="store, list, search and window sample conversations, and check the result",
        usage="[--keep DIR] [options]",
        details=(
            "Imports 40 bundled conversations into two projects from several threads at once, shows them, verifies"
            " that nothing is lost and nothing crosses, and measures a little. It takes a few seconds."
        ),
        examples=("peewee-conv demo", "peewee-conv demo --keep playground"),
    )
    parser.add_argument("--keep", metavar="DIR", help="make the projects here and keep them (in a temporary folder)")


def _demo(args: argparse.Namespace, console: Console) -> int:
    with _folder(args.keep) as root:
        projects = work.create_projects(root)
        try:
            return _run(projects, root, args.keep, console)
        finally:
            for project in projects.values():
                project.dispose()


@contextlib.contextmanager
def _folder(keep: str | None) -> Iterator[str]:
    """Yield the folder for the projects; a temporary one is removed afterwards."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="peewee-conv-demo-") as root:
            yield root
        return
    if any(os.path.lexists(os.path.join(keep, desk)) for desk in work.ASSISTANTS):
        raise InvalidArgument("--keep", keep, "a folder that does not hold the projects of an earlier demo")
    yield os.path.abspath(keep)


def _run(projects: Mapping[str, Project], root: str, keep: str | None, console: Console) -> int:
    """Do one step after the other, each shown as soon as it is done."""
    show = None if console.as_json or console.quiet else console
    talks = work.load_sample()
    stored = work.store(projects, talks)
    if show:
        _show_stored(projects, talks, stored, show)
        _show_reading(projects, show)
    checks = work.verify(projects, talks)
    if show:
        _show_checks(checks, show)
    with tempfile.TemporaryDirectory(prefix="measure-", dir=root) as scratch:
        measured = work.measure(scratch)
    if show:
        _show_measured(measured, show)
        _show_end(keep, show)
    if console.as_json:
        console.json(_as_json(projects, stored, checks, measured))
    failed = [check.name for check in checks if not check.ok]
    if failed:
        console.error(f"the demo found what must not be: not true is that {'; that '.join(failed)}")
    return 1 if failed else 0


# --- what is shown ---


def _heading(console: Console, text: str) -> None:
    console.line()
    console.line(console.style(text, "bold", "blue"))
    console.line()


def _command(console: Console, command: str) -> None:
    console.line(_INDENT + console.style(f"$ {command}", "dim"))


def _show_stored(projects: Mapping[str, Project], talks: list[Talk], stored: Stored, console: Console) -> None:
    _heading(console, f"{len(talks)} conversations, stored in two projects by {work.THREADS} threads at once")
    rows = []
    for desk, project in projects.items():
        of_desk = [talk for talk in talks if talk.desk == desk]
        journal = journal_mode_for(project.path)[0]
        messages = sum(len(talk.messages) for talk in of_desk)
        rows.append((desk, len(of_desk), messages, journal, project.database_path()))
    columns = [Column("project"), Column("conversations", right=True), Column("messages", right=True)]
    console.table([*columns, Column("journal"), Column("file", may_go=True)], rows, _INDENT)
    console.line()
    console.line(
        f"{_INDENT}{plural(stored.messages, 'message')} in {stored.seconds:.2f} s,"
        " each one on disk before its append returned"
    )


def _show_reading(projects: Mapping[str, Project], console: Console) -> None:
    _heading(console, "The list of a project, the newest activity first")
    desk, shown = _TRANSCRIPT
    _command(console, f"peewee-conv list --project {desk} --limit 8")
    conversations.print_conversations(console, projects[desk].conversations.list(limit=8), _INDENT)

    _heading(console, "One conversation")
    _command(console, f"peewee-conv show {shown} --project {desk}")
    for message in projects[desk].conversations.iterate(shown):
        conversations.print_message(console, message, _INDENT)

    _heading(console, "Search: words and phrases, with accents or without, never beyond the project")
    for desk, query in _SEARCHES:
        _command(console, f"peewee-conv search '{query}' --project {desk}")
        hits = projects[desk].conversations.search(query, limit=3, marks=conversations.FOUND_MARKS)
        conversations.print_hits(console, hits, _INDENT)
        if not hits:
            console.line(f"{_INDENT}nothing found")
        console.line()
    _show_window(projects, console)


def _show_window(projects: Mapping[str, Project], console: Console) -> None:
    desk, shown = _WINDOW
    console.line(
        console.style("What a model would see: the newest messages that fit, instructions pinned", "bold", "blue")
    )
    console.line()
    _command(
        console,
        f"peewee-conv context {shown} --project {desk} --max-tokens {_WINDOW_TOKENS} --pin instructions --pin system",
    )
    window = projects[desk].conversations.context(shown, max_tokens=_WINDOW_TOKENS, pin=("instructions", "system"))
    for message in window:
        conversations.print_message(console, message, _INDENT)
    console.line(f"{_INDENT}{conversations.describe_window(window, projects[desk].conversations.get(shown))}")


def _show_checks(checks: list[Check], console: Console) -> None:
    _heading(console, "Verified")
    for check in checks:
        mark = console.style("ok", "green") if check.ok else console.style("WRONG", "bold", "red")
        console.line(f"{_INDENT}{mark}  {check.name}")


def _show_measured(measured: Measured, console: Console) -> None:
    _heading(console, "Measured here, every append safe against a power cut")
    rows = [
        (plural(rate.threads, "thread"), f"{rate.per_second:,.0f}", duration(rate.median), duration(rate.p99))
        for rate in measured.rates
    ]
    columns = [
        Column("appending to one project"),
        *(Column(t, right=True) for t in ("a second", "median", "slowest 1 %")),
    ]
    console.table(columns, rows, _INDENT)
    console.line()
    console.line(f"{_INDENT}threads that append at the same time share the wait for the disk: see docs/concepts.md")
    console.line()
    console.line(f"{_INDENT}the newest 20 messages       {duration(measured.window)}")
    console.line(f"{_INDENT}open a project, first read   {duration(measured.open)}")
    console.line(f"{_INDENT}make a project, all tables   {duration(measured.create)}")


def duration(seconds: float) -> str:
    """Return a short time in the unit that suits it."""
    return f"{seconds * 1000:.1f} ms" if seconds >= 0.001 else f"{seconds * 1_000_000:.0f} µs"


def _show_end(keep: str | None, console: Console) -> None:
    console.line()
    if keep is None:
        program = "python -m peewee_conv" if sys.argv[0].endswith("__main__.py") else shlex.quote(sys.argv[0])
        console.line("The two projects were in a temporary folder and are gone again.")
        console.line(f"To keep and explore them: {program} demo --keep playground")
        console.line(f"To see them in the browser then: {program} serve --root playground")
        console.line("To use the package in a program: docs/quickstart.md")
    else:
        desk, shown = _TRANSCRIPT
        console.line("The projects were kept. Try:")
        _command(console, f"peewee-conv list --project {shlex.quote(os.path.join(keep, desk))}")
        _command(console, f"peewee-conv show {shown} --project {shlex.quote(os.path.join(keep, desk))}")
        _command(console, f"peewee-conv serve --root {shlex.quote(keep)}")


def _as_json(
    projects: Mapping[str, Project], stored: Stored, checks: list[Check], measured: Measured
) -> dict[str, Any]:
    return {
        "ok": all(check.ok for check in checks),
        "projects": [
            {"name": desk, "path": str(project.path), "conversations": len(project.conversations.list(limit=1000))}
            for desk, project in projects.items()
        ],
        "stored": {"threads": work.THREADS, "messages": stored.messages, "seconds": stored.seconds},
        "checks": [check._asdict() for check in checks],
        "measured": {
            "appends": [rate._asdict() for rate in measured.rates],
            "window_seconds": measured.window,
            "open_seconds": measured.open,
            "create_seconds": measured.create,
        },
    }
