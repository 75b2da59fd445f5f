"""Files that appear whole or not at all: written under another name, synced, and then given theirs.

Exports and backups are made so, readable for their owner alone, and never over a file that is there unless asked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from . import paths, schemas
from .database.cache import Binding, cache
from .database.faults import translate
from .errors import FileAlreadyExists, InvalidArgument

_DRAFT_SECONDS = 86_400  # that no copy and no export takes between two writes
_BUNDLED = (schemas.assistant, schemas.features)  # whose files may be where older applications kept them


def target_path(binding: Binding, argument: str, value: object, *, overwrite: bool) -> str:
    """Return the absolute path of a file that is to be made out of the project of *binding*.

    :raises InvalidArgument: it is no path, its folder is missing, something other than a file is there, or it is the
        place of a database or of its log: one of a project, or any that this process has open.
    :raises FileAlreadyExists: there is a file, and *overwrite* is false.
    """
    path = path_of(argument, value)
    if not os.path.isdir(os.path.dirname(path)):
        raise InvalidArgument(argument, value, "a path in a folder that exists")
    _refuse_kept(binding, argument, path)
    found = _lstat(path)
    if found is None:
        return path
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
        raise InvalidArgument(argument, value, "the path of a file, but something else is there")
    refuse_live(argument, path)
    if not overwrite:
        raise FileAlreadyExists(path)
    return path


def path_of(argument: str, value: object) -> str:
    """Return *value*, a path of a file, as an absolute one. Links in it are left as they are."""
    try:
        text = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        text = None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise InvalidArgument(argument, value, "a str or os.PathLike of a file")
    path = os.path.abspath(text)
    try:
        os.lstat(path)
    except ValueError:  # a lone surrogate
        raise InvalidArgument(argument, value, "a path that the system can have") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidArgument(argument, value, "a path that the system can have") from error
    return path


def _refuse_kept(binding: Binding, argument: str, path: str) -> None:
    """Refuse the place of a project's database, open or not, there or not: nobody means to replace it by a copy."""
    folder, name = os.path.split(path)
    folder = os.path.realpath(folder)
    for suffix in paths.SIDE_FILES:
        name = name.removesuffix(suffix)
    in_data_folder = os.path.basename(folder) == binding.settings.data_dir and name.endswith(".db")
    if in_data_folder or any(_is_at(binding.path(schema), folder, name) for schema in _BUNDLED):
        raise InvalidArgument(argument, path, "another file: this one is a project's database, or its log")


def _is_at(path: str, folder: str, name: str) -> bool:
    return os.path.basename(path) == name and os.path.realpath(os.path.dirname(path)) == folder


def refuse_live(argument: str, path: str) -> None:
    """Refuse a database that this process has open: to close another handle on it would drop the locks of ours."""
    found = _identity(path)
    for database in cache.open_databases() if found else ():
        # Its shared memory too: that is where the locks of a file in WAL mode are.
        if found in [_identity(database.path + suffix) for suffix in ("", *paths.SIDE_FILES)]:
            raise InvalidArgument(argument, path, "another file: this one is a database in use, or its log")


@contextmanager
def draft_of(path: str, *, overwrite: bool) -> Iterator[str]:
    """Yield the name of an empty new file beside *path*, which becomes *path* if the block ends well.

    :raises FileAlreadyExists: a file has appeared at *path* meanwhile, and *overwrite* is false.
    """
    with empty_file(path) as draft:
        yield draft
        paths.sync(draft)
        publish(draft, path, overwrite=overwrite)


@contextmanager
def empty_file(path: str) -> Iterator[str]:
    """Yield the name of an empty new file beside *path*, and delete what has that name in the end."""
    draft = paths.draft_name(path)
    with suppress(OSError):  # a folder that may not be listed can have a new file all the same
        paths.remove_old_drafts(path, _DRAFT_SECONDS)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            yield draft
        finally:
            paths.remove_database(draft)
    except OSError as error:
        raise translate(error, path) from error


def publish(draft: str, path: str, *, overwrite: bool) -> None:
    """Give the file *draft* the name *path* in one step, and make the name durable."""
    if overwrite:
        os.replace(draft, path)
    else:
        _link(draft, path)
    paths.sync(os.path.dirname(path))


def _link(draft: str, path: str) -> None:
    """Give a second name, which unlike a rename never replaces a file."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise FileAlreadyExists(path) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        # No hard links on this file system: take the name first, then replace what is ours.
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            raise FileAlreadyExists(path) from None
        os.replace(draft, path)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
