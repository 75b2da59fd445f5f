"""Where a project keeps its files, and which names a project below a root may have.

Nothing here opens a database: a live file is only ever looked at by path, since POSIX drops all locks of a process on
a file as soon as any handle on it is closed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from contextlib import suppress

from .errors import DatabaseCorrupt, InvalidArgument, InvalidProjectName

#: Where the AutoForge releases kept their databases, the newest first; the last one is the project directory itself.
LEGACY_FOLDERS = (".autoforge", ".autocoder", "")

#: What SQLite keeps beside a database.
SIDE_FILES = ("-journal", "-wal", "-shm")

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # compiled for the first name that comes
# What file systems answer that cannot sync a folder.
_NO_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS}
# Windows refuses these with any extension; a project must be portable between systems.
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}


def project_root(path: str | os.PathLike[str]) -> str:
    """Return the resolved path of a project directory, which need not exist yet.

    :raises InvalidArgument: it is no path, or something other than a directory is there.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        raise InvalidArgument("path", path, "a str or os.PathLike of a project directory") from None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise InvalidArgument("path", path, "a non-empty path of a directory, without NUL")
    try:
        resolved = os.path.realpath(text)
        is_other = os.path.lexists(resolved) and not os.path.isdir(resolved)
    except (OSError, ValueError) as error:
        raise InvalidArgument("path", path, f"a usable path ({error})") from error
    if is_other:
        raise InvalidArgument("path", path, "a directory, but something else is there")
    return resolved


def check_project_name(name: object) -> str:
    """Return *name* if a project below a root may have it.

    :raises InvalidProjectName: it is none; names are never changed to fit, so that two never meet in one folder.
    """
    if not isinstance(name, str):
        raise InvalidProjectName(name, "it is no text")
    if not re.fullmatch(_NAME, name):
        raise InvalidProjectName(name, "it has a character that is not allowed, or a bad length")
    if ".." in name or name.endswith("."):
        raise InvalidProjectName(name, "dots may neither follow each other nor end it")
    if name.split(".")[0].lower() in _RESERVED:
        raise InvalidProjectName(name, "it is a device name on Windows")
    return name


def database_path(root: str, schema_name: str, data_dir: str) -> str:
    """Return the path of a schema's file in the project at *root*."""
    return os.path.join(root, data_dir, f"{schema_name}.db")


def locate(root: str, schema_name: str, data_dir: str, *, has_legacy: bool) -> str:
    """Return where a schema's file of a project is, or where a new one belongs (D04).

    :param has_legacy: whether the places of the AutoForge databases count: the first of ``.autoforge/``,
        ``.autocoder/`` and the project directory that has the file.
    """
    own = database_path(root, schema_name, data_dir)
    if not has_legacy or os.path.lexists(own):
        return own
    for folder in LEGACY_FOLDERS:
        found = os.path.join(root, folder, f"{schema_name}.db")
        if os.path.lexists(found):
            return found
    return own


def make_data_folder(folder: str) -> None:
    """Create *folder* for its owner alone, and the project directory above it, where they are missing."""
    if not os.path.isdir(folder):
        make_folder(os.path.dirname(folder))
        _make_one(folder, 0o700)


def make_folder(folder: str) -> None:
    """Create *folder*, and those above it, where they are missing."""
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for each in reversed(missing):
        _make_one(each, 0o777)


def _make_one(folder: str, mode: int) -> None:
    try:
        os.mkdir(folder, mode)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from None
    sync(os.path.dirname(folder))  # after a power cut a name that is not on disk is missing, with all that is below


def sync(path: str) -> None:
    """Have a file, or the names in a folder, on disk and not only in memory."""
    try:
        handle = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR)
    except PermissionError:
        return  # a folder on Windows, or one that may be entered but not listed
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def free_name(path: str) -> str:
    """Return *path*, or with the first number behind it that is free."""
    number, name = 1, path
    while os.path.lexists(name):
        number += 1
        name = f"{path}.{number}"
    return name


def remove_database(path: str) -> None:
    """Delete a database file that nobody uses, and what SQLite may have left beside it."""
    for name in (path, *(path + suffix for suffix in SIDE_FILES)):
        if os.path.lexists(name):
            os.unlink(name)


def draft_name(path: str) -> str:
    """Return a name beside *path* for what is to become that file, one that nobody else has."""
    return f"{path}.new-{os.getpid()}-{os.urandom(4).hex()}"


def remove_old_drafts(path: str, seconds: float) -> None:
    """Delete drafts of the file at *path* whose makers were killed: nobody has written to them for so long."""
    folder, name = os.path.split(path)
    form = re.compile(re.escape(name) + r"\.new-\d+-[0-9a-f]+(-journal|-wal|-shm)?")
    for found in filter(form.fullmatch, os.listdir(folder)):
        draft = os.path.join(folder, found)
        with suppress(FileNotFoundError):
            if time.time() - os.stat(draft).st_mtime > seconds:
                os.unlink(draft)


def identity(path: str) -> tuple[int, int] | None:
    """Return (device, inode) of the regular file at *path*, or ``None`` where there is no file.

    :raises DatabaseCorrupt: something else is there: a directory, a pipe, a device.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        raise DatabaseCorrupt(path, "this is not a regular file")
    return found.st_dev, found.st_ino


def size(path: str) -> int:
    """Return how many bytes the file at *path* has; 0 where there is none."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
