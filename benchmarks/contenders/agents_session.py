"""The session of openai-agents, ``SQLiteSession``: JSON items under a session's name, behind an async interface.

Each thread has an event loop with one worker, and keeps the session objects that it made. The class has no setting for
durability: its connections always sync fully.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from agents import SQLiteSession

from .. import data
from .base import Contender


class _Thread(threading.local):
    """What a thread keeps."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(1))
        self.sessions: dict[str, SQLiteSession] = {}


class AgentsSession(Contender):
    """openai-agents' ``SQLiteSession``."""

    weight = 0.1

    def load(self, template: str) -> None:
        """Make its tables and fill them."""
        self.attach()
        SQLiteSession("first", self.path).close()
        with closing(sqlite3.connect(self.path)) as connection:
            for conversation, messages in data.stored(template):
                connection.execute("INSERT INTO agent_sessions (session_id) VALUES (?)", (conversation,))
                connection.executemany(
                    "INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)",
                    [(conversation, json.dumps({"role": role, "content": content})) for role, content in messages],
                )
            connection.commit()

    def attach(self) -> None:
        """Remember the file in the folder."""
        self.path = os.path.join(self.folder, "agents.db")
        self._local = _Thread()
        self._threads: list[tuple[asyncio.AbstractEventLoop, dict[str, SQLiteSession]]] = []

    def _run(self, conversation: str, method: str, argument: Any) -> Any:
        local = self._local
        session = local.sessions.get(conversation)
        if session is None:
            if not local.sessions:
                self._threads.append((local.loop, local.sessions))
            session = local.sessions[conversation] = SQLiteSession(conversation, self.path)
        return local.loop.run_until_complete(getattr(session, method)(argument))

    def append(self, conversation: str, role: str, content: str) -> Any:
        """Add an item."""
        self._run(conversation, "add_items", [{"role": role, "content": content}])

    def append_many(self, conversation: str, messages: list[tuple[str, str]]) -> Any:
        """Add items."""
        self._run(conversation, "add_items", [{"role": role, "content": content} for role, content in messages])

    def newest(self, conversation: str, count: int) -> Any:
        """Return the newest items."""
        return self._run(conversation, "get_items", count)

    def whole(self, conversation: str, count: int) -> Any:
        """Return all items."""
        return self._run(conversation, "get_items", None)

    def contents(self, answer: Any) -> list[str]:
        """Return the contents."""
        return [item["content"] for item in answer]

    def close(self) -> None:
        """Close the sessions, their workers and the loops of all threads."""
        while self._threads:
            loop, sessions = self._threads.pop()
            for session in sessions.values():
                session.close()
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
