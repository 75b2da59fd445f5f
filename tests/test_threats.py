"""The threat model: every test that its page names exists, and what no other test of the project shows."""

from __future__ import annotations

import ast
import io
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from peewee_conv import Project
from peewee_conv.database import files
from peewee_conv.errors import DatabaseFailure, InvalidArgument, PeeweeConvError
from peewee_conv.schemas import features
from peewee_conv.transfer import export_conversations

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "threats.md"
NAMED = re.compile(r"`((?:\w+/)?test_\w+\.py)::(test_\w+)`")

#: Modules that run what they read, or open a shell; and functions that do. Migrations are code, and run as such.
RUNS: Final = {"pickle", "marshal", "shelve", "yaml", "dill", "cloudpickle", "code", "codeop", "pty"}
CALLS: Final = {"eval", "exec", "compile", "__import__", "system", "popen", "enable_load_extension", "load_extension"}
#: What stands in the texts of statements besides our own constants: each was read, and is a word of the code that
#: calls. Whoever adds one makes sure that no caller of the package can choose it.
OWN_WORDS: Final = {
    *("', '.join(Feature.fields)", "', '.join(values)", "column", "condition", "marks", "min(usual, _PATIENCE_MS)"),
    *("mode", "name", "names", "number", "order", "pragma", "quoted", "settings", "table", "usual", "where"),
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "peewee_conv").rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


# --- the page -----------------------------------------------------------------------------------------------------


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert len(named) > 50
    assert missing == []


def test_every_threat_of_the_page_is_shown_by_a_test() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.count(" | ") == 2]

    assert [row for row in rows if not NAMED.search(row) and "Shown by" not in row] == []


# --- the package --------------------------------------------------------------------------------------------------


def test_nothing_in_the_package_runs_what_it_reads() -> None:
    found = []
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                brought = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                found += [(name, module) for module in brought & RUNS]
            elif isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                is_pattern = ast.unparse(node.func) == "re.compile"
                found += [(name, called)] if called in CALLS and not is_pattern else []
                found += [(name, "shell") for keyword in node.keywords if keyword.arg == "shell"]

    assert found == []


def test_no_statement_is_put_together_from_what_a_caller_passes() -> None:
    found = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("execute", "executemany"):
                inside = [part for part in ast.walk(node.args[0]) if isinstance(part, ast.FormattedValue)]
                words = {ast.unparse(part.value) for part in inside}
                found |= {(name, word) for word in words if not word.lstrip("_").isupper()}

    assert {pair for pair in found if pair[1] not in OWN_WORDS} == set()


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_everything_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        project = Project(tmp_path / "project")
        project.conversations.create()
        project.features.create("Log in")
        project.backup(tmp_path / "copy.db")
        export_conversations(project, tmp_path / "talks.jsonl")
        made = [*(tmp_path / "project" / ".peewee_conv").iterdir(), tmp_path / "copy.db", tmp_path / "talks.jsonl"]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
        folder = stat.S_IMODE((tmp_path / "project" / ".peewee_conv").stat().st_mode)
        project.dispose()
    finally:
        os.umask(before)

    assert set(modes.values()) == {0o600}, modes
    assert folder == 0o700


def test_a_file_that_appears_first_is_never_overwritten(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path, publish = project.database_path(), files._publish

    def somebody_is_faster(draft: str, target: str) -> None:
        path.write_bytes(b"somebody else's " * 100)
        publish(draft, target)

    monkeypatch.setattr(files, "_publish", somebody_is_faster)
    with pytest.raises(DatabaseFailure):
        project.conversations.create()

    assert path.read_bytes() == b"somebody else's " * 100
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.fixture
def changed(project: Project) -> Project:
    """A project whose files have a trigger and a view of somebody else."""
    project.conversations.create(id="talk")
    project.features.create("Log in")
    project.dispose()
    for schema, table in ((None, "messages"), (features, "features")):
        path = project.database_path() if schema is None else project.database_path(schema)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"CREATE TRIGGER hidden AFTER INSERT ON {table} BEGIN SELECT load_extension('x'); END")
            connection.execute(f"CREATE VIEW seen AS SELECT * FROM {table}")
    return Project(project.path)


def test_a_check_names_a_trigger_and_a_view_that_are_not_ours(changed: Project) -> None:
    for found in (changed.check(), changed.check(features)):
        details = {problem.detail for problem in found if problem.kind == "schema"}
        assert {"trigger hidden is not of this schema", "view seen is not of this schema"} <= details


def test_a_trigger_cannot_call_what_sqlite_does_not_trust(changed: Project) -> None:
    with pytest.raises(PeeweeConvError, match=r"unsafe use of load_extension|no such function: load_extension"):
        changed.conversations.add_message("talk", "user", "x")

    assert changed.conversations.get("talk").message_count == 0


# --- arguments ----------------------------------------------------------------------------------------------------


def test_a_key_that_nobody_asked_for_is_refused(project: Project) -> None:
    talk = project.conversations.create()
    form: dict[str, Any] = {"role": "user", "content": "x", "status": "streaming", "id": 7}
    profile = {"google_id": "g", "email": "a@example.com", "name": "Ada", "id": "chosen"}

    for call in (
        lambda: project.conversations.add_messages(talk.id, [form]),
        lambda: project.accounts.sign_in(profile, project.accounts.create_key()),
        lambda: project.features.create_many([{"name": "x", "passes": True}]),
    ):
        with pytest.raises(InvalidArgument):
            call()

    out = io.BytesIO()
    export_conversations(project, out)
    assert out.getvalue().count(b"role") == 0
