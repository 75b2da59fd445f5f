"""``atomic()``: services and plain Peewee in one transaction, undone whole or committed whole."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

import peewee
import pytest
from tickets import Tickets

from peewee_conv import Project
from peewee_conv.database.cache import cache
from peewee_conv.errors import ConversationNotFound, DatabaseBusy, DatabaseIOError, ProjectNotBound
from peewee_conv.models import Conversation, assistant


def titles(project: Project) -> list[str | None]:
    return [talk.title for talk in reversed(project.conversations.list())]


def ticket_titles(project: Project, tickets: Tickets) -> list[str]:
    with project:
        return [row.title for row in tickets.Ticket.select().order_by(tickets.Ticket.id)]


def turn_is_free(project: Project) -> bool:
    """Whether another thread can write."""
    done: list[str] = []
    thread = threading.Thread(target=lambda: done.append(project.conversations.create().id))
    thread.start()
    thread.join(5.0)
    return bool(done)


# --- services and models together ---


def test_services_and_models_share_the_transaction_of_the_project(project: Project) -> None:
    with pytest.raises(KeyError), project.atomic():  # noqa: PT012
        talk = project.conversations.create(title="undone")
        Conversation.update(title="renamed").where(Conversation.id == talk.id).execute()
        assert project.conversations.get(talk.id).title == "renamed"
        raise KeyError

    assert titles(project) == []


def test_services_join_a_transaction_that_peewee_began(project: Project) -> None:
    with pytest.raises(KeyError), project, assistant.database.atomic():  # noqa: PT012
        project.conversations.create(title="undone")
        raise KeyError

    assert titles(project) == []


def test_a_service_that_fails_takes_back_its_own_changes_alone(project: Project) -> None:
    with project.atomic():
        talk = project.conversations.create(title="kept")
        with pytest.raises(ConversationNotFound):
            project.conversations.add_messages("nobody", [{"role": "user", "content": "x"}])
        project.conversations.add_message(talk.id, "user", "kept too")

    assert titles(project) == ["kept"]
    assert project.conversations.get(talk.id).message_count == 1


def test_others_see_nothing_before_the_commit(project: Project) -> None:
    seen: list[int] = []
    with project.atomic():
        project.conversations.create()
        thread = threading.Thread(target=lambda: seen.append(len(project.conversations.list())))
        thread.start()
        thread.join()

    assert seen == [0]
    assert len(project.conversations.list()) == 1


def test_a_transaction_of_one_schema_leaves_the_other_alone(project: Project, tickets: Tickets) -> None:
    with pytest.raises(KeyError), project.atomic(tickets.schema):  # noqa: PT012
        tickets.Ticket.create(title="undone")
        project.conversations.create(title="kept")
        raise KeyError

    assert ticket_titles(project, tickets) == []
    assert titles(project) == ["kept"]


# --- plain Peewee ---


def test_an_inner_atomic_is_a_savepoint(project: Project, tickets: Tickets) -> None:
    database = tickets.schema.database
    with project, database.atomic():
        tickets.Ticket.create(title="kept")
        with pytest.raises(KeyError), database.atomic():  # noqa: PT012
            tickets.Ticket.create(title="undone")
            raise KeyError
        with database.savepoint():
            tickets.Ticket.create(title="kept too")

    assert ticket_titles(project, tickets) == ["kept", "kept too"]


def test_atomic_decorates_a_function(project: Project, tickets: Tickets) -> None:
    @tickets.schema.database.atomic()
    def add(title: str, *, fail: bool) -> None:
        tickets.Ticket.create(title=title)
        if fail:
            raise KeyError

    with project:
        add("kept", fail=False)
        with pytest.raises(KeyError):
            add("undone", fail=True)

    assert ticket_titles(project, tickets) == ["kept"]


def test_a_decorated_function_may_call_itself(project: Project, tickets: Tickets) -> None:
    @tickets.schema.database.atomic()
    def add(depth: int) -> None:
        tickets.Ticket.create(title=f"level {depth}")
        if depth:
            add(depth - 1)

    with project:
        add(2)

    assert ticket_titles(project, tickets) == ["level 2", "level 1", "level 0"]


def test_explicit_rollback_takes_back_what_came_before_it(project: Project, tickets: Tickets) -> None:
    with project, tickets.schema.database.atomic() as transaction:
        tickets.Ticket.create(title="undone")
        transaction.rollback()
        tickets.Ticket.create(title="kept")

    assert ticket_titles(project, tickets) == ["kept"]


def test_explicit_commit_keeps_what_came_before_it(project: Project, tickets: Tickets) -> None:
    with pytest.raises(KeyError), project, tickets.schema.database.atomic() as transaction:  # noqa: PT012
        tickets.Ticket.create(title="kept")
        transaction.commit()
        tickets.Ticket.create(title="undone")
        raise KeyError

    assert ticket_titles(project, tickets) == ["kept"]


def test_explicit_rollback_of_a_savepoint_keeps_the_outer_changes(project: Project, tickets: Tickets) -> None:
    with project, tickets.schema.database.atomic():
        tickets.Ticket.create(title="kept")
        with tickets.schema.database.atomic() as savepoint:
            tickets.Ticket.create(title="undone")
            savepoint.rollback()

    assert ticket_titles(project, tickets) == ["kept"]


def test_explicit_commit_outside_the_block_is_refused(project: Project, tickets: Tickets) -> None:
    with project, tickets.schema.database.atomic() as transaction:
        pass

    with pytest.raises(RuntimeError, match="inside its 'with' block"):
        transaction.commit()


@pytest.mark.parametrize("verb", ["session_commit", "session_rollback"])
def test_a_session_ends_its_transaction(project: Project, tickets: Tickets, verb: str) -> None:
    with project:
        tickets.schema.database.session_start()
        tickets.Ticket.create(title="x")
        getattr(tickets.schema.database, verb)()
        assert not tickets.schema.database.connection().in_transaction
        assert turn_is_free(project)

    assert ticket_titles(project, tickets) == (["x"] if verb == "session_commit" else [])


def test_with_database_is_a_transaction(project: Project, tickets: Tickets) -> None:
    with pytest.raises(KeyError), project, tickets.schema.database:  # noqa: PT012
        tickets.Ticket.create(title="undone")
        raise KeyError

    assert ticket_titles(project, tickets) == []


def test_batches_are_committed_one_by_one(project: Project, tickets: Tickets) -> None:
    with project:
        for number in tickets.schema.database.batch_commit(range(5), 2):
            tickets.Ticket.create(title=str(number))

    assert len(ticket_titles(project, tickets)) == 5


def test_every_transaction_takes_the_lock_at_once(project: Project, tickets: Tickets) -> None:
    with project, tickets.schema.database.atomic():
        outside = peewee.sqlite3.connect(project.database_path(tickets.schema), timeout=0)
        with pytest.raises(peewee.sqlite3.OperationalError, match="locked"):
            outside.execute("BEGIN IMMEDIATE")
        outside.close()


# --- callbacks ---


def test_after_commit_runs_when_others_can_see_the_data(project: Project, tickets: Tickets) -> None:
    seen: list[list[str]] = []

    def look() -> None:
        thread = threading.Thread(target=lambda: seen.append(ticket_titles(project, tickets)))
        thread.start()
        thread.join()

    with project, tickets.schema.database.atomic():
        with tickets.schema.database.atomic():
            tickets.schema.database.after_commit(look)
        tickets.Ticket.create(title="done")
        assert seen == []

    assert seen == [["done"]]


def test_after_commit_is_dropped_by_a_rollback(project: Project, tickets: Tickets) -> None:
    called: list[int] = []
    with project:
        with pytest.raises(KeyError), tickets.schema.database.atomic():  # noqa: PT012
            tickets.schema.database.after_commit(lambda: called.append(1))
            raise KeyError
        with tickets.schema.database.atomic():
            tickets.Ticket.create(title="x")

    assert called == []


def test_after_commit_outside_a_transaction_runs_at_once(project: Project, tickets: Tickets) -> None:
    called: list[int] = []
    with project:
        tickets.schema.database.after_commit(lambda: called.append(1))

    assert called == [1]


def test_a_callback_that_fails_undoes_nothing(project: Project, tickets: Tickets) -> None:
    def fail() -> None:
        raise KeyError("callback")

    with project, pytest.raises(KeyError, match="callback"), tickets.schema.database.atomic():  # noqa: PT012
        tickets.Ticket.create(title="kept")
        tickets.schema.database.after_commit(fail)

    assert ticket_titles(project, tickets) == ["kept"]
    assert turn_is_free(project)


def test_a_callback_may_write(project: Project, tickets: Tickets) -> None:
    with project, tickets.schema.database.atomic():
        tickets.schema.database.after_commit(lambda: tickets.Ticket.create(title="by callback"))

    assert ticket_titles(project, tickets) == ["by callback"]


# --- what goes wrong ---


def test_a_commit_that_fails_reports_it_and_writes_nothing(project: Project, tickets: Tickets) -> None:
    called: list[int] = []
    with project:
        with pytest.raises(Exception, match="FOREIGN KEY constraint failed"), tickets.schema.database.atomic():  # noqa: PT012
            tickets.schema.database.after_commit(lambda: called.append(1))
            tickets.Comment.create(ticket=99, text="orphan")
        assert tickets.Comment.select().count() == 0

    assert called == []
    assert turn_is_free(project)


def test_an_explicit_commit_that_fails_gives_the_turn_on_once(project: Project, tickets: Tickets) -> None:
    with project:
        with (  # noqa: PT012
            pytest.raises(Exception, match="FOREIGN KEY constraint failed"),
            tickets.schema.database.atomic() as transaction,
        ):
            tickets.Comment.create(ticket=99, text="orphan")
            transaction.commit()
        assert tickets.Comment.select().count() == 0
        tickets.Ticket.create(title="after it")

    assert ticket_titles(project, tickets) == ["after it"]


def test_a_failed_commit_that_is_swallowed_is_no_success(project: Project, tickets: Tickets) -> None:
    def swallow() -> None:
        with tickets.schema.database.atomic() as transaction:
            tickets.Comment.create(ticket=99, text="orphan")
            try:
                transaction.commit()
            except Exception:  # noqa: BLE001 - the carelessness that is tested
                return

    with project, pytest.raises(ProjectNotBound, match="ended before its block was left"):
        swallow()


def test_a_transaction_that_sqlite_gave_up_is_no_success(project: Project, tickets: Tickets) -> None:
    with project:
        with pytest.raises(DatabaseIOError, match="gave up"), tickets.schema.database.atomic():  # noqa: PT012
            tickets.Ticket.create(title="lost")
            tickets.schema.database.connection().execute("ROLLBACK")
        assert turn_is_free(project)

    assert ticket_titles(project, tickets) == []


def test_nothing_is_written_on_after_sqlite_gave_up(project: Project) -> None:
    with pytest.raises(DatabaseIOError, match="leave the atomic"), project.atomic():  # noqa: PT012
        assistant.database.connection().execute("ROLLBACK")
        project.conversations.create(title="alone")

    assert titles(project) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_every_kind_of_exit_rolls_back(project: Project, error: type[BaseException]) -> None:
    with pytest.raises(error), project.atomic():  # noqa: PT012
        project.conversations.create(title="undone")
        raise error

    assert titles(project) == []
    assert turn_is_free(project)


def test_an_interrupt_that_comes_with_the_lock_leaves_no_lock_behind(project: Project, tickets: Tickets) -> None:
    class Interrupted:
        """A connection on which Control-C arrives while BEGIN waits for the lock."""

        def __getattr__(self, name: str) -> object:
            return getattr(connection, name)

        def execute(self, sql: str) -> None:
            connection.execute(sql)
            if sql.startswith("BEGIN"):
                raise KeyboardInterrupt

    with project:
        lease = tickets.schema.database._state
        connection, lease.conn = lease.conn, Interrupted()
        with pytest.raises(KeyboardInterrupt), tickets.schema.database.atomic():
            pass
        lease.conn = connection
        assert not connection.in_transaction
        assert turn_is_free(project)
        tickets.Ticket.create(title="the turn is free")


def test_a_transaction_begun_by_hand_does_not_outlive_the_scope(project: Project, tickets: Tickets) -> None:
    with project:
        tickets.schema.database.execute_sql("BEGIN")
        tickets.Ticket.create(title="undone")

    with project:
        assert not tickets.schema.database.connection().in_transaction
        assert tickets.Ticket.select().count() == 0


def test_a_transaction_ends_on_the_project_it_began_on(make_project: Callable[..., Project], tickets: Tickets) -> None:
    aurora, borealis = make_project("aurora"), make_project("borealis")
    with aurora:
        transaction = tickets.schema.database.atomic()
        transaction.__enter__()
        tickets.Ticket.create(title="of aurora")
        with borealis:
            transaction.__exit__(None, None, None)

    assert ticket_titles(aurora, tickets) == ["of aurora"]
    assert ticket_titles(borealis, tickets) == []


def test_a_second_scope_of_the_thread_cannot_wait_for_its_own_transaction(project: Project) -> None:
    with project.atomic():
        project.conversations.create()
        with pytest.raises(DatabaseBusy, match="this thread holds a transaction"):
            contextvars.Context().run(project.conversations.create)


def test_a_statement_of_plain_peewee_waits_for_its_turn(project: Project, tickets: Tickets) -> None:
    started, order = threading.Event(), []

    def write() -> None:
        with project:
            started.set()
            tickets.Ticket.create(title="second")
            order.append("second")

    with project:
        tickets.Ticket.select().count()
        with tickets.schema.database.atomic():
            thread = threading.Thread(target=write)
            thread.start()
            started.wait()
            tickets.Ticket.create(title="first")
            order.append("first")
        thread.join()

    assert order == ["first", "second"]


def test_a_query_with_a_common_table_expression_waits_for_no_writer(
    make_project: Callable[..., Project], tickets: Tickets
) -> None:
    project = make_project(busy_timeout_ms=200)
    base = tickets.Ticket.select(tickets.Ticket.id).cte("base")
    seen: list[int] = []

    def read() -> None:
        with project:
            seen.append(len(list(base.select_from(base.c.id))))

    with project, tickets.schema.database.atomic():
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()

    assert seen == [0]


def test_a_dropped_database_leaves_no_loan(project: Project) -> None:
    with project.atomic():
        project.conversations.create()

    assert all(database.is_idle for database in cache.open_databases())
