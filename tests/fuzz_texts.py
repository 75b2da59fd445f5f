"""Hostile texts and imports: names, ids, times, page marks, search texts, JSON Lines, Markdown, feature lists."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from fuzz_values import Target, damaged, json_value, moment, odd, outcome, text

from peewee_conv import Project, Projects, arguments, clock, keyset, paths
from peewee_conv.errors import ImportRejected
from peewee_conv.feature_transfer import import_features
from peewee_conv.ids import check_id
from peewee_conv.search_index import match_expression
from peewee_conv.settings import Settings
from peewee_conv.transfer import export_conversations, export_markdown, import_conversations, import_markdown

# --- one value ----------------------------------------------------------------------------------------------------


def checks(chance: Random) -> None:
    """Give a check something: what it lets through is what goes into a file."""
    value = text(chance, 80) if chance.random() < 0.5 else odd(chance)
    name, check = chance.choice(_CHECKS)
    found = outcome(check, value)
    if found.error is None and isinstance(found.result, str):
        assert found.result.encode() is not None, f"{name} let {ascii(value)[:80]} through"


_CHECKS: Final[list[tuple[str, Callable[[Any], Any]]]] = [
    ("id", lambda value: check_id("id", value)),
    ("text", lambda value: arguments.text("text", value, 100)),
    ("name", lambda value: arguments.text("name", value, 100, may_be_blank=False)),
    ("role", arguments.role),
    ("content", lambda value: arguments.content(value, 1000)),
    ("whole", lambda value: arguments.whole("whole", value, -9, 9)),
    ("tokens", arguments.token_count),
    ("JSON", lambda value: arguments.json_object("metadata", value)),
    ("list", lambda value: arguments.json_list("list", value)),
    ("marks", arguments.marks),
    ("pins", lambda value: arguments.any_of("pin", value, ("a", "b"))),
    ("choice", lambda value: arguments.one_of("order", value, ("a", "b"))),
    ("after", keyset.parse),
    ("numbers", keyset.parse_numbers),
    ("project name", paths.check_project_name),
    ("stored time", clock.from_text),
    *((name, lambda value, name=name: Settings.of(**{name: value})) for name in Settings._fields),  # type: ignore[misc]
]


def times(chance: Random) -> None:
    """Store a time: refused, or of one width, and the same moment when it is read."""
    given = moment(chance)
    found = outcome(clock.to_text, given)
    if found.error is None:
        assert len(found.result) == 27
        assert clock.from_text(found.result) == given.astimezone(clock.UTC)
        assert clock.to_text(clock.from_text(found.result)) == found.result


def stored_times(chance: Random) -> None:
    """Read a damaged stored time: refused, or the very text when it is stored again."""
    given = damaged(chance, b"2026-01-02T03:04:05.678901Z").decode(errors="replace")
    found = outcome(clock.from_text, given)
    if found.error is None:
        assert clock.to_text(found.result) == given


def page_marks(project: Project) -> Target:
    """Return the target of the ``after`` of every list with pages."""
    for number in range(3):
        project.conversations.create(id=f"c{number}")
        project.features.create(f"Feature {number}")
    kinds = [
        lambda after: project.conversations.list(limit=1, after=after),
        lambda after: project.features.list(limit=1, after=after),
        lambda after: project.assistants.list(limit=1, after=after),
        lambda after: project.accounts.list(limit=1, after=after),
        lambda after: project.accounts.list_keys(limit=1, after=after),
    ]
    genuine = [project.conversations.list(limit=1).next, project.features.list(limit=1).next]

    def target(chance: Random) -> None:
        after = chance.choice(genuine) or ""
        if chance.random() < 0.6:
            after = damaged(chance, after.encode()).decode(errors="surrogateescape")
        else:
            after = json.dumps([json_value(chance), json_value(chance)][: chance.randrange(3)])
        outcome(chance.choice(kinds), after)

    return target


_QUERY: Final = (
    "market",
    "out*",
    '"market outlook"',
    "OR",
    "AND",
    "NOT",
    "-",
    "-night",
    "NEAR",
    "(",
    ")",
    '"',
    "*",
    "^",
    ":",
)


def search_texts(project: Project) -> Target:
    """Return the target of search texts, over a few messages."""
    talk = project.conversations.create()
    for content in ("What's the market outlook?", "night train", "Grüße, 日本 😀", "a\0b", "-- * ^ ("):
        project.conversations.add_message(talk.id, "user", content)

    def target(chance: Random) -> None:
        parts = [chance.choice(_QUERY) if chance.random() < 0.7 else text(chance) for _ in range(chance.randrange(9))]
        query = chance.choice(("", " ")).join(parts)
        found = outcome(project.conversations.search, query)
        assert found.error is not None or all(hit.message.sequence for hit in found.result)
        if query.isascii():
            assert match_expression(query) is None or found.error is None

    return target


def names(folder: Path) -> Target:
    """Return the target of project names: nothing is made outside the root."""
    root = folder / "root"
    projects = Projects(root)
    projects.create("kept")

    def target(chance: Random) -> None:
        name = chance.choice(("kept", text(chance), text(chance), "".join(chance.choices("aB.-_1", k=3)), odd(chance)))
        verb = chance.choice((projects.create, projects.find, projects.get, projects.delete))
        if isinstance(name, str) and name == "kept" and verb == projects.delete:
            return
        found = outcome(verb, name)
        if found.error is None and verb == projects.create:
            assert found.result.path == root / str.__str__(name)
            assert projects.delete(name) is True
        assert [path.name for path in folder.iterdir()] == ["root"]

    return target


# --- imports ------------------------------------------------------------------------------------------------------

_LINE: Final = {
    "id": "talk",
    "title": "Outlook",
    "project_name": "aurora",
    "created_at": "2026-01-02T03:04:05.678901Z",
    "metadata": {"a": [1, None, {"b": True}]},
    "tools": [{"type": "function"}],
    "messages": [
        {"role": "system", "content": "You analyse markets.", "token_count": 4},
        {"role": "user", "content": "Grüße 😀\n\n## user\n", "external_id": "e1", "metadata": {"x": 1}},
        {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "content": "42", "tool_call_id": "t", "created_at": "2026-01-02T04:04:05+01:00"},
        {"role": "assistant", "content": "It is ca", "status": "interrupted"},
    ],
}
_COUNTS: Final = ("conversations", "messages")


def _changed(chance: Random, value: Any) -> Any:
    """Return a JSON value with one thing in it replaced, taken out, renamed or doubled."""
    if chance.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return json_value(chance)
    if isinstance(value, list):
        at = chance.randrange(len(value))
        return chance.choice(
            (
                [*value[:at], *value[at + 1 :]],
                [*value, value[at]],
                [*value[:at], _changed(chance, value[at]), *value[at + 1 :]],
            )
        )
    key = chance.choice(list(value))
    rest = {name: found for name, found in value.items() if name != key}
    return chance.choice((rest, {**rest, text(chance): value[key]}, {**value, key: _changed(chance, value[key])}))


def _lines(chance: Random) -> bytes:
    values = [{**_LINE, "id": f"talk-{chance.getrandbits(40)}"} for _ in range(chance.randrange(1, 3))]
    if chance.random() < 0.7:
        values = [_changed(chance, value) for value in values]
    data = b"\n".join(
        json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "replace") for value in values
    )
    return damaged(chance, data) if chance.random() < 0.5 else data


class Imports:
    """Imports of damaged exports; what is taken comes out again, and is there when it is imported a second time."""

    def __init__(self, project: Project, form: str) -> None:
        self._project = project
        self._export: Any = export_conversations if form == "jsonl" else export_markdown
        self._import: Any = import_conversations if form == "jsonl" else import_markdown
        self._is_lines = form == "jsonl"
        self._stored = self._count()

    def __call__(self, chance: Random) -> None:
        data = _lines(chance) if self._is_lines else self._markdown(chance)
        found = outcome(self._import, self._project, io.BytesIO(data))
        stored = self._count()
        if found.error is not None:
            assert isinstance(found.error, ImportRejected)
            assert stored == self._stored, "a refused import has written something"
        elif chance.random() < 0.2:
            assert outcome(self._import, self._project, io.BytesIO(data)).result.is_unchanged
            out = io.BytesIO()
            self._export(self._project, out)
            assert self._import(self._project, io.BytesIO(out.getvalue())).is_unchanged
        self._stored = stored
        if stored > 200:
            self._clear()

    def _count(self) -> int:
        return sum(talk.message_count + 1 for talk in self._project.conversations.list(limit=1000))

    def _clear(self) -> None:
        for talk in self._project.conversations.list(limit=1000):
            self._project.conversations.delete(talk.id)
        self._stored = 0

    def _markdown(self, chance: Random) -> bytes:
        if not hasattr(self, "_template"):
            import_conversations(self._project, io.BytesIO(json.dumps(_LINE).encode()))
            out = io.BytesIO()
            export_markdown(self._project, out)
            self._template = out.getvalue()
            self._clear()
        data = self._template.replace(b'"talk"', f'"talk-{chance.getrandbits(40)}"'.encode())
        return damaged(chance, data, 3) if chance.random() < 0.9 else data


_FEATURES: Final = [
    {
        "id": 1,
        "priority": 1,
        "category": "core",
        "name": "Log in",
        "description": "",
        "steps": ["Open", "Type"],
        "passes": False,
        "in_progress": True,
        "dependencies": [],
        "needs_human_input": False,
        "human_input_request": None,
        "human_input_response": None,
    },
    {"id": 2, "name": "Log out", "dependencies": [1], "passes": None},
    {"name": "Third", "steps": [{"a": 1}]},
]


def feature_lists(project: Project, folder: Path) -> Target:
    """Return the target of ``feature_list.json``: taken whole, or left where it is with an empty queue."""
    folder.mkdir(exist_ok=True)
    source = folder / "list.json"

    def target(chance: Random) -> None:
        data = json.dumps(_changed(chance, _FEATURES), ensure_ascii=chance.random() < 0.5).encode("utf-8", "replace")
        source.write_bytes(damaged(chance, data) if chance.random() < 0.4 else data)
        found = outcome(import_features, project, source)
        stored = project.features.all()
        if found.error is not None:
            assert isinstance(found.error, ImportRejected)
            assert stored == []
            assert source.is_file()
        else:
            assert len(stored) == found.result.stored
            Path(found.result.backup).unlink()
        for feature in stored:
            project.features.delete(feature.id)

    return target
