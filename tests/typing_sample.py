"""A program that uses the public API with types: mypy --strict and pyright check it, a test runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, assert_type

import peewee

from peewee_conv import PeeweeConvError, Project, Projects, Schema, set_connection_limit
from peewee_conv.backup import Backup, Restored
from peewee_conv.database.scope import Scope
from peewee_conv.database.transactions import Transaction
from peewee_conv.errors import ConversationNotFound, InvalidRole
from peewee_conv.health import Health, Repair
from peewee_conv.health_checks import Problem
from peewee_conv.models import Message as MessageModel
from peewee_conv.records import Assistant, Conversation, Message, Page, SearchHit
from peewee_conv.services.assistants import Assistants
from peewee_conv.services.conversations import Conversations

MIGRATION = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE notes (id INTEGER NOT NULL PRIMARY KEY, text TEXT NOT NULL)")


def down(migrator, db):
    db.execute_sql("DROP TABLE notes")
"""


def configure_assistants(project: Project) -> Assistant:
    """Every verb of the assistants."""
    assistants = assert_type(project.assistants, Assistants)
    bot = assert_type(assistants.create("Aurora", "You analyse markets.", metadata={"temperature": 0.2}), Assistant)
    assert_type(assistants.get(bot.id).metadata, dict[str, Any])
    assert_type(assistants.find("nobody"), Assistant | None)
    assert_type(assistants.list(limit=10), Page[Assistant])
    other = assistants.create(name="Other", instructions="None.", model="small", created_at=datetime.now(UTC))
    assert_type(assistants.update(other.id, name="Another", metadata=None), Assistant)
    assert_type(assistants.delete(other.id), bool)
    assert_type((bot.id, bot.name, bot.instructions, bot.model), tuple[str, str, str, str])
    return bot


def talk_to(project: Project, bot: Assistant) -> Conversation:
    """Every verb that writes to a conversation."""
    conversations = assert_type(project.conversations, Conversations)
    talk = assert_type(conversations.create(assistant_id=bot.id, project_name="demo"), Conversation)
    asked = conversations.add_message(talk.id, "user", "What's the market outlook?", external_id="m-1", token_count=6)
    assert_type(asked, Message)
    assert_type((asked.sequence, asked.role, asked.token_count), tuple[int, str, int | None])
    more = conversations.add_messages(talk.id, [{"role": "assistant", "content": "Calm."}])
    assert_type(more, list[Message])
    answer = assert_type(conversations.begin_message(talk.id, metadata={"model": "small"}), Message)
    answer = assert_type(conversations.extend_message(talk.id, answer.sequence, "Still "), Message)
    assert_type(conversations.interrupt_message(talk.id, answer.sequence), Message)
    assert_type(conversations.finish_message(talk.id, answer.sequence, content="Still calm."), Message)
    assert_type(conversations.interrupt_stale(older_than_seconds=300), int)
    assert_type(answer.status, Literal["complete", "streaming", "interrupted"])
    assert_type(conversations.update(talk.id, title=None, metadata={"mood": "good"}), Conversation)
    assert_type(conversations.prune(talk.id, keep=10), int)
    empty = conversations.create()
    assert_type(conversations.clear(empty.id), int)
    assert_type(conversations.delete(empty.id), bool)
    return conversations.get(talk.id)


def read_back(project: Project, talk: Conversation) -> list[str]:
    """Every verb that reads a conversation."""
    conversations = project.conversations
    assert_type(conversations.find(talk.id), Conversation | None)
    assert_type(conversations.find_by_number(talk.number), Conversation | None)
    page = assert_type(conversations.list(project_name="demo", order="created"), Page[Conversation])
    assert_type(page.next, str | None)
    assert_type(page[0].title, str | None)
    assert_type(conversations.messages(talk.id, after=1, limit=5), list[Message])
    assert_type(conversations.iterate(talk.id), Iterator[Message])
    window = conversations.context(
        talk.id, max_messages=5, max_tokens=500, pin=["system", "instructions"], count_tokens=len
    )
    hits = assert_type(
        conversations.search("outlook", role="user", since=datetime(2020, 1, 1, tzinfo=UTC)), list[SearchHit]
    )
    assert_type((hits[0].message, hits[0].snippet, hits[0].score), tuple[Message, str, float])
    assert_type(conversations.for_user("nobody").list(), Page[Conversation])
    assert_type(talk.created_at, datetime)
    assert_type(talk.to_dict(), dict[str, Any])
    return [message.content for message in assert_type(window, list[Message])]


def refuse(project: Project, talk: Conversation) -> tuple[str, str]:
    """Errors carry typed data."""
    argument = missing = ""
    try:
        project.conversations.add_message(talk.id, "robot", "Beep.")
    except InvalidRole as error:
        argument = assert_type(error.argument, str)
    try:
        project.conversations.get("nowhere")
    except ConversationNotFound as error:
        missing = str(assert_type(error.id, object))
    return argument, missing


def look_after(projects: Projects) -> int:
    """Health, and copies."""
    project, copy = projects.get("aurora"), projects.path / "backup.db"
    assert_type(project.health(), Health)
    assert_type(project.repair(), Repair)
    assert_type(project.backup(copy), Backup)
    assert_type(project.restore(copy, keep_old=False), Restored)
    again = projects.get("aurora")  # a restore disposes the project
    return len(assert_type(again.check(), list[Problem]))


def close(project: Project) -> bool:
    """One except clause is enough for the whole package."""
    try:
        return assert_type(project.dispose(timeout=1.0), bool)
    except PeeweeConvError as error:
        print(error)
        return False


def count_with_models(project: Project) -> int:
    """Plain Peewee in a scope, and as an object."""
    with project as entered:
        assert_type(entered, Project)
        counted = int(MessageModel.select().where(MessageModel.role == "user").count())
    scope = assert_type(project.scope(), Scope)
    with scope, project.atomic() as transaction:
        assert_type(transaction, Transaction)
        transaction.rollback()
    scope.close()
    return counted


def keep_notes(project: Project, folder: Path) -> list[str]:
    """Tables of one's own, with types: the model names the schema's database."""
    folder.mkdir()
    (folder / "0001_initial.py").write_text(MIGRATION, encoding="utf-8")
    notes = Schema("notes", migrations=folder)

    class Note(peewee.Model):
        id = peewee.AutoField()
        text = peewee.TextField()

        class Meta:
            database = notes.database
            table_name = "notes"

    with project, project.atomic(notes):
        assert_type(Note.create(text="buy paper"), Note)
    assert_type(project.database_path(notes), Path)
    with project:
        return [note.text for note in Note.select()]


def main(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Run everything in *folder* and return what a test looks at."""
    set_connection_limit(16)
    projects = Projects(folder, durability="normal", busy_timeout_ms=5_000)
    project = assert_type(projects.create("aurora"), Project)
    assert_type(projects.get("aurora"), Project)
    assert_type(projects.find("borealis"), Project | None)
    bot = configure_assistants(project)
    talk = talk_to(project, bot)
    seen = {
        "window": read_back(project, talk),
        "refused": refuse(project, talk),
        "counted": count_with_models(project),
        "notes": keep_notes(project, Path(folder) / "migrations"),
        "problems": look_after(projects),
        "name": assert_type(project.name, str),
        "exists": assert_type(project.exists(), bool),
        "is_below": assert_type(project.path, Path).parent == projects.path,
        "listed": assert_type(projects.list(), list[str]),
        "disposed": close(projects.get("aurora")),
    }
    projects.get("aurora").delete()
    seen["deleted"] = assert_type(projects.delete("aurora"), bool)
    return seen
