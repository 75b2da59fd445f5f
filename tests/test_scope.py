"""Scopes: which project a thread works with, and what is left behind when it goes on."""

from __future__ import annotations

import contextvars
import gc
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.database.cache import cache
from peewee_conv.database.pool import ProjectDatabase
from peewee_conv.database.scope import current_scope
from peewee_conv.errors import ProjectNotBound
from peewee_conv.models import Conversation

MakeProject = Callable[..., Project]


def titles() -> list[str]:
    return [row.title for row in Conversation.select().order_by(Conversation.number)]


def in_thread(work: Callable[[], Any]) -> Any:
    """Run *work* in a new thread, whose context is empty, and return its result or raise its error."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


@pytest.fixture
def pair(make_project: MakeProject) -> tuple[Project, Project]:
    aurora, borealis = make_project("aurora"), make_project("borealis")
    aurora.conversations.create(title="of aurora")
    borealis.conversations.create(title="of borealis")
    return aurora, borealis


def test_nested_scopes_restore_the_outer_project(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair
    seen = []

    with aurora:
        seen += titles()
        with borealis:
            seen += titles()
            with aurora:
                seen += titles()
            seen += titles()
        seen += titles()

    assert seen == ["of aurora", "of borealis", "of aurora", "of borealis", "of aurora"]


def test_nested_scopes_of_one_project_share_the_connection(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair

    with aurora:
        outer = Conversation._meta.database.connection()
        with borealis:
            assert Conversation._meta.database.connection() is not outer
            with aurora:
                assert Conversation._meta.database.connection() is outer
            assert Conversation._meta.database.connection() is not outer
        assert Conversation._meta.database.connection() is outer


def test_an_inner_scope_joins_the_transaction_of_the_outer(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair

    with pytest.raises(KeyError), aurora.atomic():  # noqa: PT012
        aurora.conversations.create(title="undone")
        with borealis:
            with aurora:
                assert titles() == ["of aurora", "undone"]
            borealis.conversations.create(title="kept")
        raise KeyError

    assert [talk.title for talk in aurora.conversations.list()] == ["of aurora"]
    assert len(borealis.conversations.list()) == 2


def test_a_scope_is_left_under_an_error(project: Project) -> None:
    with pytest.raises(KeyError), project:
        raise KeyError

    assert current_scope() is None


def test_leaving_a_scope_returns_its_connection(project: Project) -> None:
    with project:
        titles()
    database = cache.open_databases()[0]

    assert (database.is_idle, database.idle_count) == (True, 1)


def test_leaving_a_scope_closes_its_cursors(project: Project) -> None:
    for number in range(3):
        project.conversations.create(title=f"talk {number}")
    with project:
        rows = Conversation.select().iterator()
        next(rows)

    # A cursor that stayed open would show the state of now to whoever gets this connection next.
    with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
        next(rows)


def test_a_scope_object_is_left_elsewhere_than_it_was_entered(project: Project) -> None:
    scope = project.scope()
    scope.__enter__()
    titles()

    in_thread(scope.close)

    with pytest.raises(ProjectNotBound):
        titles()
    scope.__exit__(None, None, None)
    assert cache.open_databases()[0].is_idle


def test_a_closed_scope_does_not_fall_through_to_the_outer_one(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair
    with aurora:
        scope = borealis.scope()
        with scope:
            scope.close()
            with pytest.raises(ProjectNotBound):
                titles()
        assert titles() == ["of aurora"]


def test_a_scope_object_restores_what_was_bound_when_it_was_entered(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair
    scope = aurora.scope()

    with borealis:
        with scope:
            assert titles() == ["of aurora"]
        assert titles() == ["of borealis"]


def test_a_scope_object_takes_inner_scopes_that_were_left_open_along(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair

    with borealis:
        with aurora.scope():
            borealis.scope().__enter__()
            aurora.atomic().__enter__()
        assert titles() == ["of borealis"]

    assert current_scope() is None


def test_a_scope_object_belongs_to_the_thread_that_enters_it(pair: tuple[Project, Project]) -> None:
    scope = pair[0].scope()

    def work() -> list[str]:
        with scope:
            return titles()

    assert in_thread(work) == ["of aurora"]


def test_a_scope_that_is_open_is_not_entered_again(project: Project) -> None:
    with project.scope() as scope, pytest.raises(ProjectNotBound, match="not entered again"):
        scope.__enter__()


def test_an_executor_thread_sees_no_project(project: Project) -> None:
    with project, pytest.raises(ProjectNotBound):
        in_thread(titles)


def test_in_a_copied_context_models_see_no_project(project: Project) -> None:
    with project:
        titles()
        context = contextvars.copy_context()

        with pytest.raises(ProjectNotBound):
            in_thread(lambda: context.run(titles))
        database = in_thread(lambda: context.run(lambda: Conversation._meta.database.obj))

    assert not isinstance(database, ProjectDatabase)


def test_in_a_copied_context_services_use_a_connection_of_their_own(pair: tuple[Project, Project]) -> None:
    aurora, _ = pair
    with aurora.atomic():
        aurora.conversations.create(title="not yet")
        context = contextvars.copy_context()

        seen = in_thread(lambda: context.run(aurora.conversations.list))

    assert [talk.title for talk in seen] == ["of aurora"]


def test_in_a_copied_context_a_scope_of_the_same_project_is_a_new_one(pair: tuple[Project, Project]) -> None:
    aurora, _ = pair

    def work() -> tuple[object, list[str]]:
        with aurora:
            return Conversation._meta.database.connection(), titles()

    with aurora:
        mine = Conversation._meta.database.connection()
        context = contextvars.copy_context()
        theirs, seen = in_thread(lambda: context.run(work))

    assert theirs is not mine
    assert seen == ["of aurora"]


def test_leaving_a_scope_in_a_thread_that_did_not_enter_it_is_an_error(project: Project) -> None:
    with project, pytest.raises(ProjectNotBound, match="left in another context"):
        in_thread(lambda: project.__exit__(None, None, None))


# --- generators that are suspended inside a scope ---


def numbers(project: Project) -> Iterator[int]:
    with project:
        for row in Conversation.select():
            yield row.number


def test_a_generator_that_ends_inside_the_callers_scope_restores_it(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair
    with borealis:
        assert list(numbers(aurora)) == [1]
        assert titles() == ["of borealis"]


def test_a_generator_that_is_dropped_inside_the_callers_scope_restores_it(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair
    with borealis:
        for _ in numbers(aurora):
            break
        assert titles() == ["of borealis"]


def test_a_suspended_generator_does_not_outlive_the_callers_scope(pair: tuple[Project, Project]) -> None:
    aurora, borealis = pair
    with borealis:
        suspended = numbers(aurora)
        next(suspended)

    assert current_scope() is None
    assert all(database.is_idle for database in cache.open_databases())
    with pytest.raises(ProjectNotBound):
        titles()
    with pytest.raises(ProjectNotBound):
        suspended.close()  # type: ignore[attr-defined]
    assert current_scope() is None


def test_a_transaction_of_a_suspended_generator_is_not_reported_as_done(
    pair: tuple[Project, Project], tickets: Tickets
) -> None:
    aurora, borealis = pair

    def work() -> Iterator[None]:
        with tickets.schema.database.atomic():
            tickets.Ticket.create(title="half")
            yield

    with borealis:
        aurora.__enter__()
        suspended = work()
        next(suspended)
    with pytest.raises(ProjectNotBound, match="ended before its block was left"):
        next(suspended)

    with aurora:
        assert tickets.Ticket.select().count() == 0


# --- threads that die ---


@pytest.fixture
def no_gc() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_gc")
def test_a_thread_that_dies_in_a_transaction_leaves_nothing_locked(project: Project) -> None:
    def die() -> None:
        project.__enter__()
        Conversation._meta.database.atomic().__enter__()
        project.conversations.create(title="undone")

    project.conversations.create(title="kept")
    thread = threading.Thread(target=die)
    thread.start()
    thread.join()

    project.conversations.create(title="kept too")
    assert [talk.title for talk in project.conversations.list()] == ["kept too", "kept"]
    assert all(database.is_idle for database in cache.open_databases())


@pytest.mark.usefixtures("no_gc")
def test_many_threads_that_die_in_a_scope_leave_few_connections(project: Project) -> None:
    def die() -> None:
        project.__enter__()
        titles()

    for _ in range(50):
        thread = threading.Thread(target=die)
        thread.start()
        thread.join()

    assert cache.connection_count <= 2


@pytest.mark.usefixtures("no_gc")
def test_a_new_thread_does_not_inherit_the_scope_of_a_dead_one(project: Project) -> None:
    contexts = []

    def die() -> None:
        project.__enter__()
        titles()
        contexts.append(contextvars.copy_context())

    for _ in range(5):  # the system often gives the number of a dead thread to the next one
        thread = threading.Thread(target=die)
        thread.start()
        thread.join()

    with pytest.raises(ProjectNotBound):
        in_thread(lambda: contexts[0].run(titles))
    assert in_thread(lambda: contexts[0].run(project.conversations.list)) == []
