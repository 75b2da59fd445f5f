"""A schema of a user's own, as the tests use it: tickets with comments, whose parent is checked at the commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import peewee

from peewee_conv import Schema

INITIAL = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE ticket (id INTEGER NOT NULL PRIMARY KEY, title TEXT NOT NULL, votes INTEGER NOT NULL)")
    db.execute_sql(
        "CREATE TABLE comment (id INTEGER NOT NULL PRIMARY KEY, text TEXT NOT NULL, ticket_id INTEGER NOT NULL"
        " REFERENCES ticket (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)"
    )
    db.execute_sql("CREATE INDEX idx_comment_ticket_id ON comment (ticket_id)")


def down(migrator, db):
    db.execute_sql("DROP TABLE comment")
    db.execute_sql("DROP TABLE ticket")
"""


def write_scripts(folder: Path, *bodies: str) -> Path:
    """Write *bodies* as the scripts 0001_step.py, 0002_step.py, ... and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, body in enumerate(bodies, 1):
        (folder / f"{number:04}_step.py").write_text(body)
    return folder


class Tickets(NamedTuple):
    """The schema and its models."""

    schema: Schema
    Ticket: Any
    Comment: Any


def make_tickets(folder: Path, *later: str, name: str = "tickets") -> Tickets:
    """Return a new schema whose scripts are in *folder*: the initial one and *later*."""
    schema = Schema(name, migrations=write_scripts(folder, INITIAL, *later))

    class Ticket(schema.Model):  # type: ignore[name-defined,misc]
        id = peewee.AutoField()
        title = peewee.TextField()
        votes = peewee.IntegerField(default=0)

    class Comment(schema.Model):  # type: ignore[name-defined,misc]
        id = peewee.AutoField()
        ticket = peewee.ForeignKeyField(Ticket, backref="comments", on_delete="CASCADE")
        text = peewee.TextField()

    return Tickets(schema, Ticket, Comment)
