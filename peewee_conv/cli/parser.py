"""The parser: what every command shares. The commands themselves are in the module of their group."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeAlias

from .console import Console

PROGRAM: Final = "peewee-conv"
USAGE: Final = 2
Run: TypeAlias = Callable[[argparse.Namespace, Console], int]

_DESCRIPTION = "Conversations of LLM applications in per-project SQLite databases."
_EPILOG = """\
A project is a directory; its files are in the folder .peewee_conv there. It is
named by --project, else by PEEWEE_CONV_PROJECT, else it is the current one.
A CONVERSATION is named by its id, or by its number in the list.

exit status:
  0    it worked
  1    a problem was found, or what was asked for does not exist
  2    the command line is wrong
  3    an error: standard error says which, in one sentence
  130  interrupted with Ctrl-C
  141  the reader of our output went away

environment:
  PEEWEE_CONV_PROJECT   the project directory
  PEEWEE_CONV_DEBUG=1   show tracebacks, as --debug does
  NO_COLOR=1            no colours; there are none in files and pipes anyway

examples:
  peewee-conv demo
  peewee-conv import talks.jsonl --project projects/aurora
  peewee-conv list --project projects/aurora
  peewee-conv search "market outlook" --project projects/aurora --json
"""


class HelpFormatter(argparse.HelpFormatter):
    """Help of one shape everywhere: at most 90 columns, and texts of several lines as they are."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        width = min(90, max(60, shutil.get_terminal_size().columns - 2))
        super().__init__(prog, **{**kwargs, "max_help_position": 28, "width": width})

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return super()._fill_text(text, width, indent)
        return "".join(indent + line for line in text.splitlines(keepends=True))


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations (scripts would depend on them) and reports errors in one sentence."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", HelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        """End with the status of wrong usage."""
        self.exit(USAGE, f"{PROGRAM}: {message}; '{self.prog} --help' shows what there is\n")


class Commands:
    """The commands of a parser, each added by the module that carries it out."""

    def __init__(self, parser: Parser, dest: str = "command", title: str = "commands") -> None:
        # Not required: without a command there is help to print, without an action a default.
        prog = parser.prog  # left out, argparse would take the whole usage line for it
        self._subparsers = parser.add_subparsers(dest=dest, title=title, required=False, prog=prog, parser_class=Parser)

    def add(
        self, name: str, run: Run, *, summary: str, usage: str, details: str = "", examples: Iterable[str] = ()
    ) -> Parser:
        """Add a command and return its parser, which has the options that all commands share.

        :param usage: what follows the name of the command on its usage line.
        :param details: what the description says after *summary*.
        """
        epilog = "examples:\n" + "".join(f"  {example}\n" for example in examples) if examples else None
        parser: Parser = self._subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.{details and ' ' + details}",
            usage=f"%(prog)s {usage}",
            epilog=epilog,
        )
        parser.set_defaults(run=run)
        add_shared(parser)
        return parser


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand before or after the name of any command."""
    shared = parser.add_argument_group("options of every command")
    # No defaults here: those of a command would overrule what stands before its name.
    suppress = argparse.SUPPRESS
    shared.add_argument("--project", metavar="PATH", default=suppress, help="the project directory")
    shared.add_argument("--json", action="store_true", default=suppress, help="answer with one JSON document")
    shared.add_argument("--quiet", action="store_true", default=suppress, help="no progress, no remarks")
    shared.add_argument("--debug", action="store_true", default=suppress, help="show the traceback of an error")


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    from . import (
        accounts,
        adopt,
        backup,
        check,
        conversations,
        demo,
        features,
        migrate,
        retain,
        schedules,
        serve,
        stats,
        transfer,
        upgrade,
    )

    parser = Parser(prog=PROGRAM, description=_DESCRIPTION, epilog=_EPILOG, usage="%(prog)s COMMAND [options]")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the versions and exit")
    add_shared(parser)
    commands = Commands(parser)
    talks = (demo, transfer, adopt, conversations, stats)
    for module in (*talks, accounts, features, schedules, migrate, upgrade, retain, check, backup, serve):
        module.add_commands(commands)
    return parser


class _Version(argparse.Action):
    """Prints the versions of all that matters in a report of a bug; looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> NoReturn:
        import platform
        import sqlite3
        from importlib.metadata import version

        from peewee_conv import __version__

        others = f"peewee {version('peewee')}, SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}"
        print(f"{PROGRAM} {__version__} ({others})")
        parser.exit()


# --- the types of arguments ---


def whole_number(text: str) -> int:
    """Read a whole number from 0."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def moment(text: str) -> datetime:
    """Read a date or time in ISO 8601; without an offset it is in UTC, as the tables show it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date or time such as 2026-03-01 or 2026-03-01T12:30"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
