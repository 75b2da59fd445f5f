"""Deletes what a project has in the places of the AutoForge releases, and nothing of anybody else."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from contextlib import closing, suppress

from .. import paths
from ..database.faults import translate
from ..database.schema import Schema
from ..versions import APPLICATION_ID

logger = logging.getLogger("peewee_conv")

_BESIDE = r"(-wal|-shm|-journal|\.(before|new)-.*|\.rejected(\.\d+)?\.jsonl|\.copying|\.rejecting)?"


def remove(root: str, schema: Schema) -> bool:
    """Delete a schema's files in the old places of the project at *root*; return whether there was one.

    A file that is neither ours nor of an AutoForge release stays.

    :raises DatabaseFailure: the system refused; what is left can be deleted by another call.
    """
    found = False
    for place in paths.LEGACY_FOLDERS:
        folder = os.path.join(root, place) if place else root
        path = os.path.join(folder, f"{schema.name}.db")
        if os.path.isfile(path) and _is_ours(path, schema):
            found = True
            _unlink_all(folder, schema.name)
            if place:
                with suppress(OSError):  # others have files in it
                    os.rmdir(folder)
                    paths.sync(root)
            logger.info("%s deleted", path)
    return found


def _is_ours(path: str, schema: Schema) -> bool:
    legacy = schema.migrations.legacy
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
                return True
            return legacy is not None and legacy().recognises(connection)
    except sqlite3.Error as error:
        raise translate(error, path) from error


def _unlink_all(folder: str, name: str) -> None:
    ours = re.compile(re.escape(f"{name}.db") + _BESIDE)
    try:
        # The logs before their databases: the next file of the name must not find the log of this one. And while the
        # database is there, another call finds what a power cut has left.
        for entry in sorted(filter(ours.fullmatch, os.listdir(folder)), key=len, reverse=True):
            if entry == f"{name}.db":
                paths.sync(folder)
            os.unlink(os.path.join(folder, entry))
        paths.sync(folder)
    except OSError as error:
        raise translate(error, folder) from error
