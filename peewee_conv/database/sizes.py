"""Whether a file is larger than its operator expects: said once in the log, not with each commit."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("peewee_conv")

# Which files were warned of: a file that is closed to make room and opened again is not warned of again.
_warned: set[str] = set()


class SizeWatch:
    """The size of one file, as its commits notice it.

    :param path: the file.
    :param bound: bytes that are expected at most; ``None`` for no bound.
    :ivar is_large: whether the size that was seen last is above the bound.
    """

    __slots__ = ("bound", "is_large", "path")

    def __init__(self, path: str, bound: int | None) -> None:
        self.path, self.bound = path, sys.maxsize if bound is None else bound
        self.is_large = False

    def cross(self, size: int) -> None:
        """Take note of a size on the other side of the bound, and warn on the way up."""
        self.is_large = size > self.bound
        if not self.is_large:
            _warned.discard(self.path)
        elif self.path not in _warned:
            _warned.add(self.path)
            logger.warning("%s: %s", self.path, describe(size, self.bound))

    def look(self, size: int) -> None:
        """Take note of the size of a file that was just opened."""
        if size > self.bound or self.path in _warned:
            self.cross(size)


def describe(size: int, bound: int | None) -> str | None:
    """Return a sentence for the operator of a file that is too large, or ``None``."""
    if bound is None or size <= bound:
        return None
    return f"the file has {size} bytes, more than warn_size_bytes = {bound}: delete what is not needed, then vacuum"
