"""A market assistant with a context window of its own, over Sovereign Assistant's ``StateManager``.

Written against that package's ``database``. Only the import below differs; there it reads

    from database import MessageRole, StateManager, ThreadNotFound

It keeps its data where ``DATABASE_URL`` says, or below ``data/`` in the working directory.

    python examples/sovereign_assistant.py "What's the market outlook?"
"""

from __future__ import annotations

import sys

from peewee_conv.compat.state_manager import MessageRole, StateManager, ThreadNotFound

NAME = "Aurora Trading Bot"
THREAD = "desk-1"
KEPT_MESSAGES = 6


def open_thread(sm: StateManager) -> str:
    """Return the id of the desk's thread; on the first run, make it and its assistant."""
    try:
        return sm.get_thread(THREAD).id
    except ThreadNotFound:
        bot = sm.create_assistant(name=NAME, instructions="You are a trading analysis assistant.", model="gpt-4")
        return sm.create_thread(assistant_id=bot.id, thread_id=THREAD, thread_metadata={"desk": 1}).id


def ask(sm: StateManager, thread_id: str, question: str) -> str:
    """Store a question and its answer, keep the window small, and return the answer."""
    sm.add_message(thread_id=thread_id, role="user", content=question, token_count=len(question) // 4)
    context = sm.get_thread_context(thread_id)
    assistant = sm.get_assistant(context["assistant_id"])
    answer = f"{assistant.name} has read {len(context['messages'])} messages."  # a real one asks a language model
    sm.add_message(thread_id=thread_id, role="assistant", content=answer, token_count=len(answer) // 4)
    sm.delete_old_messages(thread_id=thread_id, keep_count=KEPT_MESSAGES)
    return answer


def main(questions: list[str]) -> None:
    """Ask, and show the window."""
    sm = StateManager()
    thread_id = open_thread(sm)
    for question in questions:
        print(ask(sm, thread_id, question))
    for message in sm.get_messages(thread_id):
        mark = ">" if message.role is MessageRole.USER else "<"
        print(f"{mark} {message.content} ({message.token_count} tokens)")
    thread = sm.get_thread(thread_id)
    sm.update_thread(thread_id, thread_metadata={**thread.thread_metadata, "questions": len(questions)})
    print(sm.get_thread(thread_id).thread_metadata)
    sm.engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1:])
