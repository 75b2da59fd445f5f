"""Write ``schema.md`` from what the migrations make of an empty file: ``python docs/generate_schema.py``.

A test fails while the page differs from what this script would write.
"""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path
from typing import Any

from peewee_conv import Project, Schema, feature_models, models

SCHEMAS = (models.assistant, feature_models.features)

HEAD = """\
<!-- Written by docs/generate_schema.py: change the migrations, then run it. -->
# Tables

This page shows what the migrations make of an empty file, as SQLite keeps it. Read it before you write SQL or
[Peewee queries](concepts.md#models) of your own.

![The tables of assistant.db and what refers to what](_static/schema.svg)

Rules that hold for all tables:

- **Times** are text of one width, `2026-03-01T12:00:00.000000Z`: always UTC, and text order is time order.
- **JSON** is text. **Ids** are text, and time-ordered unless the caller brings an id along.
- **`user_version`** of a file is the number of its last migration. The table `schema_migration` lists the migrations by
  name.
- **`application_id`** of a file is 0x70776376, which marks it as one of ours.
- Pages are of 8 kB, so a file without rows is not tiny: `assistant.db` has about 400 kB.
"""

# Tables and views that no model stands for.
DESCRIPTIONS = {
    "message_search": "The full-text index over the content of messages.",
    "message_search_pending": "Conversations that have messages which are not in the full-text index yet.",
    "message_search_source": "What the full-text index has indexed; SQLite compares the two to check the index.",
}


def describe(schema: Schema) -> dict[str, str]:
    """Return the first line of each model's docstring, by table."""
    base = models.Model if schema is models.assistant else feature_models.Model
    tables = {model._meta.table_name: (model.__doc__ or "").splitlines()[0] for model in base.__subclasses__()}
    return tables | DESCRIPTIONS


def read_objects(schema: Schema) -> list[tuple[str, str, str, str]]:
    """Return (type, name, table, SQL) of all that the migrations make in an empty file, in their order."""
    query = (
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        " AND tbl_name <> 'schema_migration'"
        " AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow') ORDER BY rowid"
    )
    with tempfile.TemporaryDirectory() as folder:
        project = Project(folder)
        with project:
            found: list[Any] = schema.database.execute_sql(query).fetchall()
        project.dispose()
    return found


def tidy(sql: str) -> str:
    """Return a statement without the indentation that it has in its script."""
    first, _, rest = sql.partition("\n")
    return f"{first}\n{textwrap.dedent(rest)}".rstrip() + ";"


def render_schema(schema: Schema) -> str:
    """Return the part of the page about one file."""
    objects = read_objects(schema)
    descriptions = describe(schema)
    parts = [f"## {schema.name}.db"]
    for type_, name, _, _ in objects:
        if type_ in ("table", "view"):
            statements = "\n".join(tidy(sql) for _, _, table, sql in objects if table == name)
            parts.append(f"### {name}\n\n{descriptions[name]}\n\n```sql\n{statements}\n```")
    return "\n\n".join(parts)


def render() -> str:
    """Return the whole page."""
    return "\n\n".join([HEAD.rstrip(), *(render_schema(schema) for schema in SCHEMAS)]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("schema.md").write_text(render(), encoding="utf-8")
