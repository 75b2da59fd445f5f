"""A system layer of SQLite, made here: it tells what SQLite does with the files of a database, and can refuse it.

It is the layer that SQLite uses anyway (its default VFS), with a listener before some of its methods. It goes into the
very library that the ``sqlite3`` module uses, through ctypes: no compiler, no tracer, no change in the package. While
:func:`listening` lasts, every connection that is opened anew comes through here.

Nothing is really synced meanwhile: that only matters to a power cut, and takes its time. Temporary files pass by.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from typing import Any, NamedTuple, Protocol

#: What kind of file SQLite opens, by its flags.
KINDS = {0x100: "database", 0x800: "journal", 0x4000: "journal", 0x80000: "wal"}
CREATE = 0x4


class Step(NamedTuple):
    """One thing that SQLite is about to do.

    :ivar name: ``open``, ``read``, ``write``, ``truncate``, ``sync``, ``delete``, or ``share`` for the memory that the
        users of a log share.
    :ivar kind: ``database``, ``wal`` or ``journal``.
    :ivar file: tells one open file from another; 0 for a deletion.
    :ivar number: the offset of a write, the new size of a truncation.
    :ivar syncs_folder: the name's appearance or disappearance is made durable along with it.
    """

    name: str
    kind: str
    path: str
    file: int
    number: int = 0
    data: bytes = b""
    syncs_folder: bool = False


class Listener(Protocol):
    """What hears of a step, has it done by ``go``, and returns its result code, or one of its own choice.

    ``go(data)`` writes *data* in place of the whole.
    """

    def __call__(self, step: Step, go: Callable[..., int]) -> int: ...


class _Vfs(ctypes.Structure):
    pass


_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_Delete = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_Vfs._fields_ = [
    ("iVersion", c_int),
    ("szOsFile", c_int),
    ("mxPathname", c_int),
    ("pNext", c_void_p),
    ("zName", c_char_p),
    ("pAppData", c_void_p),
    ("xOpen", _Open),
    ("xDelete", _Delete),
    ("others", c_void_p * 13),
]

_Read = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)
_Share = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, POINTER(c_void_p))


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``; what has no type here is left alone."""

    _fields_ = [
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", _Read),
        ("xWrite", _Read),
        ("xTruncate", _Truncate),
        ("xSync", _Sync),
        ("some", c_void_p * 7),
        ("xShmMap", _Share),
        ("more", c_void_p * 5),
    ]


class _Layer:
    """The default layer, with the listener between. There is one for the life of the process: SQLite keeps pointers."""

    def __init__(self) -> None:
        library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))  # looks into the libraries that this one needs too
        library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        self._library = library
        self._usual = library.sqlite3_vfs_find(None)
        self._own = _Vfs.from_buffer_copy(self._usual.contents)
        self._own.zName = b"listened-to"
        self._own.pNext = None
        self._open, self._delete = self._usual.contents.xOpen, self._usual.contents.xDelete
        self._own.xOpen, self._own.xDelete = _Open(self._on_open), _Delete(self._on_delete)
        self._methods: dict[int, _Methods] = {}
        self._files: dict[int, tuple[str, str]] = {}
        self._new_names: set[int] = set()  # journals whose first sync makes their names durable too
        self.listener: Listener | None = None

    def put(self, listener: Listener | None) -> None:
        """Listen from now on, or not any more."""
        self.listener = listener
        chosen = self._usual if listener is None else ctypes.byref(self._own)
        assert self._library.sqlite3_vfs_register(chosen, 1) == sqlite3.SQLITE_OK

    def _tell(self, step: Step, go: Callable[..., int]) -> int:
        return go() if self.listener is None else self.listener(step, go)

    def _on_open(self, _: int, name: int | None, file: int, flags: int, out: Any) -> int:
        kind = next((kind for bit, kind in KINDS.items() if flags & bit), None)
        if kind is None or name is None:
            return self._open(self._usual, name, file, flags, out)
        path = ctypes.string_at(name).decode()
        self._new_names.discard(file)
        # What SQLite's layer for Unix does: a journal or log that it may have made is synced with its folder, once.
        if flags & CREATE and kind != "database":
            self._new_names.add(file)
        code = self._tell(Step("open", kind, path, file), lambda: self._open(self._usual, name, file, flags, out))
        if code == sqlite3.SQLITE_OK:
            self._files[file] = (kind, path)
            self._put_between(file)
        else:
            c_void_p.from_address(file).value = None  # or SQLite would close what is not open
        return code

    def _put_between(self, file: int) -> None:
        place = c_void_p.from_address(file)  # the first member of every sqlite3_file
        theirs = place.value
        assert theirs
        if theirs not in self._methods:
            self._methods[theirs] = self._methods_over(_Methods.from_address(theirs))
        place.value = ctypes.addressof(self._methods[theirs])

    def _methods_over(self, theirs: _Methods) -> _Methods:
        ours = _Methods.from_buffer_copy(theirs)
        read, write, truncate, share = (
            getattr(_Methods.from_buffer_copy(theirs), name) for name in ("xRead", "xWrite", "xTruncate", "xShmMap")
        )

        def on_read(file: int, buffer: int, size: int, offset: int) -> int:
            return self._tell(Step("read", *self._files[file], file), lambda: read(file, buffer, size, offset))

        def on_write(file: int, buffer: int, size: int, offset: int) -> int:
            data = ctypes.string_at(buffer, size)
            step = Step("write", *self._files[file], file, offset, data)
            return self._tell(step, lambda part=data: write(file, part, len(part), offset))

        def on_truncate(file: int, size: int) -> int:
            return self._tell(Step("truncate", *self._files[file], file, size), lambda: truncate(file, size))

        def on_sync(file: int, _: int) -> int:
            step = Step("sync", *self._files[file], file, syncs_folder=file in self._new_names)
            code = self._tell(step, lambda: sqlite3.SQLITE_OK)
            if code == sqlite3.SQLITE_OK:
                self._new_names.discard(file)
            return code

        def on_share(file: int, page: int, size: int, extend: int, out: Any) -> int:
            return self._tell(Step("share", *self._files[file], file), lambda: share(file, page, size, extend, out))

        ours.xRead, ours.xWrite, ours.xSync = _Read(on_read), _Read(on_write), _Sync(on_sync)
        ours.xTruncate = _Truncate(on_truncate)
        if ours.iVersion >= 2 and share:
            ours.xShmMap = _Share(on_share)
        return ours

    def _on_delete(self, _: int, name: bytes, sync_folder: int) -> int:
        path = name.decode()
        kind = "wal" if path.endswith("-wal") else "journal" if path.endswith("-journal") else "database"
        step = Step("delete", kind, path, 0, syncs_folder=bool(sync_folder))
        return self._tell(step, lambda: self._delete(self._usual, name, 0))


_layer: list[_Layer] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have *listener* hear of every step of the connections that are opened in the block."""
    if not _layer:
        _layer.append(_Layer())
    _layer[0].put(listener)
    try:
        yield
    finally:
        _layer[0].put(None)
