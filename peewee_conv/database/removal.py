"""Deleting the data folder of a project, so that a power cut leaves it whole or gone, and gone once that was said."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress

from .. import paths
from . import files, fork
from .faults import translate

logger = logging.getLogger("peewee_conv")

# A database, its logs, its drafts and copies; and what could not be adopted from a file of any name.
_OURS = r"[a-z][a-z0-9_]{0,31}\.db([.-].*)?|.*\.rejected(\.\d+)?\.jsonl(\.new-.*)?"
_OUR_FOLDER = r"[a-z][a-z0-9_]{0,31}\.db\.dry-run-.*"  # the only folders that the package makes there
_SECONDS = 0.1  # to wait for those who read a log


def remove_folder(folder: str) -> bool:
    """Delete a data folder, or only our files in it if it has others too; return whether it was there.

    :raises DatabaseFailure: the system refused; what is left can be deleted by another call.
    """
    try:
        found = _take_away(folder)
        finish(folder)
    except OSError as error:
        raise translate(error, folder) from error
    return found


def _take_away(folder: str) -> bool:
    try:
        names = os.listdir(folder)
        ours = [name for name in names if _is_ours(folder, name)]
        if os.path.islink(folder) or ours != names:
            _remove_ours(folder, ours)
            logger.info("our files in %s deleted", folder)
            return True
        # One rename: no database is ever seen without its log, or the log of a deleted one by its successor.
        os.rename(folder, f"{folder}.deleted-{os.getpid()}-{os.urandom(4).hex()}")
        paths.sync(os.path.dirname(folder))  # nor after a power cut
        logger.info("%s deleted", folder)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def finish(folder: str) -> None:
    """Delete what deletions of *folder* have renamed, also those that a kill or a power cut has ended."""
    doomed = list(_renamed(folder))
    for path in doomed:
        _remove_tree(path)
    if doomed:
        with suppress(FileNotFoundError):  # another process has deleted what is above, too
            paths.sync(os.path.dirname(folder))


def _renamed(folder: str) -> Iterator[str]:
    parent, name = os.path.split(folder)
    form = re.compile(re.escape(name) + r"\.deleted-\d+-[0-9a-f]{8}")
    with suppress(FileNotFoundError):
        found = (os.path.join(parent, each) for each in os.listdir(parent) if form.fullmatch(each))
        yield from (path for path in found if not os.path.islink(path))


def _remove_tree(path: str) -> None:
    import shutil  # here: it brings compressors along, and few processes delete a project

    while os.path.isdir(path):
        with suppress(FileNotFoundError):  # another process deletes it, too
            shutil.rmtree(path)


def _is_ours(folder: str, name: str) -> bool:
    return bool(re.fullmatch(_OUR_FOLDER if _is_folder(os.path.join(folder, name)) else _OURS, name))


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _remove_ours(folder: str, names: list[str]) -> None:
    for name in names:
        if name.endswith(".db"):
            _settle(os.path.join(folder, name))
    names = [name for name in os.listdir(folder) if _is_ours(folder, name)]
    # The logs before their databases: the next file of the name must not find the log of this one.
    for name in sorted(names, key=len, reverse=True):
        path = os.path.join(folder, name)
        if _is_folder(path):
            _remove_tree(path)
        else:
            os.unlink(path)
    paths.sync(folder)


def _settle(path: str) -> None:
    """Bring what a log or journal has into its file: after a power cut that may be there without them."""
    if os.path.islink(path) or not any(os.path.lexists(path + suffix) for suffix in ("-wal", "-journal")):
        return  # what a link leads to stays, and so does its log
    # A damaged file, or one that others hold, goes as it is.
    with suppress(sqlite3.Error, OSError):
        if paths.identity(path) not in fork.inherited:
            with closing(sqlite3.connect(files.uri(path), uri=True, timeout=_SECONDS)) as connection:
                connection.execute("PRAGMA schema_version").fetchone()  # the first read goes by the journal
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
