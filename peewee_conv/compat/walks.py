"""Walking the pages of a service for callers that count with ``skip`` and ``limit``, or want everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from .. import arguments
from ..records import Page

T = TypeVar("T")

_MOST = 2**60
_PAGE = 1000


def every(list_page: Callable[..., Page[T]], *, most: int | None = None) -> Iterator[T]:
    """Yield the rows of all pages.

    :param list_page: the ``list`` of a service; it is called with ``limit=`` and ``after=``.
    :param most: how many rows will be wanted, if that is known.
    """
    size = _PAGE if most is None else max(1, min(most, _PAGE))
    page = list_page(limit=size)
    yield from page
    while page.next is not None:
        page = list_page(limit=size, after=page.next)
        yield from page


class Span:
    """Which rows are wanted.

    :param skip: rows to leave out; less than 0, and ``None``, is none.
    :param limit: how many rows; less than 0, and ``None``, is all.
    """

    def __init__(self, skip: int | None, limit: int | None) -> None:
        self._first = 0 if skip is None else max(0, arguments.whole("skip", skip, -_MOST, _MOST))
        wanted = -1 if limit is None else arguments.whole("limit", limit, -_MOST, _MOST)
        #: How many rows must be read; ``None`` for all.
        self.end = None if wanted < 0 else self._first + wanted

    def of(self, rows: Iterable[T]) -> list[T]:
        """Return the rows; no more are asked for than it takes."""
        return list(islice(rows, self._first, self.end))
