"""Damaged database files: our own, those that are upgraded in place, and those that are adopted.

Bytes are flipped and cut; and, to get past SQLite's own checks, rows and tables are changed by statements that keep the
file sound: values of any type in any column, tables without a column, views in the place of tables, triggers.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final

from fuzz_values import Target, damaged, number, outcome, text
from legacy_files import ASSISTANT, NEWEST, NEWEST_ROWS, OLDEST, make
from source_databases import autoforge_assistant, autoforge_features, chatdf, haia, sovereign

from peewee_conv import Project
from peewee_conv.adopt import adopt
from peewee_conv.feature_transfer import export_features
from peewee_conv.schemas import assistant, features
from peewee_conv.transfer import export_conversations, export_markdown

_VALUES: Final = (None, 0, 1, -1, 2**31, 2**63 - 1, -(2**63), 0.5, 1e300, float("inf"), b"", b"\xff\xfe", "", "a\0b")


def _value(chance: Random) -> Any:
    if chance.random() < 0.5:
        return chance.choice(_VALUES)
    found = text(chance) if chance.random() < 0.7 else number(chance)
    if isinstance(found, int):
        return max(-(2**63), min(2**63 - 1, found))
    return found.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def change_rows(connection: sqlite3.Connection, chance: Random) -> None:
    """Put values of any type anywhere, or take things away and add others, as far as SQLite goes along."""
    connection.execute("PRAGMA ignore_check_constraints = ON")
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for _ in range(chance.randrange(1, 5)):
        table = chance.choice(tables)
        with contextlib.suppress(sqlite3.Error):  # a rule of the table, or of SQLite: then another statement
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")]
            if columns:
                connection.execute(*_statement(chance, _quoted(table), _quoted(chance.choice(columns))))


def _statement(chance: Random, table: str, column: str) -> tuple[str, tuple[Any, ...]]:
    value = _value(chance)
    which = f"rowid % {chance.randrange(1, 4)} = 0"
    if chance.random() < 0.7:
        stored = "CAST(? AS TEXT)" if isinstance(value, bytes) and chance.random() < 0.5 else "?"
        return f"UPDATE {table} SET {column} = {stored} WHERE {which}", (value,)
    return chance.choice(
        (
            f"DELETE FROM {table} WHERE {which}",
            f"DROP TABLE {table}",
            f"ALTER TABLE {table} DROP COLUMN {column}",
            f"ALTER TABLE {table} RENAME COLUMN {column} TO other",
            f"ALTER TABLE {table} ADD COLUMN other",
            f"ALTER TABLE {table} RENAME TO other",
            f"CREATE TABLE sqlite_stat1_{chance.randrange(9)} AS SELECT * FROM {table}",
            f"CREATE VIEW seen AS SELECT {column} FROM {table}",
            f"CREATE TRIGGER hidden AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END",
            f"CREATE TRIGGER hidden BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END",
            f"CREATE INDEX other ON {table} ({column})",
            f"PRAGMA user_version = {chance.randrange(-1, 9)}",
            "PRAGMA application_id = 1",
        )
    ), ()


def spoil(path: Path, chance: Random, original: bytes) -> None:
    """Write *original* to *path*, damaged in one way or the other."""
    if chance.random() < 0.5:
        path.write_bytes(damaged(chance, original))
        return
    path.write_bytes(original)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA synchronous = OFF")
        change_rows(connection, chance)


def _clean(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


# --- our own files ------------------------------------------------------------------------------------------------


def _template(folder: Path) -> list[tuple[Any, bytes]]:
    project = Project(folder, durability="normal", journal_mode="delete")
    for _ in range(3):
        talk = project.conversations.create(metadata={"a": 1})
        for place in range(20):
            project.conversations.add_message(talk.id, "user", f"message {place}", metadata={"b": place})
    project.assistants.create("Aurora", "You analyse markets.")
    project.accounts.create_key()
    project.conversations.search("message")
    project.features.create_many([{"name": f"Feature {place}"} for place in range(5)])
    project.features.set_dependencies(5, [1, 2])
    project.features.claim(1)
    project.features.request_human_input(1, "Which?", [{"id": "a", "label": "A", "type": "text"}])
    project.schedules.create("23:00", 120)
    project.dispose()
    return [(schema, project.database_path(schema).read_bytes()) for schema in (assistant, features)]


_TALKS: Final[tuple[Callable[[Project], Any], ...]] = (
    lambda project: project.check(),
    lambda project: project.health().to_dict(),
    lambda project: [talk.to_dict() for talk in project.conversations.list()],
    lambda project: [
        message.to_dict()
        for talk in project.conversations.list()
        for message in project.conversations.messages(talk.id)
    ],
    lambda project: [project.conversations.context(talk.id, max_tokens=9) for talk in project.conversations.list()],
    lambda project: [hit.to_dict() for hit in project.conversations.search("message")],
    lambda project: [bot.to_dict() for bot in project.assistants.list()],
    lambda project: [key.to_dict() for key in project.accounts.list_keys()],
    lambda project: project.conversations.create(title="Outlook"),
    lambda project: [
        project.conversations.add_message(talk.id, "user", "Hello!") for talk in project.conversations.list(limit=1)
    ],
    lambda project: [project.conversations.prune(talk.id, 3) for talk in project.conversations.list()],
    lambda project: [project.conversations.delete(talk.id) for talk in project.conversations.list()],
    lambda project: export_conversations(project, io.BytesIO()),
    lambda project: export_markdown(project, io.BytesIO()),
    lambda project: project.repair(),
    lambda project: project.retain(prune=3, purge=True),
    lambda project: project.backup(project.path / "copy.db"),
)
_QUEUE: Final[tuple[Callable[[Project], Any], ...]] = (
    lambda project: project.check(features),
    lambda project: project.health(features).to_dict(),
    lambda project: [feature.to_dict() for feature in project.features.all()],
    lambda project: project.features.graph(),
    lambda project: [project.features.ready(), project.features.blocked(), project.features.stats()],
    lambda project: project.features.claim_next(),
    lambda project: project.features.set_dependencies(4, [5]),
    lambda project: project.features.resolve_human_input(1, {"a": "yes"}),
    lambda project: project.features.delete(1),
    lambda project: project.features.skip(2),
    lambda project: [plan.to_dict() for plan in project.schedules.list()],
    lambda project: project.schedules.active_windows(),
    lambda project: project.schedules.record_crash(1),
    lambda project: export_features(project, project.path / "list.json"),
    lambda project: project.repair(features),
)
_USES: Final = {assistant: _TALKS, features: _QUEUE}


def own_files(folder: Path) -> Target:
    """Return the target of our own files: opened, read, written, checked, repaired."""
    originals = _template(folder / "template")
    root = folder / "project"
    data = root / ".peewee_conv"

    def target(chance: Random) -> None:
        _clean(root)
        data.mkdir(mode=0o700)
        schema, original = chance.choice(originals)
        spoil(data / f"{schema.name}.db", chance, original)
        project = Project(root, durability="normal", journal_mode="delete", busy_timeout_ms=100)
        try:
            for use in chance.sample(_USES[schema], 3):
                outcome(use, project)
        finally:
            project.dispose()

    return target


# --- files of other applications ----------------------------------------------------------------------------------

_SOURCES: Final[dict[str, Callable[[Path], None]]] = {
    "features.db": autoforge_features,
    "assistant.db": lambda path: autoforge_assistant(path, messages=5),
    "sovereign.db": lambda path: sovereign(path, messages=5),
    "haia.db": lambda path: haia(path, messages=5),
    "chatdf.db": lambda path: chatdf(path, messages=5, journal="delete"),
    "chatdf_head.db": lambda path: chatdf(path, messages=5, journal="delete", head=True),
}


def legacy_files(folder: Path) -> Target:
    """Return the target of AutoForge's files: upgraded in place to a sound file, or refused and left as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    make(folder / "newest.db", NEWEST + NEWEST_ROWS)
    make(folder / "oldest.db", OLDEST + "INSERT INTO features VALUES (1, 1, 'c', 'n', '', '[]', 0)")
    make(folder / "talks.db", ASSISTANT)
    autoforge_assistant(folder / "many.db", messages=5)
    originals = [
        (schema, (folder / f"{name}.db").read_bytes())
        for name, schema in (("newest", features), ("oldest", features), ("talks", assistant), ("many", assistant))
    ]
    root = folder / "project"

    def target(chance: Random) -> None:
        _clean(root)
        schema, original = chance.choice(originals)
        path = root / f"{schema.name}.db"
        spoil(path, chance, original)
        before, was_damaged = path.read_bytes(), _is_damaged(path)
        project = Project(root, durability="normal", journal_mode="delete", busy_timeout_ms=100)
        try:
            found = outcome(_use_of(schema), project)
            if found.error is not None:
                assert path.read_bytes() == before, f"it was changed and refused: {found.error!r}"
            else:
                left = [problem for problem in project.check(schema) if problem.kind != "permissions"]
                unexpected = [problem for problem in left if "view seen" not in problem.detail]
                assert unexpected == [] or was_damaged, unexpected
        finally:
            project.dispose()

    return target


def _is_damaged(path: Path) -> bool:
    """Say whether SQLite itself finds something, such as a page that nothing uses: an upgrade leaves that as it is."""
    with closing(sqlite3.connect(path)) as connection, contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
        return [line for (line,) in connection.execute("PRAGMA integrity_check")] != ["ok"]
    return True


def _use_of(schema: Any) -> Callable[[Project], Any]:
    if schema is features:
        return lambda project: [feature.to_dict() for feature in project.features.all()]
    return lambda project: [talk.to_dict() for talk in project.conversations.list()]


def sources(folder: Path) -> Target:
    """Return the target of adoptions: what is copied makes a sound project, and the source stays as it was."""
    folder.mkdir(parents=True, exist_ok=True)
    originals = {}
    for name, write in _SOURCES.items():
        write(folder / name)
        originals[name] = (folder / name).read_bytes()
    root, source = folder / "project", folder / "source.db"

    def target(chance: Random) -> None:
        _clean(root)
        spoil(source, chance, originals[chance.choice(list(originals))])
        before = source.read_bytes()
        project = Project(root, durability="normal", journal_mode="delete", busy_timeout_ms=100)
        try:
            found = outcome(adopt, source, project)
            assert source.read_bytes() == before
            if found.error is None:
                for schema in (assistant, features):
                    assert [each for each in project.check(schema) if each.kind != "missing"] == []
        finally:
            project.dispose()

    return target
