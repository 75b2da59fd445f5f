"""Threads that work with many projects at once never see, or write into, another one's file."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.database.cache import cache, set_connection_limit
from peewee_conv.models import Conversation, Message

MakeProject = Callable[..., Project]


@pytest.fixture
def eager_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def run_threads(count: int, work: Callable[[int], None]) -> None:
    """Run ``work(number)`` in *count* threads at once and raise the first error of any."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(count)

    def guarded(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.usefixtures("eager_switches")
def test_models_never_cross(make_project: MakeProject, tickets: Tickets) -> None:
    projects = [make_project(f"p{number}", durability="normal") for number in range(4)]
    Ticket, Comment = tickets.Ticket, tickets.Comment

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(25):
            project = chance.choice(projects)
            with project:
                ticket = Ticket.create(title=project.name)
                Comment.create(ticket=ticket, text=project.name)
                assert ticket.comments.get().text == project.name
                assert Comment.select().join(Ticket).where(Ticket.id == ticket.id).get().ticket.title == project.name
                assert {row.title for row in Ticket.select()} == {project.name}

    run_threads(8, work)

    for project in projects:
        with project:
            assert {row.title for row in Ticket.select()} <= {project.name}
            assert Ticket.select().count() == Comment.select().count()


@pytest.mark.usefixtures("eager_switches")
def test_services_never_cross_and_lose_nothing(make_project: MakeProject) -> None:
    projects = [make_project(f"p{number}", durability="normal") for number in range(4)]
    talks = [project.conversations.create().id for project in projects]

    def work(number: int) -> None:
        for turn in range(40):
            which = (number + turn) % 4
            projects[which].conversations.add_message(talks[which], "user", projects[which].name)

    run_threads(8, work)

    for project, talk in zip(projects, talks, strict=True):
        messages = list(project.conversations.iterate(talk))
        assert [message.sequence for message in messages] == list(range(1, 81))
        assert {message.content for message in messages} == {project.name}


@pytest.mark.usefixtures("eager_switches")
def test_nothing_crosses_while_few_connections_go_round(make_project: MakeProject) -> None:
    set_connection_limit(4)
    projects = [make_project(f"p{number}", durability="normal") for number in range(12)]

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(20):
            project = chance.choice(projects)
            with project:
                talk = project.conversations.create(title=project.name)
                project.conversations.add_message(talk.id, "user", project.name)
                assert {row.title for row in Conversation.select()} == {project.name}
                assert {row.content for row in Message.select()} == {project.name}

    # A scope that uses models and services takes two connections at the most: two threads fill the limit of four.
    run_threads(2, work)

    assert cache.connection_count <= 4


@pytest.mark.usefixtures("eager_switches")
def test_tables_are_made_in_the_right_file(make_project: MakeProject, tickets: Tickets) -> None:
    projects = [make_project(f"p{number}") for number in range(8)]

    def work(number: int) -> None:
        with projects[number]:
            tickets.Ticket.create(title=str(number))

    run_threads(8, work)

    for number, project in enumerate(projects):
        with project:
            assert [row.title for row in tickets.Ticket.select()] == [str(number)]
