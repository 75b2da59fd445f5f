"""What a contender can do. The workloads ask for nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Contender(ABC):
    """A way to keep conversations, in a folder of its own. Any number of threads use one object.

    :param folder: where its file is; made by :meth:`load`.
    :param durability: ``"full"`` or ``"normal"``, as in the package's settings.
    :cvar weight: its operations per slice, as a part of the reference's: slow ones do fewer.
    """

    weight = 1.0

    def __init__(self, folder: str, durability: str = "normal") -> None:
        self.folder, self.durability = folder, durability

    @abstractmethod
    def load(self, template: str) -> None:
        """Take over the conversations of a database of ours that nobody has open."""

    @abstractmethod
    def attach(self) -> None:
        """Make ready to use the file that is in the folder; what :meth:`load` ends with."""

    def scope(self) -> AbstractContextManager[Any]:
        """Return what surrounds the operations of a thread."""
        return nullcontext()

    @abstractmethod
    def append(self, conversation: str, role: str, content: str) -> Any:
        """Append a message, durably."""

    @abstractmethod
    def append_many(self, conversation: str, messages: list[tuple[str, str]]) -> Any:
        """Append messages in one transaction."""

    @abstractmethod
    def newest(self, conversation: str, count: int) -> Any:
        """Return the newest messages, oldest first."""

    @abstractmethod
    def whole(self, conversation: str, count: int) -> Any:
        """Return a conversation of at most *count* messages."""

    def listing(self, count: int) -> Any:
        """Return the conversations of the newest activity with their counts."""
        raise NotImplementedError

    @abstractmethod
    def contents(self, answer: Any) -> list[str]:
        """Return the contents of an answer of :meth:`newest` or :meth:`whole`, for the check."""

    def counts(self, answer: Any) -> list[tuple[str, int]]:
        """Return id and number of messages of each conversation in an answer of :meth:`listing`, for the check."""
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""
