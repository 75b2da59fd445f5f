"""The logger ``peewee_conv`` says what was done, and never what was written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from account_tools import profile
from tickets import Tickets

from peewee_conv import Project, maintenance
from peewee_conv.database.cache import set_connection_limit
from peewee_conv.database.statement_log import LoggingConnection, without_values
from peewee_conv.errors import PeeweeConvError
from peewee_conv.models import Message
from peewee_conv.schemas import assistant
from peewee_conv.transfer import export_conversations, import_conversations

MakeProject = Callable[..., Project]
Lines = Callable[..., list[str]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """``lines(level)`` gives the messages of this logger, of that level alone."""
    caplog.set_level(logging.INFO, logger="peewee_conv")

    def find(level: int = logging.INFO) -> list[str]:
        return [
            record.getMessage() for record in caplog.records if (record.name, record.levelno) == ("peewee_conv", level)
        ]

    return find


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture, lines: Lines) -> Lines:
    caplog.set_level(1, logger="peewee_conv")
    return lines


# --- operations ---


def test_the_life_of_a_project_is_logged(project: Project, lines: Lines) -> None:
    path, head = project.database_path(), assistant.migrations.head

    project.conversations.create()
    project.delete()

    said = lines()
    assert said[0].endswith(f" upgraded from version 0 to {head}")
    assert said[1:] == [
        f"{path} created",
        f"{path} opened, journal mode wal",
        f"{project.path} disposed",
        f"{path.parent} deleted",
    ]


def test_opening_again_what_was_closed_to_make_room_is_no_news(make_project: MakeProject, lines: Lines) -> None:
    set_connection_limit(1)
    projects = [make_project("one"), make_project("two")]

    for _ in range(3):
        for project in projects:
            project.conversations.list()

    assert sum(" opened" in line for line in lines()) == 2


def test_backup_and_restore_are_logged(project: Project, tmp_path: Path, lines: Lines) -> None:
    project.conversations.create()
    made = project.backup(tmp_path / "copy.db")
    project.restore(tmp_path / "copy.db")

    assert f"{project.database_path()} backed up to {made.path}, {made.bytes} bytes" in lines()
    assert f"{project.database_path()} restored from {made.path}" in lines()


def test_a_repair_is_logged_by_kind(project: Project, lines: Lines) -> None:
    project.conversations.create()
    with project:
        Message._meta.database.execute_sql("UPDATE conversations SET message_count = 5")
    project.repair()

    assert f"{project.database_path()} repaired: counts" in lines()


def test_a_downgrade_is_logged(project: Project, lines: Lines) -> None:
    project.conversations.list()
    maintenance.downgrade(project, to=0)

    assert f"{project.database_path()} taken back from version {assistant.migrations.head} to 0" in lines()


def test_imports_and_exports_are_logged_in_numbers(make_project: MakeProject, tmp_path: Path, lines: Lines) -> None:
    source, target = make_project("source"), make_project("target")
    source.conversations.add_message(source.conversations.create().id, "user", "hello")
    file = tmp_path / "talks.jsonl"
    export_conversations(source, file)
    import_conversations(target, file)

    assert f"{source.path}: 1 conversations with 1 messages exported to {file}" in lines()
    assert f"{target.path}: 1 conversations and 1 messages imported from {file}" in lines()


# --- statements ---


def test_statements_are_logged_with_their_duration(project: Project, debug: Lines) -> None:
    talk = project.conversations.create()
    project.conversations.add_message(talk.id, "user", "hello")

    appends = [line for line in debug(logging.DEBUG) if "INSERT INTO messages (" in line]
    path, duration, unit = appends[-1].split(" ")[:3]
    assert (path, unit) == (f"{project.database_path()}:", "ms:")
    assert float(duration) > 0


def test_statements_of_plain_peewee_are_logged(project: Project, debug: Lines) -> None:
    with project:
        Message.select().where(Message.content == "hidden").count()

    assert any('"t1"."content" = ?' in line for line in debug(logging.DEBUG))


def test_a_statement_that_fails_is_logged_with_the_class_of_its_error(project: Project, debug: Lines) -> None:
    with project, pytest.raises(Exception, match="no such table"):
        Message.raw("SELECT * FROM absent").execute()

    assert any("ms failed with OperationalError: SELECT * FROM absent" in line for line in debug(logging.DEBUG))


def test_who_did_not_ask_has_ordinary_connections(project: Project, lines: Lines) -> None:
    with project:
        project.conversations.list()
        connection = Message._meta.database.connection()

    assert not isinstance(connection, LoggingConnection)
    assert lines(logging.DEBUG) == []


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT 'secret'", "SELECT '...'"),
        ("SELECT 'it''s', x'00ff', 5", "SELECT '...', x'...', 5"),
        ("SELECT 'never closed", "SELECT '...'"),
        (" SELECT\n  1\t", "SELECT 1"),
        ("SELECT " + "1, " * 1000 + "1", ("SELECT " + "1, " * 1000)[:2000] + " ..."),
    ],
)
def test_texts_inside_a_statement_are_left_out(sql: str, shown: str) -> None:
    assert without_values(sql) == shown


# --- what must never be there ---


def use_everything(project: Project, tmp_path: Path, tickets: Tickets) -> list[str]:
    """Put secrets wherever an application can, failures included, and return them."""
    accounts, talks = project.accounts, project.conversations
    key = accounts.create_key()
    entry = accounts.sign_in(profile("zanzibar"), referral_key=key)
    accounts.validate_session(entry.token)
    bot = project.assistants.create(name="zanzibar", instructions="zanzibar", model="gpt-4")
    talk = talks.create(id="talk", title="zanzibar", metadata={"zanzibar": 1}, assistant_id=bot.id)
    talks.add_message(talk.id, "user", "zanzibar", external_id="zanzibar", metadata={"zanzibar": 2})
    talks.add_messages(talk.id, [{"role": "user", "content": "zanzibar"}] * 3)
    with project.atomic():
        talks.search("zanzibar")
        Message.update(content="zanzibar").execute()
        Message._meta.database.execute_sql("UPDATE conversations SET title = 'zanzibar'")
    for wrong in (
        lambda: talks.add_message(talk.id, "zanzibar", "zanzibar"),
        lambda: talks.add_message("zanzibar", "user", "zanzibar"),
        lambda: talks.create(id="talk", title="zanzibar"),
        lambda: accounts.sign_in(profile("zanzibar2"), referral_key="zanzibar"),
    ):
        with pytest.raises(PeeweeConvError):
            wrong()
    with project:
        tickets.Ticket.create(title="zanzibar")
        with pytest.raises(Exception, match="syntax error"):
            Message.raw("SELECT 'zanzibar' FROM WHERE").execute()
    export_conversations(project, tmp_path / "out.jsonl")
    talks.delete(talk.id)
    import_conversations(project, tmp_path / "out.jsonl")
    project.features.create("zanzibar", description="zanzibar", steps=["zanzibar"])
    project.backup(tmp_path / "copy.db")
    project.repair()
    return ["zanzibar", key, entry.token]


@pytest.mark.parametrize("level", [1, logging.INFO])
def test_no_record_has_content_or_secrets(
    project: Project, tickets: Tickets, tmp_path: Path, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level, logger="peewee_conv")

    secrets = use_everything(project, tmp_path, tickets)
    project.dispose()

    ours = [str(vars(record)) for record in caplog.records if record.name == "peewee_conv"]
    assert len(ours) > 8
    assert [line for line in ours if any(secret in line for secret in secrets)] == []
