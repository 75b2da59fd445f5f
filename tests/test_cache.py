"""The cache: one binding per path, a bound on open connections, loans that are never closed under their user."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tickets import Tickets, make_tickets

from peewee_conv import Project
from peewee_conv.database.cache import cache, set_connection_limit
from peewee_conv.errors import InvalidArgument, LimitReached, ProjectInUse
from peewee_conv.models import Conversation

MakeProject = Callable[..., Project]


def open_descriptors(folder: Path) -> int:
    """How many descriptors of this process lead below *folder*."""
    links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return sum(os.path.realpath(link).startswith(f"{folder}/") for link in links if os.path.lexists(link))


def test_constructing_a_project_opens_and_makes_nothing(tmp_path: Path) -> None:
    Project(tmp_path / "aurora")

    assert list(tmp_path.iterdir()) == []
    assert cache.open_databases() == []


def test_projects_of_one_path_share_their_connections(make_project: MakeProject) -> None:
    for _ in range(3):
        make_project("aurora").conversations.create()

    assert cache.connection_count == 1
    assert len(make_project("aurora").conversations.list()) == 3


def test_a_link_to_a_project_leads_to_the_same_connections(tmp_path: Path, make_project: MakeProject) -> None:
    aurora = make_project("aurora")
    aurora.conversations.create()
    (tmp_path / "alias").symlink_to(tmp_path / "aurora")

    alias = Project(tmp_path / "alias")

    assert alias == aurora
    assert len(alias.conversations.list()) == 1
    assert cache.connection_count == 1


def test_one_thread_needs_one_connection(project: Project) -> None:
    for _ in range(5):
        project.conversations.create()
        with project:
            Conversation.select().count()

    assert cache.connection_count == 1


# --- the bound ---


def test_the_bound_holds_whatever_the_number_of_projects(make_project: MakeProject) -> None:
    set_connection_limit(3)

    projects = [make_project(f"p{number}") for number in range(10)]
    for project in projects * 2:
        project.conversations.create()
        assert cache.connection_count <= 3

    assert [len(project.conversations.list()) for project in projects] == [2] * 10


def test_the_connection_that_was_used_longest_ago_makes_room(make_project: MakeProject) -> None:
    set_connection_limit(2)
    first, second, third = make_project("first"), make_project("second"), make_project("third")
    first.conversations.create()
    second.conversations.create()
    first.conversations.list()

    third.conversations.create()

    assert {database.binding.root for database in cache.open_databases()} == {str(first.path), str(third.path)}


def test_a_connection_on_loan_is_never_closed_under_its_user(make_project: MakeProject) -> None:
    set_connection_limit(2)
    held, others = make_project("held"), [make_project(f"p{number}") for number in range(5)]

    with held.atomic():
        held.conversations.create(title="kept")
        for other in others:
            other.conversations.create()
        assert Conversation.select().count() == 1

    assert [talk.title for talk in held.conversations.list()] == ["kept"]


def test_the_limit_is_an_error_when_every_connection_stays_on_loan(make_project: MakeProject) -> None:
    set_connection_limit(1)
    held, other = make_project("held"), make_project("other", busy_timeout_ms=100)

    with held:
        Conversation.select().count()
        with pytest.raises(LimitReached, match="limit of 1 open connections reached"):
            other.conversations.create()

    other.conversations.create()


def test_who_waits_for_room_gets_it_when_a_scope_is_left(make_project: MakeProject) -> None:
    set_connection_limit(1)
    held, other = make_project("held"), make_project("other")
    done: list[str] = []

    with held:
        Conversation.select().count()
        thread = threading.Thread(target=lambda: done.append(other.conversations.create().id))
        thread.start()
        thread.join(0.2)
        assert done == []
    thread.join()

    assert len(done) == 1
    assert cache.connection_count == 1


def test_a_lower_limit_holds_from_the_next_open_on(make_project: MakeProject) -> None:
    for number in range(5):
        make_project(f"p{number}").conversations.create()

    set_connection_limit(2)
    make_project("one more").conversations.create()

    assert cache.connection_count == 2


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True, None])
def test_a_bad_limit_is_refused(limit: object) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid limit .*: expected a whole number of connections from 1"):
        set_connection_limit(limit)  # type: ignore[arg-type]


def test_an_open_that_fails_takes_no_room(tmp_path: Path, make_project: MakeProject) -> None:
    set_connection_limit(1)
    broken = make_project("broken")
    broken.database_path().parent.mkdir(parents=True)
    broken.database_path().write_bytes(b"no database at all " * 100)

    for _ in range(3):
        with pytest.raises(Exception, match="not a database"):
            broken.conversations.list()

    make_project("sound").conversations.create()
    assert cache.connection_count == 1


def test_an_evicted_project_leaves_no_descriptor(tmp_path: Path, make_project: MakeProject) -> None:
    set_connection_limit(1)
    make_project("first").conversations.create()
    make_project("second").conversations.create()

    assert open_descriptors(tmp_path / "first") == 0
    assert not list((tmp_path / "first" / ".peewee_conv").glob("*-wal"))


# --- settings ---


def test_settings_are_those_of_the_path(make_project: MakeProject) -> None:
    first = make_project("aurora", durability="normal", busy_timeout_ms=500)
    first.conversations.create()

    again = make_project("aurora")
    again.conversations.create()

    with again:
        assert Conversation._meta.database.pragma("synchronous") == 1


def test_other_settings_of_a_project_in_use_are_refused(make_project: MakeProject) -> None:
    project = make_project("aurora", durability="normal", busy_timeout_ms=500)
    project.conversations.create()

    with pytest.raises(ProjectInUse, match=r"in use with another durability \(.*\): end that use, or dispose"):
        make_project("aurora", durability="full", busy_timeout_ms=500)
    make_project("aurora", durability="normal")


def test_other_settings_are_taken_after_dispose(make_project: MakeProject) -> None:
    make_project("aurora", durability="normal").dispose()

    project = make_project("aurora", durability="full")

    with project:
        assert Conversation._meta.database.pragma("synchronous") == 2


def test_a_project_that_nobody_holds_keeps_no_settings(tmp_path: Path) -> None:
    Project(tmp_path / "aurora", durability="normal")
    gc.collect()

    Project(tmp_path / "aurora", durability="full").dispose()


# --- schemas ---


def test_another_schema_of_the_same_name_takes_over_when_the_first_is_idle(
    tmp_path: Path, project: Project, tickets: Tickets
) -> None:
    with project:
        tickets.Ticket.create(title="of the first")
    other = make_tickets(tmp_path / "migrations")

    with project:
        assert other.Ticket.get().title == "of the first"


def test_another_schema_of_the_same_name_is_refused_while_the_first_is_in_use(
    tmp_path: Path, project: Project, tickets: Tickets
) -> None:
    other = make_tickets(tmp_path / "migrations")

    with project:
        tickets.Ticket.create(title="x")
        with pytest.raises(InvalidArgument, match="one Schema object per name"):
            other.Ticket.select().count()


# --- opening ---


def test_a_slow_open_does_not_block_other_projects(tmp_path: Path, make_project: MakeProject) -> None:
    started, go_on = threading.Event(), threading.Event()
    slow, quick = make_project("slow"), make_project("quick")
    schema = make_tickets(tmp_path / "slow_migrations", name="slow")
    read = schema.schema.migrations._directory

    def wait_for_the_mount() -> str:
        started.set()
        go_on.wait()
        return str(read)

    schema.schema.migrations._directory = wait_for_the_mount

    def use_slow() -> None:
        with slow:
            schema.Ticket.create(title="x")

    thread = threading.Thread(target=use_slow)
    thread.start()
    started.wait()
    quick.conversations.create()
    go_on.set()
    thread.join()

    assert len(quick.conversations.list()) == 1


def test_threads_that_open_one_new_project_at_once_all_succeed(make_project: MakeProject) -> None:
    project, barrier, done = make_project(), threading.Barrier(8), []

    def work() -> None:
        barrier.wait()
        done.append(project.conversations.create().id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == sorted(talk.id for talk in project.conversations.list())
    assert len(done) == 8
