"""Schemas of a user's own work like the bundled ones: a file per project, upgraded by itself, bound by scope."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peewee
import pytest
from tickets import INITIAL, Tickets, make_tickets, write_scripts

from peewee_conv import Project, Schema
from peewee_conv.errors import DatabaseGone, InvalidArgument, MigrationFailed

MakeProject = Callable[..., Project]


def test_every_project_gets_a_file_of_its_own(make_project: MakeProject, tickets: Tickets) -> None:
    for name in ("aurora", "borealis"):
        with make_project(name):
            tickets.Ticket.create(title=f"of {name}")

    for name in ("aurora", "borealis"):
        project = make_project(name)
        assert project.database_path(tickets.schema) == project.path / ".peewee_conv" / "tickets.db"
        with project:
            assert [row.title for row in tickets.Ticket.select()] == [f"of {name}"]


def test_the_file_is_made_on_first_use_alone(project: Project, tickets: Tickets) -> None:
    with project:
        project.conversations.create()
        assert not project.database_path(tickets.schema).exists()

        assert tickets.Ticket.select().count() == 0
        assert project.database_path(tickets.schema).exists()


def test_its_file_is_kept_like_the_bundled_ones(make_project: MakeProject, tickets: Tickets) -> None:
    project = make_project(durability="normal", busy_timeout_ms=1234)
    with project:
        answers = [
            tickets.schema.database.pragma(name)
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "page_size", "user_version")
        ]

    assert answers == ["wal", 1, 1234, 1, 8192, 1]
    assert oct(project.database_path(tickets.schema).stat().st_mode)[-3:] == "600"


def test_foreign_keys_cascade(project: Project, tickets: Tickets) -> None:
    with project:
        ticket = tickets.Ticket.create(title="x")
        tickets.Comment.create(ticket=ticket, text="y")

        ticket.delete_instance()

        assert tickets.Comment.select().count() == 0


def test_a_deleted_file_is_noticed(project: Project, tickets: Tickets) -> None:
    with project:
        tickets.Ticket.create(title="x")
    project.database_path(tickets.schema).unlink()

    with project, pytest.raises(DatabaseGone):
        tickets.Ticket.select().count()


def test_delete_removes_its_file_too(project: Project, tickets: Tickets) -> None:
    with project:
        tickets.Ticket.create(title="x")

    project.delete()

    assert list(project.path.iterdir()) == []


def test_two_schemas_with_models_of_one_name_stay_apart(tmp_path: Path, project: Project, tickets: Tickets) -> None:
    other = make_tickets(tmp_path / "others", name="others")
    with project:
        tickets.Ticket.create(title="of tickets")
        other.Ticket.create(title="of others")

        assert [row.title for row in tickets.Ticket.select()] == ["of tickets"]
        assert [row.title for row in other.Ticket.select()] == ["of others"]


def test_the_base_class_does_not_leak_a_database_of_one_project(project: Project, tickets: Tickets) -> None:
    with project:

        class Late(tickets.schema.Model):  # type: ignore[name-defined,misc]
            text = peewee.TextField()

    assert Late._meta.database is tickets.schema.database


def test_a_model_has_the_table_name_of_its_class(tickets: Tickets) -> None:
    class LongNameOfATable(tickets.schema.Model):  # type: ignore[name-defined,misc]
        text = peewee.TextField()

    assert LongNameOfATable._meta.table_name == "long_name_of_a_table"


def test_making_a_schema_reads_nothing(tmp_path: Path) -> None:
    Schema("later", migrations=tmp_path / "not there yet")


def test_a_missing_folder_is_reported_on_first_use(tmp_path: Path, project: Project) -> None:
    schema = Schema("later", migrations=tmp_path / "missing")

    with project, pytest.raises(MigrationFailed, match="cannot be read"):
        schema.database.get_tables()

    assert not project.database_path(schema).exists()


def test_a_relative_folder_is_resolved_when_the_schema_is_made(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scripts(tmp_path / "migrations", INITIAL)
    monkeypatch.chdir(tmp_path)
    schema = Schema("tickets", migrations="migrations")
    monkeypatch.chdir("/")

    with project:
        assert "ticket" in schema.database.get_tables()


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "_a", "a-b", "a b", "a/b", "../a", "a.db", "a\n", "é", "a" * 33, None, 7, b"a", "assistant"]
)
def test_a_bad_name_is_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid name"):
        Schema(name, migrations=tmp_path)


@pytest.mark.parametrize("name", ["assistant", "features"])
def test_a_bundled_name_is_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="another name, this one belongs to peewee_conv"):
        Schema(name, migrations=tmp_path)


@pytest.mark.parametrize("folder", [None, 7, b"bytes", ""])
def test_a_bad_folder_is_refused(folder: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid migrations .*: expected the path of a folder"):
        Schema("tickets", migrations=folder)


def test_a_schema_shows_its_name(tickets: Tickets) -> None:
    assert repr(tickets.schema) == "<Schema tickets>"


def test_a_script_in_an_installed_application_imports_its_own_modules(tmp_path: Path) -> None:
    """As ``Schema("tickets", migrations="myapp/migrations")`` is used: in another process, from another folder."""
    write_scripts(tmp_path / "myapp" / "migrations", INITIAL)
    (tmp_path / "myapp" / "__init__.py").write_text(
        "import os\n"
        "from peewee import AutoField, TextField\n"
        "from peewee_conv import Project, Schema\n"
        "tickets = Schema('tickets', migrations=os.path.join(os.path.dirname(__file__), 'migrations'))\n"
        "class Ticket(tickets.Model):\n"
        "    id = AutoField()\n"
        "    title = TextField()\n"
        "    votes = TextField(default='0')\n"
    )
    program = (
        "from myapp import Project, Ticket\n"
        "with Project('data/aurora') as aurora:\n"
        "    Ticket.create(title='x')\n"
        "    print(Ticket.select().count())\n"
    )
    search = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("1\n", "")
