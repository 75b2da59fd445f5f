"""What statements answer: a cursor over rows that are there already, and something to await or to enter for it."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from .chatdf_statements import Fetched


class Closing(Protocol):
    """What can be closed."""

    async def close(self) -> None:
        """Close it."""


T = TypeVar("T", bound=Closing)


class Pending(Coroutine[Any, Any, T]):
    """A result to await, or to enter with ``async with``, which closes it in the end."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._result: T

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> T:
        self._result = await self._coroutine
        return self._result

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._result.close()

    # What makes it a coroutine, so that create_task() takes it.

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Give up."""
        self._coroutine.close()


class Cursor:
    """The rows of a statement, read to the end, so that nothing is held on the file.

    :ivar rowcount: rows that the statement changed; -1 for one that changes none.
    :ivar lastrowid: the key of the row that was inserted last.
    :ivar description: of each column a tuple that begins with its name.
    """

    def __init__(self, fetched: Fetched) -> None:
        self.description, rows, self.rowcount, self.lastrowid = fetched
        self._rows = iter(rows)

    async def fetchone(self) -> Any:
        """Return the next row, or ``None``."""
        return next(self._rows, None)

    async def fetchmany(self, size: int = 1) -> list[Any]:
        """Return the next rows, at most *size*."""
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    async def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._rows)

    async def close(self) -> None:
        """Let go of the rows."""
        self._rows = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        for row in self._rows:
            return row
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
