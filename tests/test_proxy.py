"""Models resolve to the project of their scope, and to nothing outside one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import peewee
import pytest
from playhouse.migrate import SchemaMigrator, SqliteMigrator
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.database.pool import ProjectDatabase
from peewee_conv.errors import PeeweeConvError, ProjectNotBound
from peewee_conv.models import Message, assistant

UNBOUND: dict[str, Callable[[Tickets], Any]] = {
    "select": lambda t: list(t.Ticket.select()),
    "count": lambda t: t.Ticket.select().count(),
    "exists": lambda t: t.Ticket.select().exists(),
    "get": lambda t: t.Ticket.get(t.Ticket.id == 1),
    "get_by_id": lambda t: t.Ticket.get_by_id(1),
    "get_or_none": lambda t: t.Ticket.get_or_none(t.Ticket.id == 1),
    "get_or_create": lambda t: t.Ticket.get_or_create(title="x"),
    "scalar": lambda t: t.Ticket.select(peewee.fn.SUM(t.Ticket.votes)).scalar(),
    "iterator": lambda t: list(t.Ticket.select().iterator()),
    "tuples": lambda t: list(t.Ticket.select().tuples()),
    "raw": lambda t: list(t.Ticket.raw("SELECT * FROM ticket")),
    "create": lambda t: t.Ticket.create(title="x"),
    "save": lambda t: t.Ticket(title="x").save(),
    "insert": lambda t: t.Ticket.insert(title="x").execute(),
    "insert_many": lambda t: t.Ticket.insert_many([{"title": "x", "votes": 0}]).execute(),
    "bulk_create": lambda t: t.Ticket.bulk_create([t.Ticket(title="x")]),
    "bulk_update": lambda t: t.Ticket.bulk_update([t.Ticket(id=1, title="x")], [t.Ticket.title]),
    "update": lambda t: t.Ticket.update(title="x").execute(),
    "delete": lambda t: t.Ticket.delete().execute(),
    "delete_instance": lambda t: t.Ticket(id=1).delete_instance(),
    "delete_recursive": lambda t: t.Ticket(id=1).delete_instance(recursive=True),
    "backref": lambda t: list(t.Ticket(id=1).comments),
    "lazy_parent": lambda t: t.Comment(id=1, ticket=1).ticket,
    "prefetch": lambda t: peewee.prefetch(t.Ticket.select(), t.Comment.select()),
    "create_table": lambda t: t.Ticket.create_table(),
    "table_exists": lambda t: t.Ticket.table_exists(),
    "truncate": lambda t: t.Ticket.truncate_table(),
    "execute_sql": lambda t: t.schema.database.execute_sql("SELECT 1"),
    "get_tables": lambda t: t.schema.database.get_tables(),
    "create_tables": lambda t: t.schema.database.create_tables([t.Ticket]),
    "connect": lambda t: t.schema.database.connect(),
    "connection": lambda t: t.schema.database.connection(),
    "cursor": lambda t: t.schema.database.cursor(),
    "connection_context": lambda t: t.schema.database.connection_context(),
    "atomic": lambda t: t.schema.database.atomic().__enter__(),
    "transaction": lambda t: t.schema.database.transaction().__enter__(),
    "savepoint": lambda t: t.schema.database.savepoint().__enter__(),
    "begin": lambda t: t.schema.database.begin(),
    "with": lambda t: t.schema.database.__enter__(),
    "session_start": lambda t: t.schema.database.session_start(),
    "after_commit": lambda t: t.schema.database.after_commit(lambda: None),
    "pragma": lambda t: t.schema.database.user_version,
}


@pytest.mark.parametrize("use", UNBOUND.values(), ids=UNBOUND)
def test_unbound_use_says_what_to_do(tickets: Tickets, use: Callable[[Tickets], Any]) -> None:
    with pytest.raises(ProjectNotBound, match="enter one first with 'with project:'"):
        use(tickets)


def test_the_error_of_unbound_use_is_ours_and_not_peewees(tickets: Tickets) -> None:
    with pytest.raises(ProjectNotBound) as caught:
        tickets.Ticket.select().count()

    assert isinstance(caught.value, PeeweeConvError)
    assert isinstance(caught.value, RuntimeError)
    assert not isinstance(caught.value, peewee.PeeweeException)


def test_unbound_models_can_build_sql(tickets: Tickets) -> None:
    sql, params = tickets.Ticket.select(tickets.Ticket.id).where(tickets.Ticket.title == "x").sql()

    assert (sql, params) == ('SELECT "t1"."id" FROM "ticket" AS "t1" WHERE ("t1"."title" = ?)', ["x"])


def test_a_proxy_is_never_initialized(tickets: Tickets) -> None:
    with pytest.raises(TypeError, match="never initialized"):
        tickets.schema.database.initialize(peewee.SqliteDatabase(":memory:"))


def test_the_proxy_offers_no_base_class_of_one_project(project: Project, tickets: Tickets) -> None:
    with project, pytest.raises(TypeError, match="use the Model of the Schema"):
        _ = tickets.schema.database.Model


@pytest.mark.parametrize("verb", ["begin", "commit", "rollback", "manual_commit"])
def test_transactions_are_not_steered_by_hand(project: Project, tickets: Tickets, verb: str) -> None:
    with project, pytest.raises(TypeError, match=r"made by atomic\(\)"):
        getattr(tickets.schema.database, verb)()


def test_the_proxy_resolves_to_the_file_of_the_scope(project: Project, tickets: Tickets) -> None:
    with project:
        database = tickets.schema.database.obj
        assert isinstance(database, ProjectDatabase)
        assert database.path == str(project.database_path(tickets.schema))

    assert not isinstance(tickets.schema.database.obj, ProjectDatabase)


def test_each_schema_resolves_to_a_file_of_its_own(project: Project, tickets: Tickets) -> None:
    with project:
        tickets.Ticket.create(title="printer on fire")
        project.conversations.create()

        assert tickets.schema.database.get_tables() == ["comment", "schema_migration", "ticket"]
        assert "ticket" not in assistant.database.get_tables()


def test_a_query_runs_where_it_is_executed(make_project: Callable[..., Project], tickets: Tickets) -> None:
    aurora, borealis = make_project("aurora"), make_project("borealis")
    with aurora:
        tickets.Ticket.create(title="of aurora")
        query = tickets.Ticket.select().where(tickets.Ticket.votes == 0)

    with borealis:
        assert query.count() == 0
    with aurora:
        assert query.count() == 1


def test_a_deep_copy_of_the_proxy_is_still_bound_by_scope(
    make_project: Callable[..., Project], tickets: Tickets
) -> None:
    aurora, borealis = make_project("aurora"), make_project("borealis")
    with aurora:
        query = copy.deepcopy(tickets.Ticket.select())
        tickets.Ticket.create(title="of aurora")

    with borealis:
        assert query.count() == 0


def test_a_template_answers_that_it_is_closed(tickets: Tickets) -> None:
    assert tickets.schema.database.is_closed()
    assert tickets.schema.database.close() is False


def test_inside_a_scope_the_database_is_open(project: Project, tickets: Tickets) -> None:
    with project:
        assert not tickets.schema.database.is_closed()
        assert tickets.schema.database.connect(reuse_if_open=True) is False
        assert tickets.schema.database.close() is False
        assert tickets.Ticket.select().count() == 0


def test_foreign_keys_of_bundled_models_give_the_id_alone(project: Project) -> None:
    with project:
        talk = project.conversations.create()
        project.conversations.add_message(talk.id, "user", "Hello!")

        assert Message.get().conversation == 1


def test_playhouse_finds_the_migrator_of_the_dialect(project: Project, tickets: Tickets) -> None:
    with project:
        assert isinstance(SchemaMigrator.from_database(tickets.schema.database), SqliteMigrator)
