"""The exceptions of HAIA's repository, and which of them stands for which error of ours.

They were exported there, and documented, but what callers caught was ``ValueError``: those two kinds of callers both
find what they look for.

>>> try:
...     raise ConversationNotFoundError(17)
... except ValueError as error:
...     print(error, isinstance(error, DatabaseError), error.conversation_id)
Conversation with ID 17 not found True 17
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import AlreadyExists, InvalidArgument, InvalidContent, MissingExtra, PeeweeConvError

ROLES: Final = frozenset({"system", "user", "assistant"})


class DatabaseError(PeeweeConvError):
    """The root of what the repository raises."""


class ConversationNotFoundError(DatabaseError, ValueError):
    """No conversation has that id."""

    def __init__(self, conversation_id: object) -> None:
        self.conversation_id = conversation_id
        super().__init__(f"Conversation with ID {conversation_id} not found")


class MessageNotFoundError(DatabaseError):
    """No message has that id. No method of the repository asks for a message by its id."""

    def __init__(self, message_id: object) -> None:
        self.message_id = message_id
        super().__init__(f"Message with ID {message_id} not found")


class InvalidRoleError(DatabaseError, ValueError):
    """The role of a message is none that is allowed.

    :param valid_roles: those that are; the three of the repository otherwise.
    """

    def __init__(self, role: object, valid_roles: Iterable[str] | None = None) -> None:
        self.role, self.valid_roles = role, ROLES if valid_roles is None else frozenset(valid_roles)
        super().__init__(f"Invalid role: {str(role)[:80]}. Must be one of: {', '.join(sorted(self.valid_roles))}")


class EmptyContentError(DatabaseError, ValueError):
    """A message says nothing."""

    def __init__(self) -> None:
        super().__init__("Message content cannot be empty")


class _Caused(DatabaseError):
    what = ""

    def __init__(self, original_error: BaseException) -> None:
        self.original_error = original_error
        super().__init__(f"{self.what}: {original_error}")


class DatabaseConnectionError(_Caused):
    """The database cannot be used now: busy, full, damaged, closed; :attr:`original_error` says which."""

    what = "Database connection failed"


class DatabaseIntegrityError(_Caused):
    """The database cannot hold what it was given; :attr:`original_error` says why. Nothing was written."""

    what = "Database integrity violated"


class ConcurrentModificationError(DatabaseError):
    """Somebody else has changed the same. It does not happen here: a transaction has the file to itself."""

    def __init__(self, entity_type: str, entity_id: object) -> None:
        self.entity_type, self.entity_id = entity_type, entity_id
        super().__init__(f"{entity_type} with ID {entity_id} was modified by another transaction")


class PydanticMissing(MissingExtra):
    """One of the shapes of requests and answers was asked for, and pydantic is not installed."""

    def __init__(self) -> None:
        self.what, self.dependency, self.extra = "MessageCreate, MessageResponse, ConversationResponse", "pydantic", ""
        PeeweeConvError.__init__(self, f"{self.what} need pydantic: pip install pydantic")


@contextmanager
def translated() -> Iterator[None]:
    """Let errors of this package out as those above; a wrong argument stays ``InvalidArgument``, a ``ValueError``."""
    try:
        yield
    except DatabaseError:
        raise
    except (InvalidContent, AlreadyExists) as error:
        raise DatabaseIntegrityError(error) from error
    except InvalidArgument:
        raise
    except PeeweeConvError as error:
        raise DatabaseConnectionError(error) from error
