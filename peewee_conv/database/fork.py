"""Objects that a child process inherits and must neither use nor close."""

from __future__ import annotations

_inherited: list[object] = []


def leak(*objects: object) -> None:
    """Keep *objects* for ever: not even the end of the interpreter may run their destructors."""
    _inherited.extend(objects)
    try:
        import ctypes
    except ImportError:
        return  # the list has to do
    for item in objects:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))
