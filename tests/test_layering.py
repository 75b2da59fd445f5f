"""Imports only go down, services do not know each other, and modules, functions and files of tests stay small."""

from __future__ import annotations

import ast
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import peewee_conv
from peewee_conv import Project

PACKAGE = Path(peewee_conv.__file__).parent
#: The layers by name of module or package. What is not named here is a helper of whoever imports it.
LAYERS = [
    ["errors", "clock", "counters", "metrics"],
    ["paths", "filesystem", "versions", "migrate"],
    ["database", "schemas", "settings"],
    ["models", "feature_models", "records", "account_records", "feature_records"],
    ["services", "transfer"],
    ["project", "health", "backup", "retention", "upgrades", "prometheus", ""],
    ["aio"],
    ["compat", "adopt"],
    ["cli", "flask_ext", "flask_commands", "viewer", "demo", "__main__"],
]
#: What a start must not pay for. ``typing`` is for type checkers: "TYPE_CHECKING = False; if TYPE_CHECKING: ..." spares
#: its import, which costs a tenth of Peewee's, and :mod:`peewee_conv.named_tuples` has what is needed at run time.
HEAVY = {
    *("asyncio", "concurrent.futures", "dataclasses", "enum", "inspect", "logging.config", "pathlib", "typing"),
    *("flask", "playhouse", "prometheus_client", "peewee_conv.metrics", "peewee_conv.migrate"),
}
#: Tells what the modules of the package import, though somebody else may have loaded it before, and what is loaded.
START = """
import builtins, json, sqlite3, sys
import peewee

plain, asked, before = builtins.__import__, set(), set(sys.modules)

def note(name, globals=None, locals=None, fromlist=(), level=0):
    if globals and globals.get("__name__", "").partition(".")[0] == "peewee_conv" and not level:
        asked.add(name)
    return plain(name, globals, locals, fromlist, level)

builtins.__import__ = note
import peewee_conv
{use}
print(json.dumps({{"asked": sorted(asked), "loaded": sorted(set(sys.modules) - before)}}))
"""
USES = {
    "an import": "",
    "a first read": """
project = peewee_conv.Project(sys.argv[1])
assert project.conversations.context("talk")[-1].content == "What's the market outlook?"
project.dispose()
""",
}


def module_name(path: Path) -> str:
    """Return the dotted name below the package; that of the package itself is empty."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if "migrations" not in path.parts}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(SOURCES[name].read_text(encoding="utf-8"))


def without_type_checking(node: ast.AST) -> Iterator[ast.AST]:
    """Yield *node* and all below it, but for what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield from without_type_checking(child)


@cache
def imports(name: str) -> frozenset[str]:
    """Return the modules of the package that *name* imports, at its top or later."""
    found: set[str] = set()
    for node in without_type_checking(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = absolute(name, node)
            found |= {f"{base}.{alias.name}" for alias in node.names} | {base}
    ours = {each.removeprefix("peewee_conv").lstrip(".") for each in found if each.split(".")[0] == "peewee_conv"}
    targets = {each for each in ours if each in SOURCES}
    # Of "from .database import files" the module counts, not the package that it is in.
    return frozenset(each for each in targets if not any(other.startswith(f"{each}.") for other in targets) and each)


def absolute(name: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = ["peewee_conv", *filter(None, name.split("."))]
    depth = node.level - (SOURCES[name].name == "__init__.py")
    return ".".join([*parts[: len(parts) - depth], *filter(None, [node.module])])


@cache
def reached(name: str) -> frozenset[str]:
    """Return all modules that *name* imports, directly or through others."""
    seen, waiting = set(), [name]
    while waiting:
        for each in imports(waiting.pop()) - seen:
            seen.add(each)
            waiting.append(each)
    return frozenset(seen)


def layer(name: str) -> int | None:
    """Return the number of the layer of a module, or ``None`` for a helper."""
    first = name.split(".")[0]
    return next((number for number, names in enumerate(LAYERS) if first in names), None)


def functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(name)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_the_imports_of_this_very_test_are_understood() -> None:
    assert "database.files" in imports("database.cache")
    assert "database.pool" in reached("project")
    assert "errors" in reached("services.conversations")


@pytest.mark.parametrize("name", [name for name in SOURCES if layer(name) is not None])
def test_imports_only_go_down(name: str) -> None:
    own = layer(name) or 0

    assert {each for each in reached(name) if (layer(each) or 0) > own} == set()


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("services.")])
def test_services_do_not_import_each_other(name: str) -> None:
    assert {each for each in reached(name) if each.startswith("services.")} == set()


@pytest.mark.parametrize("name", ["paths", "filesystem", "versions", "migrate"])
def test_the_file_layer_knows_no_models(name: str) -> None:
    assert reached(name) <= {"errors", "clock", "paths", "named_tuples", "versions"}


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_imported_by_star(name: str) -> None:
    starred = [node.lineno for node in ast.walk(tree(name)) if isinstance(node, ast.alias) and node.name == "*"]

    assert starred == []


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_has_at_most_450_lines(name: str) -> None:
    assert len(SOURCES[name].read_text(encoding="utf-8").splitlines()) <= 450


def test_no_file_of_tests_has_more_than_450_lines() -> None:
    paths = sorted(Path(__file__).parent.rglob("*.py"))
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}

    assert len(lengths) > 100
    assert {name: lines for name, lines in lengths.items() if lines > 450} == {}


def test_most_functions_are_short() -> None:
    lengths = [length(function) for name in SOURCES for function in functions(name)]

    assert statistics.median(lengths) <= 8
    assert statistics.quantiles(lengths, n=20)[-1] <= 20


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "statements"])  # that one is a list of texts
def test_no_function_has_more_than_40_lines(name: str) -> None:
    assert [function.name for function in functions(name) if length(function) > 40] == []


def test_there_is_no_module_without_a_subject() -> None:
    assert not {name.split(".")[-1] for name in SOURCES} & {"utils", "util", "helpers", "common", "misc", "base"}


@pytest.mark.parametrize("use", USES)
def test_a_start_loads_peewee_and_little_else(project: Project, use: str) -> None:
    project.conversations.add_message(project.conversations.create(id="talk").id, "user", "What's the market outlook?")
    project.dispose()

    command = [sys.executable, "-c", START.format(use=USES[use]), str(project.path)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert "peewee_conv.project" in found["loaded"]
    assert {
        name for name in {*found["asked"], *found["loaded"]} if name in HEAVY or name.split(".")[0] in HEAVY
    } == set()
    assert {name.split(".")[0] for name in found["loaded"]} <= {"peewee_conv", *sys.stdlib_module_names}
