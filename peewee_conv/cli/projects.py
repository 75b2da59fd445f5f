"""Which project a command works on, and which conversation of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from peewee_conv.database.schema import Schema
from peewee_conv.errors import ConversationNotFound, PeeweeConvError
from peewee_conv.project import Project, Projects
from peewee_conv.records import Conversation
from peewee_conv.schemas import assistant


class NoProject(PeeweeConvError):
    """The directory has no file of the schema that the command reads; nothing is made."""

    def __init__(self, path: str, schema: str, was_named: bool) -> None:
        self.path, self.schema = path, schema
        what = "there is no such directory" if not os.path.isdir(path) else f"it has no {schema} database"
        advice = "" if was_named else "; name the project with --project PATH or PEEWEE_CONV_PROJECT"
        super().__init__(f"{path} is no project: {what}{advice}")


class NoRoot(PeeweeConvError):
    """There is no folder of projects where the command expects one."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} is no folder of projects: there is no such directory")


def root(path: str) -> Projects:
    """Return the projects below a folder that exists.

    :raises NoRoot: there is none.
    """
    if not os.path.isdir(path):
        raise NoRoot(path)
    return Projects(path)


@contextmanager
def new_or_existing(args: argparse.Namespace) -> Iterator[Project]:
    """Yield the project that is named, which need not exist yet, and close its files at the end."""
    project = Project(_path(args) or os.curdir)
    try:
        yield project
    finally:
        project.dispose()


@contextmanager
def existing(args: argparse.Namespace, schema: Schema = assistant) -> Iterator[Project]:
    """Yield the project that is named and close its files at the end.

    :raises NoProject: it has no file of *schema*.
    :raises PermissionError: nobody may tell us whether it has one.
    """
    with new_or_existing(args) as project:
        if not _is_there(project.database_path(schema)):
            raise NoProject(str(project.path), schema.name, was_named=_path(args) is not None)
        yield project


def _is_there(path: str | os.PathLike[str]) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _path(args: argparse.Namespace) -> str | None:
    named: str | None = getattr(args, "project", None)
    return os.environ.get("PEEWEE_CONV_PROJECT") or None if named is None else named


def conversation(project: Project, reference: str) -> Conversation:
    """Return the conversation with that id or, where no id is like it, with that number.

    :raises ConversationNotFound: there is neither.
    """
    found = project.conversations.find(reference)
    if found is None and reference.isascii() and reference.isdigit():
        found = _by_number(project, int(reference))
    if found is None:
        raise ConversationNotFound(reference)
    return found


def _by_number(project: Project, number: int) -> Conversation | None:
    from peewee_conv.models import Conversation as Row

    if number >= 2**31:
        return None
    with project:
        row = Row.select(Row.id).where(Row.number == number).tuples().first()
    return project.conversations.find(row[0]) if row else None
