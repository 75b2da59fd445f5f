"""One file of one project: how it is made, what every connection is set to, and what happens when it goes away."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from peewee import OperationalError
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.database.cache import cache
from peewee_conv.errors import (
    DatabaseCorrupt,
    DatabaseGone,
    DatabaseIOError,
    DatabaseReadOnly,
    InvalidArgument,
    ProjectDisposed,
)
from peewee_conv.models import Conversation, assistant

MakeProject = Callable[..., Project]


def titles(project: Project) -> list[str | None]:
    return [talk.title for talk in reversed(project.conversations.list())]


def pragma(project: Project, name: str) -> object:
    with project:
        return assistant.database.execute_sql(f"PRAGMA {name}").fetchone()[0]


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(os.stat(path).st_mode))


# --- every connection ---


@pytest.mark.parametrize(
    ("durability", "journal", "answers"),
    [
        ("full", "wal", ("wal", 2)),
        ("normal", "wal", ("wal", 1)),
        ("full", "delete", ("delete", 3)),
        ("normal", "delete", ("delete", 2)),
    ],
)
def test_durability_and_journal_are_set(
    make_project: MakeProject, durability: str, journal: str, answers: tuple[str, int]
) -> None:
    project = make_project(durability=durability, journal_mode=journal)
    project.conversations.create()

    assert (pragma(project, "journal_mode"), pragma(project, "synchronous")) == answers


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("busy_timeout", 30_000),
        ("journal_size_limit", 64 * 1024 * 1024),
        ("wal_autocheckpoint", 4000),
        ("page_size", 8192),
        ("mmap_size", 0),
    ],
)
def test_every_connection_has_its_pragmas(project: Project, name: str, answer: int) -> None:
    project.conversations.create()
    with project:
        outer = assistant.database.connection()
        inner = cache.open_databases()[0].checkout()
        cache.open_databases()[0].checkin(inner)

    assert outer is not inner
    for connection in (outer, inner):
        assert connection.execute(f"PRAGMA {name}").fetchone()[0] in (answer, None)


def test_the_busy_timeout_is_that_of_the_settings(make_project: MakeProject) -> None:
    assert pragma(make_project(busy_timeout_ms=1234), "busy_timeout") == 1234


def test_a_wal_file_goes_back_to_delete_where_that_is_asked_for(make_project: MakeProject) -> None:
    project = make_project(journal_mode="wal")
    project.conversations.create(title="kept")
    project.dispose()

    project = make_project(journal_mode="delete")

    assert pragma(project, "journal_mode") == "delete"
    assert titles(project) == ["kept"]


def test_a_journal_mode_that_is_refused_is_an_error(make_project: MakeProject) -> None:
    project = make_project(journal_mode="wal")
    project.conversations.create()
    project.dispose()
    reader = sqlite3.connect(project.database_path())
    reader.execute("SELECT count(*) FROM conversations")

    with pytest.raises(Exception, match=r"journal mode 'delete' was refused|database is locked"):
        make_project(journal_mode="delete", busy_timeout_ms=100).conversations.list()

    reader.close()


# --- files and folders ---


@pytest.fixture(params=[0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_and_folder_are_for_their_owner_alone(project: Project) -> None:
    with project:
        project.conversations.create()

        folder = project.database_path().parent
        assert mode(folder) == "0o700"
        assert {mode(file) for file in folder.iterdir()} == {"0o600"}
        assert {file.name for file in folder.iterdir()} == {"assistant.db", "assistant.db-shm", "assistant.db-wal"}


WEIRD = [
    "with space",
    "question?mark=1",
    "hash#tag",
    "percent%41%",
    "unicode-äöü-日本-🚀",
    ":memory:",
    "file:x?mode=memory",
    "quote'\"s",
    "back\\slash",
    "new\nline",
    "-dash",
    "semi;colon&and",
]


@pytest.mark.parametrize("name", WEIRD)
def test_weird_paths_are_plain_text(tmp_path: Path, make_project: MakeProject, name: str) -> None:
    project = make_project(name)
    project.conversations.create(title=name)
    project.dispose()

    assert titles(make_project(name)) == [name]
    assert (tmp_path / name / ".peewee_conv" / "assistant.db").is_file()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_relative_path_is_resolved_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project("aurora")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    project.conversations.create()

    assert project.path == tmp_path / "aurora"
    assert project.database_path().is_file()


def test_making_a_file_leaves_no_draft(project: Project) -> None:
    project.conversations.create()
    project.dispose()

    assert [file.name for file in project.database_path().parent.iterdir()] == ["assistant.db"]


def test_a_file_is_made_without_hard_links_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    project.conversations.create(title="x")

    assert titles(project) == ["x"]
    assert mode(project.database_path()) == "0o600"


def test_a_file_where_the_data_folder_should_be_is_one_clear_error(project: Project) -> None:
    project.path.mkdir()
    (project.path / ".peewee_conv").write_text("in the way")

    with pytest.raises(DatabaseIOError, match=r"Not a directory|File exists"):
        project.conversations.create()


def test_a_project_below_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    project = Project(tmp_path / "file" / "project")

    with pytest.raises(DatabaseIOError, match="Not a directory"):
        project.conversations.create()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_what_is_no_file_is_one_clear_error(project: Project, make: Callable[[Path], None]) -> None:
    project.database_path().parent.mkdir(parents=True)
    make(project.database_path())

    with pytest.raises(DatabaseCorrupt, match="not a regular file"):
        project.conversations.create()


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 5000], ids=["text", "header"])
def test_a_file_that_is_no_database_is_left_untouched(project: Project, content: bytes) -> None:
    project.database_path().parent.mkdir(parents=True)
    project.database_path().write_bytes(content)

    with pytest.raises(DatabaseCorrupt):
        project.conversations.create()

    assert project.database_path().read_bytes() == content


def test_an_empty_file_becomes_a_database(project: Project) -> None:
    project.database_path().parent.mkdir(parents=True)
    project.database_path().touch()

    project.conversations.create(title="x")

    assert titles(project) == ["x"]


def test_a_file_that_cannot_be_written_says_so_at_once(project: Project) -> None:
    project.conversations.create(title="kept")
    database = cache.open_databases()[0]
    connection = database.checkout()
    connection.execute("PRAGMA query_only = 1")
    database.checkin(connection)

    with pytest.raises(DatabaseReadOnly, match="readonly"):
        project.conversations.create()
    assert titles(project) == ["kept"]


# --- a file that goes away ---


@pytest.fixture(params=["wal", "delete"])
def in_use(request: pytest.FixtureRequest, make_project: MakeProject) -> Project:
    project = make_project(journal_mode=request.param)
    project.conversations.create(title="before")
    return project


def remove(project: Project) -> None:
    for file in project.database_path().parent.iterdir():
        file.unlink()


def replace(project: Project, make_project: MakeProject) -> None:
    """Put the file of another project, with one conversation, in the place of the project's own."""
    other = make_project("other", journal_mode=project._binding.settings.journal_mode)
    other.conversations.create(title="of the replacement")
    other.dispose()
    # As SQLite asks for: never without the log, which belongs to the file that leaves.
    for suffix in ("-wal", "-shm"):
        Path(f"{project.database_path()}{suffix}").unlink(missing_ok=True)
    os.replace(other.database_path(), project.database_path())


def test_a_write_into_a_deleted_file_is_never_acknowledged(in_use: Project) -> None:
    remove(in_use)

    for _ in range(2):
        with pytest.raises(DatabaseGone):
            in_use.conversations.create(title="lost")


def test_a_write_of_a_scope_into_a_deleted_file_is_never_acknowledged(in_use: Project) -> None:
    with in_use:
        titles(in_use)
        remove(in_use)
        with pytest.raises(DatabaseGone):
            in_use.conversations.create(title="lost")


def test_plain_peewee_into_a_deleted_file_is_never_acknowledged(in_use: Project, tickets: Tickets) -> None:
    with in_use:
        tickets.Ticket.create(title="before")
        remove(in_use)
        with pytest.raises((DatabaseGone, OperationalError)):
            tickets.Ticket.create(title="lost")


def test_a_transaction_into_a_deleted_file_is_never_acknowledged(in_use: Project) -> None:
    def work() -> None:
        with in_use.atomic():
            remove(in_use)
            in_use.conversations.create(title="lost")

    with pytest.raises(DatabaseGone):
        work()


def test_a_read_of_a_deleted_file_says_so(in_use: Project) -> None:
    remove(in_use)

    with pytest.raises(DatabaseGone, match="was deleted while it was open"):
        in_use.conversations.list()


def test_a_deleted_file_is_made_anew_after_dispose(in_use: Project) -> None:
    remove(in_use)
    with pytest.raises(DatabaseGone):
        in_use.conversations.list()
    in_use.dispose()

    assert titles(Project(in_use.path)) == []


def test_a_replaced_file_is_picked_up_by_the_next_call(in_use: Project, make_project: MakeProject) -> None:
    replace(in_use, make_project)

    assert titles(in_use) == ["of the replacement"]
    in_use.conversations.create(title="after")
    assert titles(in_use) == ["of the replacement", "after"]


def test_a_write_of_a_scope_into_a_replaced_file_is_never_acknowledged(
    in_use: Project, make_project: MakeProject
) -> None:
    with in_use:
        titles(in_use)
        replace(in_use, make_project)
        with pytest.raises(DatabaseGone):
            in_use.conversations.create(title="lost")
        assert titles(in_use) == ["of the replacement"]


def test_a_transaction_on_a_replaced_file_is_never_acknowledged(in_use: Project, make_project: MakeProject) -> None:
    def work() -> None:
        with in_use.atomic():
            in_use.conversations.create(title="lost")
            replace(in_use, make_project)

    with pytest.raises(ProjectDisposed):
        work()

    assert titles(in_use) == ["of the replacement"]


# --- what Peewee sees ---


def test_bulk_inserts_prefetch_and_functions_work(project: Project, tickets: Tickets) -> None:
    from peewee import fn, prefetch

    Ticket, Comment = tickets.Ticket, tickets.Comment
    with project:
        Ticket.bulk_create([Ticket(title=f"t{number}", votes=number) for number in range(10)], batch_size=3)
        Comment.insert_many([{"ticket": number, "text": "x"} for number in (1, 1, 2)]).execute()

        counted = [len(ticket.comments) for ticket in prefetch(Ticket.select().limit(2), Comment.select())]

        assert counted == [2, 1]
        assert Ticket.select(fn.SUM(Ticket.votes)).scalar() == 45
        assert Ticket.update(votes=Ticket.votes + 1).execute() == 10
        assert Ticket.get_or_create(title="t1", defaults={"votes": 7})[1] is False


def test_create_tables_makes_further_tables(project: Project, tickets: Tickets) -> None:
    import peewee

    class Label(tickets.schema.Model):  # type: ignore[name-defined,misc]
        name = peewee.TextField(unique=True)

    with project:
        tickets.schema.database.create_tables([Label])
        Label.create(name="urgent")
        assert Label.table_exists()
        with pytest.raises(peewee.IntegrityError):
            Label.create(name="urgent")


def test_own_functions_and_aggregates_work_in_their_scope(project: Project, tickets: Tickets) -> None:
    from peewee import fn

    class Product:
        def __init__(self) -> None:
            self.value = 1

        def step(self, value: int) -> None:
            self.value *= value

        def finalize(self) -> int:
            return self.value

    with project:
        tickets.schema.database.register_function(lambda text: text[::-1], "backwards", 1)
        tickets.schema.database.register_aggregate(Product, "product", 1)
        tickets.Ticket.insert_many([{"title": "abc", "votes": number} for number in (2, 3, 4)]).execute()

        assert tickets.Ticket.select(fn.backwards(tickets.Ticket.title)).limit(1).scalar() == "cba"
        assert tickets.Ticket.select(fn.product(tickets.Ticket.votes)).scalar() == 24


def test_values_that_sqlite_cannot_hold_are_refused_by_name(project: Project) -> None:
    with pytest.raises(InvalidArgument):
        project.conversations.create(title="lone \ud800 surrogate")

    assert titles(project) == []


def test_a_query_hook_sees_the_statements(project: Project) -> None:
    seen: list[str] = []
    with project:
        assistant.database.query_hooks.append(lambda event: seen.append(event.sql))
        Conversation.select().count()
        assistant.database.query_hooks.clear()

    assert len(seen) == 1
