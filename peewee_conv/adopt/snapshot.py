"""A program of its own that copies a foreign database without writing anything beside it.

It runs in another process, by path and with the standard library alone, since POSIX drops all locks of a process on a
file as soon as any handle on it is closed: the process that adopts may itself have the source open.

A file in rollback mode, and one in WAL mode that has its shared memory beside it, are read by SQLite, with its locks. A
file in WAL mode without shared memory is open nowhere, and SQLite would make the logs anew beside it: so it is copied
with its log, as is a file whose journal waits to be rolled back. What the copy is opened with later recovers the copy.

Usage: ``python snapshot.py SOURCE TARGET BUSY_MS``; a failure is one line of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from contextlib import closing, suppress

_ATTEMPTS = 20
_PAUSE = 0.05  # seconds between two attempts
_LOOK = 0.001  # seconds between two looks at the lock of a writer
_ROLLBACK = sqlite3.SQLITE_READONLY | 3 << 8  # a hot journal, and no right to roll it back

State = list[tuple[int, int, int] | None]


def copy_database(source: str, target: str, busy_ms: int) -> None:
    """Copy the database at *source*, as it is at one moment, to *target*."""
    for _ in range(_ATTEMPTS):
        if _copied(source, target, busy_ms):
            return
        time.sleep(_PAUSE)
    raise TimeoutError("the file changes while it is being copied")


def _copied(source: str, target: str, busy_ms: int) -> bool:
    if _is_wal(source) and not os.path.exists(f"{source}-shm"):
        return _copy_files(source, target, "-wal") and not os.path.exists(f"{source}-shm")
    try:
        _copy_pages(source, target, busy_ms)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != _ROLLBACK:
            raise
        return _copy_files(source, target, "-journal")
    return True


def _is_wal(source: str) -> bool:
    with open(source, "rb") as file:
        return file.read(20)[18:] == b"\2\2"


def _copy_pages(source: str, target: str, busy_ms: int) -> None:
    # readonly_shm: the shared memory is read, but neither made anew nor written.
    uri = f"{_as_uri(source)}?mode=ro&readonly_shm=1"
    with (
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)) as reader,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA synchronous = OFF")
        # What is read in a transaction stays as it is: without one, each write of others starts all over.
        reader.execute("BEGIN")
        _begin_to_read(reader, busy_ms)
        reader.backup(copy)


def _begin_to_read(reader: sqlite3.Connection, busy_ms: int) -> None:
    """Wait for writers. SQLite looks ten times a second: in rollback mode it might never meet a busy one's pause."""
    deadline = time.monotonic() + busy_ms / 1000
    while True:
        try:
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_LOOK)
        else:
            return


def _as_uri(path: str) -> str:
    from pathlib import Path

    return Path(path).as_uri()


def _copy_files(source: str, target: str, log: str) -> bool:
    """Copy the file and its log; return whether nobody changed them meanwhile."""
    before = _state(source, log)
    shutil.copyfile(source, target)
    with suppress(FileNotFoundError):
        os.unlink(target + log)
    with suppress(FileNotFoundError):
        shutil.copyfile(source + log, target + log)
    return _state(source, log) == before


def _state(source: str, log: str) -> State:
    return [_stamp(source), _stamp(source + log)]


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def main(source: str, target: str, busy_ms: str) -> int:
    """Copy, or print what stood in the way, and return the exit status."""
    try:
        copy_database(source, target, int(busy_ms))
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorcode", None)
        print(json.dumps({"text": str(error), "sqlite": code, "errno": getattr(error, "errno", None)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
