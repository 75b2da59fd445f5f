"""``serve``: the viewer, on this machine."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from peewee_conv.errors import InvalidArgument
from peewee_conv.project import Project
from peewee_conv.schemas import assistant

from . import projects
from .console import Console
from .parser import Commands, whole_number

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.serving import BaseWSGIServer

    from peewee_conv.viewer.shelf import Shown

_HOST = "127.0.0.1"
_PORT = 8765
_DANGER = (
    "is not this machine alone: the viewer asks nobody who they are, so everybody who reaches that address reads every"
    " conversation. Pass --allow-remote if that is what you want, or mount the viewer in an application that signs"
    " people in (docs/viewer.md)"
)


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "serve",
        _serve,
        summary="show projects in the browser, read-only",
        usage="[PROJECT ... | --root ROOT] [--port N] [options]",
        details="It serves this machine alone until Ctrl-C, and needs the extra: pip install 'peewee-conv[web]'.",
        examples=(
            "peewee-conv serve projects/aurora projects/borealis",
            "peewee-conv serve --root projects --port 8000",
        ),
    )
    parser.add_argument("projects", metavar="PROJECT", nargs="*", help="directories of projects (that of --project)")
    parser.add_argument("--root", metavar="ROOT", help="show all projects of this folder, new ones too")
    parser.add_argument("--host", metavar="ADDRESS", default=_HOST, help=f"address to listen on ({_HOST})")
    parser.add_argument("--port", metavar="N", type=whole_number, default=_PORT, help=f"port; 0: any free ({_PORT})")
    parser.add_argument("--allow-remote", action="store_true", help="listen on an address that others reach")
    parser.add_argument(
        "--trust-host", metavar="NAME", action="append", default=[], help="answer under this host name, too"
    )
    parser.add_argument(
        "--limit-tokens", metavar="N", type=whole_number, help="a user's tokens in a day that usage is compared with"
    )


def _serve(args: argparse.Namespace, console: Console) -> int:
    from peewee_conv.viewer import create_app

    _check_address(args)
    with _shown(args) as shown:
        app = create_app(shown, trusted_hosts=args.trust_host, limit_tokens=args.limit_tokens)
        server = _listen(args.host, args.port, app)
        address = f"http://{_in_url(args.host)}:{server.port}/"
        if console.as_json:
            console.json({"url": address, "pid": os.getpid()})
        console.say(f"serving {address} until Ctrl-C")
        console.flush()
        _run(server)
    return 0


def _check_address(args: argparse.Namespace) -> None:
    if args.port > 65_535:
        raise InvalidArgument("--port", args.port, "a number from 0 to 65535")
    if args.root is not None and args.projects:
        raise InvalidArgument("--root", args.root, "either --root or directories of projects")
    if not (args.allow_remote or _is_loopback(args.host)):
        raise InvalidArgument("--host", args.host, f"127.0.0.1, ::1 or localhost; {args.host} {_DANGER}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def _shown(args: argparse.Namespace) -> Iterator[Shown]:
    """Yield what is served, and close the files of projects at the end.

    :raises NoProject: a directory has no file of a project.
    """
    if args.root is not None:
        yield projects.root(args.root)
    elif not args.projects:
        with projects.existing(args) as project:
            yield project
    else:
        found = [Project(path) for path in args.projects]
        for project in found:
            if not project.exists():
                raise projects.NoProject(str(project.path), assistant.name, was_named=True)
        try:
            yield found
        finally:
            for project in found:
                project.dispose()


def _listen(host: str, port: int, app: Flask) -> BaseWSGIServer:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        """Writes no log of requests: their addresses hold ids, and words that somebody searched for."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep still."""

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The server would print and exit where the address is taken; so it gets a socket that is bound already.
    with socket.create_server((host, port), family=family) as bound:
        return make_server(host, port, app, threaded=True, request_handler=Handler, fd=bound.fileno())


def _run(server: BaseWSGIServer) -> None:
    """Serve until Ctrl-C or SIGTERM, which is the ordinary end."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever()  # which returns at a KeyboardInterrupt
    finally:
        signal.signal(signal.SIGTERM, before)
