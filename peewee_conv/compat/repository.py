"""HAIA's asynchronous repository of conversations, under its own names.

What HAIA imported from ``haia.db``, ``haia.db.models`` and ``haia.db.session`` is all here; but for SQLAlchemy's
``Base``. The repository asks the services of the project that stands for ``DATABASE_URL``; it never commits.

Behaviour from source document 002.

>>> import asyncio
>>> from peewee_conv.compat.repository_session import Engine
>>> async def main():
...     engine = Engine("sqlite://")
...     async with engine.session() as session:
...         repository = ConversationRepository(session)
...         talk = await repository.create_conversation()
...         await repository.add_message(talk.id, "user", "Which disk is full?")
...         await session.commit()
...     await engine.dispose()
...     print(talk.id, [message.content for message in talk.messages])
>>> asyncio.run(main())
1 ['Which disk is full?']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import arguments
from ..services.conversations import Conversations
from . import repository_queries as queries
from .repository_errors import (
    ROLES,
    ConcurrentModificationError,
    ConversationNotFoundError,
    DatabaseConnectionError,
    DatabaseError,
    DatabaseIntegrityError,
    EmptyContentError,
    InvalidRoleError,
    MessageNotFoundError,
)
from .repository_objects import Conversation, Message
from .repository_session import (
    AsyncSession,
    apply_migrations,
    async_session,
    close_db,
    engine,
    get_db,
    init_db,
)

if TYPE_CHECKING:
    from .repository_schemas import ConversationResponse as ConversationResponse
    from .repository_schemas import MessageCreate as MessageCreate
    from .repository_schemas import MessageResponse as MessageResponse

__all__ = [
    "AsyncSession",
    "ConcurrentModificationError",
    "Conversation",
    "ConversationNotFoundError",
    "ConversationRepository",
    "DatabaseConnectionError",
    "DatabaseError",
    "DatabaseIntegrityError",
    "EmptyContentError",
    "InvalidRoleError",
    "Message",
    "MessageNotFoundError",
    "apply_migrations",
    "async_session",
    "close_db",
    "engine",
    "get_db",
    "init_db",
]

_MOST = 2**31 - 1


class ConversationRepository:
    """Conversations and their messages, in a session.

    :param session: what :func:`get_db` and ``async_session()`` give; who has it commits.
    """

    VALID_ROLES: ClassVar[frozenset[str]] = ROLES

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def create_conversation(self) -> Conversation:
        """Return a new, empty conversation."""
        return self.session.known.of(await self.session.write(Conversations.create))

    async def get_conversation(self, conversation_id: int) -> Conversation | None:
        """Return a conversation with all its messages in their order, or ``None``."""
        found = await self.session.read(queries.whole, conversation_id)
        return None if found is None else self.session.known.of(*found)

    async def add_message(self, conversation_id: int, role: str, content: str) -> Message:
        """Append a message; the conversation's ``updated_at`` becomes its ``created_at``.

        :param role: one of :attr:`VALID_ROLES`.
        :param content: any text but the empty one.
        :raises InvalidRoleError: the role is none of them. Also a ``ValueError``, as the next two are.
        :raises EmptyContentError: there is no content.
        :raises ConversationNotFoundError: there is no conversation of that id.
        :raises DatabaseIntegrityError: the content cannot be stored.
        """
        if not isinstance(role, str) or role not in ROLES:
            raise InvalidRoleError(role)
        if content is None or content == "":
            raise EmptyContentError()
        return self.session.known.add(*await self.session.write(queries.append, conversation_id, role, content))

    async def get_all_messages(self, conversation_id: int) -> list[Message]:
        """Return all messages of a conversation in their order; none where there is no conversation."""
        found = await self.session.read(queries.whole, conversation_id)
        return [] if found is None else found[1]

    async def get_context_messages(self, conversation_id: int, limit: int = 20) -> list[Message]:
        """Return the newest messages of a conversation, oldest first; none where there is no conversation.

        :param limit: 1 to 100.
        :raises InvalidArgument: the limit is another one; also a ``ValueError``.
        """
        arguments.whole("limit", limit, 1, 100)
        return await self.session.read(queries.newest, conversation_id, limit)

    async def list_conversations(self, limit: int = 50, offset: int = 0) -> list[Conversation]:
        """Return conversations with all their messages, the newest activity first.

        :param limit: how many, 0 or more.
        :param offset: how many to leave out before, 0 or more.
        :raises InvalidArgument: one of them is less; also a ``ValueError``.
        """
        arguments.whole("limit", limit, 0, _MOST)
        arguments.whole("offset", offset, 0, _MOST)
        found = await self.session.read(queries.listing, limit, offset)
        return [self.session.known.of(*each) for each in found]

    async def delete_conversation(self, conversation_id: int) -> bool:
        """Delete a conversation with all its messages; return whether there was one."""
        return await self.session.write(queries.delete, conversation_id)

    async def get_message_count(self, conversation_id: int) -> int:
        """Return how many messages a conversation has; 0 where there is none."""
        return await self.session.read(queries.count, conversation_id)


def __getattr__(name: str) -> Any:
    """Return one of the three shapes that need pydantic."""
    if name not in ("ConversationResponse", "MessageCreate", "MessageResponse"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import repository_schemas

    return getattr(repository_schemas, name)
