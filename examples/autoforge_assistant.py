"""The assistant of an AutoForge project: it answers in the terminal and remembers what was said.

Written against AutoForge's ``server/services/assistant_database.py``. Only the import below differs; there it reads

    from server.services.assistant_database import (

    python examples/autoforge_assistant.py projects/aurora "What is left to do?"
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from peewee_conv.compat.assistant_database import (
    add_message,
    create_conversation,
    delete_conversation,
    dispose_engine,
    get_conversation,
    get_conversations,
)

KEPT_CONVERSATIONS = 5


class AssistantSession:
    """One chat: the one that was active last, or a new one."""

    def __init__(self, project_dir: Path) -> None:
        self.project_dir = project_dir
        self.project_name = project_dir.name
        recent = get_conversations(project_dir, self.project_name)
        self.conversation_id = recent[0]["id"] if recent else create_conversation(project_dir, self.project_name).id

    def ask(self, question: str) -> str:
        """Store a question and its answer, and return the answer."""
        self._store("user", question)
        answer = reply(self.history())
        self._store("assistant", answer)
        return answer

    def history(self) -> list[dict[str, Any]]:
        """Return everything that was said."""
        conversation = get_conversation(self.project_dir, self.conversation_id)
        return conversation["messages"] if conversation else []

    def _store(self, role: str, content: str) -> None:
        if add_message(self.project_dir, self.conversation_id, role, content) is None:  # deleted in another window
            self.conversation_id = create_conversation(self.project_dir, self.project_name).id
            add_message(self.project_dir, self.conversation_id, role, content)


def reply(history: list[dict[str, Any]]) -> str:
    """Answer the last message; a real program would ask a language model."""
    questions = [message for message in history if message["role"] == "user"]
    return f"That was question {len(questions)}: {questions[-1]['content']}"


def forget_old_conversations(project_dir: Path) -> int:
    """Keep the conversations that were active last and return how many others went."""
    old = get_conversations(project_dir, project_dir.name)[KEPT_CONVERSATIONS:]
    return sum(delete_conversation(project_dir, conversation["id"]) for conversation in old)


def main(project_dir: Path, questions: list[str]) -> None:
    """Ask, and show what is remembered."""
    session = AssistantSession(project_dir)
    for question in questions:
        print(session.ask(question))
    forget_old_conversations(project_dir)
    for conversation in get_conversations(project_dir, project_dir.name):
        print(f"#{conversation['id']} {conversation['title']} ({conversation['message_count']} messages)")
    dispose_engine(project_dir)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
