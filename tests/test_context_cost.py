"""A window costs what it shows, however long the conversation is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from peewee_conv import Project, statements
from peewee_conv.models import assistant

SHORT, LONG = 1_000, 100_000
WINDOWS: dict[str, dict[str, Any]] = {
    "newest": {},
    "few tokens": {"max_messages": None, "max_tokens": 100},
    "nothing fits": {"max_tokens": 0},
    "system": {"pin": "system"},
    "instructions": {"pin": "instructions"},
    "all pins": {"pin": ("system", "developer", "instructions")},
    "all pins and few tokens": {"pin": ("system", "developer", "instructions"), "max_tokens": 60},
    "pins that do not fit": {"pin": ("system", "instructions"), "max_tokens": 0},
    "a counter": {"max_tokens": 100, "count_tokens": lambda text: 7},
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Project, dict[int, str]]]:
    """Return a factory: every test begins with its project closed, and the long conversation is only filled once."""
    folder = tmp_path_factory.mktemp("long")
    with_ids: dict[int, str] = {}

    def open_project() -> tuple[Project, dict[int, str]]:
        project = Project(folder, durability="normal")
        if not with_ids:
            bot = project.assistants.create("Aurora", "You analyse markets.")
            for length in (SHORT, LONG):
                talk = project.conversations.create(assistant_id=bot.id)
                project.conversations.add_messages(talk.id, messages(length))
                with_ids[length] = talk.id
        return project, with_ids

    return open_project


def messages(length: int) -> Iterator[dict[str, Any]]:
    """Yield a conversation with three system messages, a developer's at a third of them, and calls."""
    for place in range(length):
        role = ("user", "assistant", "tool", "assistant")[place % 4]
        if place in (0, length // 2, length - 3):
            role = "system"
        if place == length // 3:
            role = "developer"
        yield {"role": role, "content": f"message {place}", "token_count": 7}


class Watch:
    """What a connection does: the statements it is given, and the steps of SQLite's machine."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.steps = 0

    def step(self) -> int:
        self.steps += 1
        return 0


def watched(project: Project, talk: str, limits: dict[str, Any]) -> Watch:
    project.conversations.context(talk, **limits)  # once before: statements are compiled and pages read
    watch = Watch()
    with project:
        connection = project._binding.lease(assistant).conn
        connection.set_trace_callback(watch.statements.append)
        connection.set_progress_handler(watch.step, 1)
        try:
            project.conversations.context(talk, **limits)
        finally:
            connection.set_trace_callback(None)
            connection.set_progress_handler(None, 0)
    return watch


@pytest.mark.parametrize("limits", WINDOWS.values(), ids=WINDOWS.keys())
def test_a_window_of_a_long_conversation_takes_two_queries_at_most(filled: Any, limits: dict[str, Any]) -> None:
    project, ids = filled()

    watch = watched(project, ids[LONG], limits)

    queries = [sql for sql in watch.statements if sql not in ("BEGIN", "COMMIT")]
    assert 1 <= len(queries) <= 2
    assert all(sql.startswith("SELECT") for sql in queries)


@pytest.mark.parametrize("limits", WINDOWS.values(), ids=WINDOWS.keys())
def test_a_hundred_times_the_messages_take_no_more_steps(filled: Any, limits: dict[str, Any]) -> None:
    project, ids = filled()

    steps = {length: watched(project, ids[length], limits).steps for length in (SHORT, LONG)}

    # A step or two depend on whether the index goes on with another conversation.
    assert abs(steps[LONG] - steps[SHORT]) <= 5
    assert steps[LONG] < 1_500


def test_pins_that_nobody_asked_for_are_not_read(project: Project) -> None:
    talk = project.conversations.create().id
    project.conversations.add_messages(talk, [{"role": "developer", "content": "x"}] * 2_000)
    project.conversations.add_messages(talk, [{"role": "user", "content": "x"}] * 30)

    steps = {pin: watched(project, talk, {"pin": pin}).steps for pin in ("system", "developer")}

    assert steps["system"] < 1_500 < steps["developer"]


@pytest.mark.parametrize("sql", [statements.WHOLE_PROJECT, statements.OF_ONE_OWNER], ids=["project", "owner"])
@pytest.mark.parametrize("name", ["newest", "newest_unpinned", "pinned", "after", "before", "by_external_id", "key"])
def test_every_query_goes_along_an_index(project: Project, sql: statements.Statements, name: str) -> None:
    text = getattr(sql, name)
    params = [None] * text.count("?")

    with project:
        connection = project._binding.lease(assistant).conn
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", params)]

    tables = ("SCAN messages", "SCAN conversations", "SCAN assistants", "USE TEMP B-TREE")
    assert not [step for step in plan if step.startswith(tables)]
    assert [step for step in plan if step.startswith("SEARCH conversations USING") and "idx_conversations_" in step]


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ((), "idx_conversations_updated_at"),
        (("user_id",), "idx_conversations_user_id"),
        (("assistant_id",), "idx_conversations_assistant_id"),
        (("project_name",), "idx_conversations_project_name"),
    ],
)
def test_a_list_is_read_in_its_order(project: Project, filters: tuple[str, ...], index: str) -> None:
    sql = statements.listing(filters)

    with project:
        connection = project._binding.lease(assistant).conn
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", ["x"] * (len(filters) + 2) + [5])]

    assert len(plan) == 1, plan
    assert f"USING INDEX {index}" in plan[0]
