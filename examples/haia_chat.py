"""A homelab assistant that remembers, over HAIA's asynchronous conversation database.

Written against that package's ``haia.db``. Only the import below differs; there it reads

    from haia.db import ConversationRepository, close_db, get_db, init_db
    from haia.db.models import Message

It keeps its data where ``DATABASE_URL`` says, or in ./haia.db, which stands for the project in ./haia.db.project.

    python examples/haia_chat.py "How full is the pool?" "When was the last backup?"
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager

from peewee_conv.compat.repository import ConversationRepository, Message, close_db, get_db, init_db

QUESTIONS = ("Which container is unhealthy?", "How full is the pool?", "When was the last backup?")
SYSTEM_PROMPT = "You look after a homelab."

database = asynccontextmanager(get_db)


async def ask_model(window: Sequence[Message]) -> str:
    """Stand in for a model: it takes a while, and answers the newest message of its window."""
    await asyncio.sleep(0.01)
    asked = sum(message.role == "user" for message in window)
    return f"Answer {asked}: I looked into {window[-1].content!r}."


async def start() -> int:
    """Begin a conversation and return its id."""
    async with database() as session:
        repository = ConversationRepository(session)
        conversation = await repository.create_conversation()
        await repository.add_message(conversation.id, "system", SYSTEM_PROMPT)
        return conversation.id


async def ask(conversation_id: int, question: str) -> str:
    """Store a question, ask the model with what came before it, and store the answer."""
    async with database() as session:
        await ConversationRepository(session).add_message(conversation_id, "user", question)
    async with database() as session:
        window = await ConversationRepository(session).get_context_messages(conversation_id, limit=20)
    answer = await ask_model(window)  # no transaction is open meanwhile
    async with database() as session:
        await ConversationRepository(session).add_message(conversation_id, "assistant", answer)
    return answer


async def talk_about(topic: str) -> None:
    """Have a conversation of two questions."""
    conversation_id = await start()
    await ask(conversation_id, topic)
    await ask(conversation_id, "Why?")


async def try_what_is_refused() -> None:
    """Show what the repository says of what it does not take."""
    async with database() as session:
        repository = ConversationRepository(session)
        for conversation_id, role in ((1, "robot"), (10_000, "user")):
            try:
                await repository.add_message(conversation_id, role, "Beep.")
            except ValueError as error:
                print(f"refused: {error}")


async def show() -> None:
    """Print the ten conversations of the newest activity, the latest one last, and forget the others."""
    async with database() as session:
        repository = ConversationRepository(session)
        for conversation in reversed(await repository.list_conversations(limit=10)):
            topic = conversation.messages[1].content
            print(f"#{conversation.id} {topic} ({await repository.get_message_count(conversation.id)} messages)")
        for conversation in await repository.list_conversations(offset=10):
            await repository.delete_conversation(conversation.id)


async def main(questions: Sequence[str]) -> None:
    """Ask all questions at once."""
    await init_db()
    try:
        await asyncio.gather(*(talk_about(question) for question in questions))
        await try_what_is_refused()
        await show()
    finally:
        await close_db()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or QUESTIONS))
