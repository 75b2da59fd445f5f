"""The ``peewee-conv`` command: parse, run one command, and turn whatever happens into a sentence and a status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .console import Console, silence

OK, PROBLEM, USAGE, ERROR, INTERRUPTED, READER_GONE = 0, 1, 2, 3, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    :param argv: the arguments; ``None`` takes those of the process.
    """
    _replace_closed_streams()
    try:
        return _run(argv)
    except BrokenPipeError:
        silence(sys.stdout)
        return READER_GONE


def _replace_closed_streams() -> None:
    """Python has no stream where the caller has closed its descriptor, whose number a database could get then."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - until the process ends


def _run(argv: Sequence[str] | None) -> int:
    console = Console(sys.stdout, sys.stderr)
    try:
        args = _parse(argv)
        if isinstance(args, int):
            code = args
        else:
            console = Console(sys.stdout, sys.stderr, as_json=_is_on(args, "json"), quiet=_is_on(args, "quiet"))
            console.debug = console.debug or _is_on(args, "debug")
            code = args.run(args, console)
        console.flush()
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        console.error("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence: a user sees a sentence, whatever it was
        return _report(error, console)
    return code


def _is_on(args: argparse.Namespace, name: str) -> bool:
    return getattr(args, name, False)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace | int:
    """Return the arguments, or a status where argparse has answered already."""
    from .parser import build_parser

    parser = build_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    if args.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    return args


def _report(error: Exception, console: Console) -> int:
    """Print an error as one sentence, with its traceback where that is wanted, and return the status for it."""
    from peewee_conv.errors import InvalidArgument, NotFound, PeeweeConvError

    if console.debug:
        import traceback

        traceback.print_exception(error, file=console.stderr)
    if isinstance(error, PeeweeConvError):
        console.error(str(error))
        return PROBLEM if isinstance(error, NotFound) else USAGE if isinstance(error, InvalidArgument) else ERROR
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        console.error(f"{where}{error.strerror or error}")
        return ERROR
    console.error(f"this is a bug of peewee_conv ({type(error).__name__}: {error}); --debug shows where")
    return ERROR
