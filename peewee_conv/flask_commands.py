"""The ``flask conv`` commands: those of ``peewee-conv`` on the projects of an application, with its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import paths
from .errors import MissingExtra, PeeweeConvError
from .project import Project

try:
    import click
    from flask import current_app
    from flask.cli import AppGroup
except ImportError as error:
    raise MissingExtra("peewee_conv.flask_commands", "Flask", "web") from error

if TYPE_CHECKING:
    from .flask_ext import AppProjects

conv = AppGroup("conv", help="Conversations in per-project databases: the projects of this application.")
_names = click.argument("names", metavar="[PROJECT]...", nargs=-1)


@conv.command("list")
def list_projects() -> None:
    """List the names of the projects."""
    with _errors_in_a_sentence():
        for project in _app_projects().named():
            click.echo(project.name)


@conv.command()
@_names
@click.option("--repair", is_flag=True, help="Mend what can be without loss, after a backup.")
def check(names: Sequence[str], repair: bool) -> None:
    """Check projects, all or those named: integrity, sequences, counts, search index."""
    _run_on_each(names, lambda project: [["check", *(["--repair"] if repair else [])]])


@conv.command()
@_names
def upgrade(names: Sequence[str]) -> None:
    """Upgrade the files of projects, all or those named, which opening them would do too."""
    _run_on_each(names, _upgrades)


@conv.command()
@_names
def stats(names: Sequence[str]) -> None:
    """Show counts, tokens and sizes of projects, all or those named."""
    _run_on_each(names, lambda project: [["stats"]])


@conv.command()
@click.argument("folder", type=click.Path(file_okay=False))
@_names
@click.option("--overwrite", is_flag=True, help="Replace copies that are there already.")
def backup(folder: str, names: Sequence[str], overwrite: bool) -> None:
    """Copy projects, all or those named, to FOLDER/PROJECT.db while they are in use."""
    try:
        paths.make_data_folder(os.path.abspath(folder))
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror}") from error
    flags = ["--overwrite"] if overwrite else []
    _run_on_each(names, lambda project: [["backup", os.path.join(folder, f"{project.name}.db"), *flags]])


def _upgrades(project: Project) -> list[list[str]]:
    from . import schemas

    kept = [each for each in (schemas.assistant, schemas.features) if os.path.lexists(project.database_path(each))]
    return [["migrate", "up", "--schema", schema.name] for schema in kept]


# --- what the commands share ---


def _run_on_each(names: Sequence[str], command_lines: Callable[[Project], list[list[str]]]) -> None:
    """Run command lines of ``peewee-conv`` on each project, and end with the highest of their statuses.

    While the project is held here, the command's own object of it takes over the settings of the application.
    """
    from . import cli

    status = 0
    with _errors_in_a_sentence():
        for project in _app_projects().named(names):
            click.secho(project.name, bold=True)
            if not names and not project.exists():
                click.echo("no database yet")
                continue
            for words in command_lines(project):
                status = max(status, cli.main([*words, "--project", str(project.path)]))
    if status:
        sys.exit(status)


@contextmanager
def _errors_in_a_sentence() -> Iterator[None]:
    try:
        yield
    except PeeweeConvError as error:
        raise click.ClickException(str(error)) from error


def _app_projects() -> AppProjects:
    found: AppProjects = current_app.extensions["peewee_conv"]
    return found
