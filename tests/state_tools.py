"""What the tests of the Sovereign Assistant's StateManager share: one in memory, an assistant, a thread, messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from peewee_conv.compat.state_manager import Assistant, Message, StateManager, Thread

#: For tests whose examples all use the same fixtures.
SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def manager() -> Iterator[StateManager]:
    made = StateManager("sqlite:///:memory:")
    yield made
    made.engine.dispose()


@pytest.fixture
def bot(manager: StateManager) -> Assistant:
    return manager.create_assistant("Aurora", "You analyse markets.")


@pytest.fixture
def thread(manager: StateManager, bot: Assistant) -> Thread:
    return manager.create_thread(bot.id)


def say(manager: StateManager, thread: Thread, *contents: str) -> list[Message]:
    return [manager.add_message(thread.id, "user", content) for content in contents]


def contents(messages: list[Message]) -> list[str]:
    return [message.content for message in messages]
