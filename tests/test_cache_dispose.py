"""``dispose()`` and ``delete()``: everybody leaves, late users are told, and a fresh project starts clean."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_cache import open_descriptors

from peewee_conv import Project
from peewee_conv.database.cache import cache
from peewee_conv.errors import DatabaseBusy, DatabaseGone, ProjectDisposed
from peewee_conv.models import Conversation

MakeProject = Callable[..., Project]


@contextmanager
def second_thread(inside: Callable[[threading.Event, threading.Event], None]) -> Iterator[threading.Event]:
    """Run ``inside(ready, leave)`` in a thread; the block runs when it is ready, and its end lets it leave."""
    ready, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=inside, args=(ready, leave))
    thread.start()
    ready.wait()
    try:
        yield leave
    finally:
        leave.set()
        thread.join()


def test_dispose_says_whether_anything_was_open(project: Project) -> None:
    assert project.dispose() is False

    project = Project(project.path)
    project.conversations.create()

    assert (project.dispose(), project.dispose()) == (True, False)


def test_dispose_leaves_no_descriptor_and_no_log(tmp_path: Path, project: Project) -> None:
    project.conversations.create()

    project.dispose()

    assert open_descriptors(tmp_path) == 0
    assert [file.name for file in project.database_path().parent.iterdir()] == ["assistant.db"]


def test_an_object_from_before_is_of_no_use(project: Project) -> None:
    project.conversations.create()
    project.dispose()

    with pytest.raises(ProjectDisposed, match="construct the Project again"):
        project.conversations.list()
    with project, pytest.raises(ProjectDisposed):
        Conversation.select().count()


def test_a_project_constructed_afterwards_starts_clean(project: Project) -> None:
    project.conversations.create(title="kept")
    project.dispose()

    again = Project(project.path)

    assert [talk.title for talk in again.conversations.list()] == ["kept"]
    with again:
        assert Conversation.select().count() == 1


def test_dispose_of_an_old_object_disposes_the_project_of_that_path(project: Project) -> None:
    project.dispose()
    again = Project(project.path)
    again.conversations.create()

    assert project.dispose() is True

    with pytest.raises(ProjectDisposed):
        again.conversations.list()
    assert len(Project(project.path).conversations.list()) == 1


def test_dispose_waits_for_a_scope_of_another_thread(project: Project) -> None:
    order: list[str] = []

    def inside(ready: threading.Event, leave: threading.Event) -> None:
        with project.atomic():
            project.conversations.create(title="kept")
            ready.set()
            leave.wait()
            time.sleep(0.1)
        order.append("left")

    with second_thread(inside) as leave:
        leave.set()
        project.dispose(timeout=10)
        order.append("disposed")

    assert order == ["left", "disposed"]
    assert [talk.title for talk in Project(project.path).conversations.list()] == ["kept"]


def test_dispose_waits_no_longer_than_it_is_told(project: Project) -> None:
    def inside(ready: threading.Event, leave: threading.Event) -> None:
        with project:
            Conversation.select().count()
            ready.set()
            leave.wait()

    with second_thread(inside):
        started = time.monotonic()
        assert project.dispose(timeout=0.2)
        assert 0.1 < time.monotonic() - started < 3


def test_who_stays_in_a_disposed_project_is_told(project: Project) -> None:
    caught: list[BaseException] = []

    def inside(ready: threading.Event, leave: threading.Event) -> None:
        with project:
            Conversation.select().count()
            ready.set()
            leave.wait()
            for use in (project.conversations.list, Conversation.select().count):
                with pytest.raises(ProjectDisposed) as error:
                    use()
                caught.append(error.value)

    with second_thread(inside):
        project.dispose(timeout=0.05)

    assert len(caught) == 2


def test_a_transaction_that_outstays_dispose_writes_nothing(project: Project) -> None:
    def inside(ready: threading.Event, leave: threading.Event) -> None:
        with pytest.raises(ProjectDisposed), project.atomic():  # noqa: PT012
            project.conversations.create(title="undone")
            ready.set()
            leave.wait()

    with second_thread(inside):
        project.dispose(timeout=0.05)

    assert Project(project.path).conversations.list() == []
    assert cache.connection_count == 1


def test_dispose_inside_an_own_scope_lets_go_of_it(project: Project) -> None:
    with project:
        Conversation.select().count()

        assert project.dispose()

        assert cache.connection_count == 0
        with pytest.raises(ProjectDisposed):
            Conversation.select().count()


def test_dispose_inside_an_own_transaction_is_refused(project: Project) -> None:
    with project.atomic():
        project.conversations.create(title="kept")
        with pytest.raises(DatabaseBusy, match="cannot be disposed inside its own transaction"):
            project.dispose()

    assert [talk.title for talk in project.conversations.list()] == ["kept"]


def test_dispose_ends_the_files_of_every_schema(project: Project, tickets: object) -> None:
    with project:
        Conversation.select().count()
        tickets.Ticket.create(title="x")  # type: ignore[attr-defined]

    project.dispose()

    assert cache.open_databases() == []


def test_a_call_that_races_dispose_opens_nothing_behind_its_back(project: Project) -> None:
    project.conversations.create()
    schema = cache.open_databases()[0].schema
    binding, path = project._binding, str(project.database_path())
    project.dispose()

    with pytest.raises(ProjectDisposed):
        cache.find(binding, schema, path)

    assert cache.open_databases() == []


def test_calls_of_many_threads_around_a_dispose_work_or_say_so(make_project: MakeProject) -> None:
    stop, unexpected, done = threading.Event(), [], []

    def work() -> None:
        while not stop.is_set():
            project = make_project("busy")
            try:
                done.append(project.conversations.create().id)
                with project:
                    Conversation.select().count()
            except ProjectDisposed:
                pass
            except BaseException as error:  # noqa: BLE001 - asserted below
                unexpected.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        make_project("busy").dispose()
        time.sleep(0.005)
    stop.set()
    for thread in threads:
        thread.join()

    assert unexpected == []
    left = make_project("busy")
    with left:
        assert sorted(row.id for row in Conversation.select()) == sorted(done)


# --- delete ---


def test_delete_removes_all_our_files_and_no_other(project: Project) -> None:
    project.conversations.create()
    (project.path / "notes.txt").write_text("mine")

    assert project.delete() is True

    assert [file.name for file in project.path.iterdir()] == ["notes.txt"]
    assert project.exists() is False


def test_deleting_twice_is_no_error(project: Project) -> None:
    project.conversations.create()

    assert (project.delete(), project.delete()) == (True, False)


def test_delete_keeps_a_data_folder_that_others_use_too(make_project: MakeProject) -> None:
    project = make_project(data_dir="data")
    project.conversations.create()
    (project.path / "data" / "orders.csv").write_text("mine")

    assert project.delete() is True

    assert [file.name for file in (project.path / "data").iterdir()] == ["orders.csv"]
    assert Project(project.path, data_dir="data").conversations.list() == []


def test_delete_follows_a_link_to_the_data_folder_for_our_files_alone(tmp_path: Path, project: Project) -> None:
    project.path.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "orders.csv").write_text("mine")
    (project.path / ".peewee_conv").symlink_to(tmp_path / "elsewhere")
    project.conversations.create()

    assert project.delete() is True

    assert [file.name for file in (tmp_path / "elsewhere").iterdir()] == ["orders.csv"]


def test_a_deleted_project_can_be_made_again(project: Project) -> None:
    project.conversations.create()
    project.delete()

    again = Project(project.path)

    assert again.conversations.list() == []
    again.conversations.create()


def test_a_thread_that_still_uses_a_deleted_project_is_told(project: Project) -> None:
    def inside(ready: threading.Event, leave: threading.Event) -> None:
        with project:
            Conversation.select().count()
            ready.set()
            leave.wait()
            with pytest.raises(ProjectDisposed):
                project.conversations.create()

    with second_thread(inside):
        project.delete(timeout=0.05)

    assert project.exists() is False


def test_a_user_that_nobody_told_does_not_bring_a_deleted_file_back(project: Project) -> None:
    project.conversations.create()
    for file in project.database_path().parent.iterdir():
        file.unlink()

    with pytest.raises(DatabaseGone):
        project.conversations.create()

    assert list(project.database_path().parent.iterdir()) == []
