"""The models and the SQL texts agree with the migrated tables."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest

from peewee_conv import Project, feature_models, models, statements
from peewee_conv.clock import from_text
from peewee_conv.database.schema import Schema
from peewee_conv.schemas import assistant, features

MODELS = [value for module in (models, feature_models) for value in module.Model.__subclasses__()]
TYPES = {
    peewee.TextField: {"TEXT", "VARCHAR", "DATETIME", "JSON"},
    peewee.IntegerField: {"INTEGER", "BOOLEAN"},
    peewee.BooleanField: {"BOOLEAN", "INTEGER"},
    peewee.FloatField: {"REAL"},
}
SQL_TEXTS = {
    **{
        f"{owned}.{name}": text
        for owned, texts in (("whole", statements.WHOLE_PROJECT), ("owner", statements.OF_ONE_OWNER))
        for name, text in vars(texts).items()
        if isinstance(text, str)
    },
    **{
        name: text
        for name, text in vars(statements).items()
        if isinstance(text, str) and re.match("(SELECT|INSERT|UPDATE|DELETE|WITH) ", text)
    },
    "listing": statements.listing(()),
    "listing.filtered": statements.listing(("user_id", "assistant_id", "project_name")),
    "listing.created": statements.listing(("assistant_id",), "created_at"),
    "search": statements.search("message_search", ()),
    "search.filtered": statements.search("message_search", ("role = ?", "conversations.id = ?")),
}


def schema_of(model: type[peewee.Model]) -> Schema:
    found: Schema = model._meta.database.__dict__["_schema"]
    return found


@pytest.fixture
def migrated(project: Project) -> Iterator[Callable[[Schema], sqlite3.Connection]]:
    """Open a fresh, migrated file of a schema."""
    opened: dict[str, sqlite3.Connection] = {}
    scope = project.scope()
    scope.__enter__()

    def connect(schema: Schema) -> sqlite3.Connection:
        connection: sqlite3.Connection = opened.setdefault(schema.name, schema.database.connection())
        return connection

    yield connect
    scope.__exit__()


Migrated = Callable[[Schema], sqlite3.Connection]


def columns(connection: sqlite3.Connection, table: str) -> dict[str, Any]:
    return {row[1]: row for row in connection.execute(f"PRAGMA table_info({table})")}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_the_columns_of_its_table(migrated: Migrated, model: type[peewee.Model]) -> None:
    found = columns(migrated(schema_of(model)), model._meta.table_name)

    assert {field.column_name for field in model._meta.sorted_fields} == set(found)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_knows_which_columns_may_be_null(migrated: Migrated, model: type[peewee.Model]) -> None:
    found = columns(migrated(schema_of(model)), model._meta.table_name)

    for field in model._meta.sorted_fields:
        # SQLite's own integer key is never null, whatever its table says.
        is_nullable = not found[field.column_name][3] and not found[field.column_name][5]
        assert field.null == is_nullable, field.name


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_the_types_of_its_table(migrated: Migrated, model: type[peewee.Model]) -> None:
    found = columns(migrated(schema_of(model)), model._meta.table_name)

    for field in model._meta.sorted_fields:
        plain = field.rel_field if isinstance(field, peewee.ForeignKeyField) else field
        kind = next(kind for kind in TYPES if isinstance(plain, kind))
        assert found[field.column_name][2].split("(")[0].upper() in TYPES[kind], field.name


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_the_primary_key_of_its_table(migrated: Migrated, model: type[peewee.Model]) -> None:
    found = columns(migrated(schema_of(model)), model._meta.table_name)

    assert [name for name, row in found.items() if row[5]] == [model._meta.primary_key.column_name]


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_the_foreign_keys_of_its_table(migrated: Migrated, model: type[peewee.Model]) -> None:
    rows = migrated(schema_of(model)).execute(f"PRAGMA foreign_key_list({model._meta.table_name})")

    assert {
        (field.column_name, field.rel_model._meta.table_name, field.rel_field.column_name, field.on_delete)
        for field in model._meta.sorted_fields
        if isinstance(field, peewee.ForeignKeyField)
    } == {(row[3], row[2], row[4], row[6]) for row in rows}


@pytest.mark.parametrize("schema", [assistant, features], ids=lambda schema: schema.name)
def test_every_table_has_a_model(migrated: Migrated, schema: Schema) -> None:
    names = migrated(schema).execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {name for (name,) in names if not name.startswith(("sqlite_", "message_search", "schema_migration"))}

    assert tables == {model._meta.table_name for model in MODELS if schema_of(model) is schema}


@pytest.mark.parametrize("schema", [assistant, features], ids=lambda schema: schema.name)
def test_every_foreign_key_has_an_index_and_says_what_a_deletion_does(migrated: Migrated, schema: Schema) -> None:
    connection = migrated(schema)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        indexed = {name for name, row in columns(connection, table).items() if row[5] == 1}
        for index in connection.execute(f"PRAGMA index_list('{table}')").fetchall():
            indexed |= {row[2] for row in connection.execute(f"PRAGMA index_info('{index[1]}')") if row[0] == 0}
        for key in connection.execute(f"PRAGMA foreign_key_list('{table}')"):
            assert key[3] in indexed, f"{table}.{key[3]} has no index"
            assert key[6] != "NO ACTION", f"{table}.{key[3]} does not say"


@pytest.mark.parametrize("name", SQL_TEXTS)
def test_every_sql_text_fits_the_tables(migrated: Migrated, name: str) -> None:
    sql = SQL_TEXTS[name]

    assert migrated(assistant).execute(f"EXPLAIN {sql}", [None] * sql.count("?")).fetchall()


def test_no_text_of_the_tables_is_known_to_be_slow(migrated: Migrated) -> None:
    """Every statement on conversations and messages is a search, never a scan of a whole table."""
    for name, sql in SQL_TEXTS.items():
        plan = migrated(assistant).execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?")).fetchall()
        scans = [
            row[3] for row in plan if re.match(r"SCAN (conversations|messages|assistants)\b(?! USING INDEX)", row[3])
        ]
        assert scans == [], name


# --- the fields ---


def test_times_are_aware_and_json_is_decoded(project: Project) -> None:
    talk = project.conversations.create(metadata={"tags": ["a", 1, None]})
    with project:
        row = models.Conversation.get()

    assert row.created_at == talk.created_at
    assert row.created_at.tzinfo is not None
    assert row.metadata == {"tags": ["a", 1, None]}


def test_rows_are_found_by_time_and_stored_as_text(project: Project) -> None:
    project.conversations.create()
    with project:
        row = models.Conversation.get()
        stored = assistant.database.execute_sql("SELECT created_at FROM conversations").fetchone()[0]

        assert from_text(stored) == row.created_at
        assert models.Conversation.select().where(models.Conversation.created_at <= row.created_at).count() == 1
        assert models.Conversation.select().where(models.Conversation.created_at < row.created_at).count() == 0


def test_a_value_that_json_cannot_hold_is_refused(project: Project) -> None:
    with project, pytest.raises(ValueError, match="JSON"):
        models.Conversation.update(metadata={"x": float("nan")}).execute()


def test_the_schema_refuses_what_the_services_refuse(project: Project) -> None:
    talk = project.conversations.create()
    project.conversations.add_message(talk.id, "user", "x")
    with project:
        for change in ({"role": "robot"}, {"token_count": -1}, {"sequence": 9}, {"metadata": "[]"}):
            with pytest.raises(peewee.IntegrityError):
                models.Message.update(**change).execute()


@pytest.mark.parametrize("schema", [assistant, features], ids=lambda schema: schema.name)
def test_the_scripts_of_the_bundled_schemas_are_found(schema: Schema) -> None:
    assert schema.migrations.scripts[0].name == "0001_initial"
    assert (Path(schema.migrations.directory) / "__init__.py").is_file()
