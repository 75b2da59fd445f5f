"""What a child process inherits: open files of SQLite, which it must neither use nor close, nor open once more.

SQLite keeps in memory which locks this process has on a file, for all connections on it together. A child believes
that it has the locks of its parent, takes none of its own, and its commits may end in a log that others have deleted.
So what nobody uses is closed before a fork, and a file that was in use is refused in the child.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .files import Connection

INHERITED: Final = "was inherited through a fork inside a transaction"
#: What whoever is told of a fork can do; in the child itself it is too late.
ADVICE: Final = "fork outside of scopes and transactions, before threads use the project, or use 'spawn'"

#: Every connection of this process that is open.
opened: set[Connection] = set()

#: (device, inode) of the files that were open in the parent at the moment of a fork. The inherited descriptors stay
#: open, so that the system gives these numbers to no other file.
inherited: set[tuple[int, int]] = set()

_leaked: list[object] = []


def leak(*objects: object) -> None:
    """Keep *objects* for ever: not even the end of the interpreter may run their destructors."""
    _leaked.extend(objects)
    try:
        import ctypes
    except ImportError:
        return  # the list has to do
    for item in objects:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))


def leak_opened() -> None:
    """In a child process: give up every inherited connection, and remember its file."""
    inherited.update(connection.identity for connection in opened)
    leak(*opened)
    opened.clear()
