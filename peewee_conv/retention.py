"""Keep a project small: prune, delete what nobody uses any more, and give the space back.

Everything is done in short transactions, with the services' own deletions, so that writers get in between and counts
and search index stay right. What an interrupted run has done is kept, and the next run goes on.

>>> import tempfile
>>> from peewee_conv import Project
>>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
...     talk = project.conversations.create()
...     for number in range(5):
...         message = project.conversations.add_message(talk.id, "user", str(number))
...     project.retain(prune=2, dry_run=True).messages_pruned
...     project.retain(prune=2).messages_pruned
...     [message.content for message in project.conversations.messages(talk.id)]
...     project.dispose()
3
3
['3', '4']
True
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict, Unpack

from . import arguments, paths
from .backup import backup
from .clock import from_text, to_text
from .database.faults import translate
from .database.handle import Handle
from .database.scope import current_scope
from .errors import DatabaseCorrupt, InvalidArgument, ProjectInUse
from .ids import check_id
from .schemas import assistant, features

if TYPE_CHECKING:
    from .database.schema import Schema
    from .project import Project

logger = logging.getLogger("peewee_conv")

#: ``on_progress(done, total)``, in messages and conversations; the total is not known and 0.
Progress = Callable[[int, int], object]

_MESSAGES = 1000  # that one transaction deletes: other writers wait for no more
_COST = 10  # of a conversation, in messages
_COPY_SECONDS = 86_400  # no dry run takes so long
_LONGEST = (
    "SELECT number, id, CAST(message_count AS INTEGER) FROM conversations"
    " WHERE {} AND number >= ? AND message_count > ?"
)
_OLDEST = (
    "SELECT number, id, coalesce(CAST(message_count AS INTEGER), 0) FROM conversations WHERE {} AND updated_at < ?"
)


class Rules(TypedDict, total=False):
    """What :func:`retain` can be told; at least one of the first six.

    ``purge``: delete expired sessions and expired overrides of schedules.
    ``inactive_days``: delete conversations in which nothing happened for longer, 1 or more.
    ``max_conversations``: keep so many conversations, the most recently active ones, 0 or more.
    ``prune``: keep the newest so many messages of every conversation, 0 or more.
    ``max_size_bytes``: delete the least recently active conversations until the file has no more bytes, then vacuum.
    ``vacuum``: give the free space in the file back to the file system.
    ``user_id``, ``project_name``: of conversations, only those are touched.
    """

    purge: bool
    inactive_days: int | None
    max_conversations: int | None
    prune: int | None
    max_size_bytes: int | None
    vacuum: bool
    user_id: str | None
    project_name: str | None


class Retention(NamedTuple):
    """What a run did, or would do.

    :ivar messages_deleted: those of the deleted conversations.
    :ivar conversations_pruned: how many lost ``messages_pruned`` messages and stay.
    :ivar bytes_before: of the file, free space included.
    """

    dry_run: bool
    conversations_deleted: int = 0
    messages_deleted: int = 0
    conversations_pruned: int = 0
    messages_pruned: int = 0
    sessions_purged: int = 0
    overrides_purged: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return self._asdict()


def retain(
    project: Project, *, dry_run: bool = False, on_progress: Progress | None = None, **rules: Unpack[Rules]
) -> Retention:
    """Apply *rules* to the conversations of a project, in the order in which :class:`Rules` lists them.

    :param dry_run: do everything to a private copy of the file, which is deleted afterwards, and change nothing: the
        counts are those of a real run. It takes as much time and disk space.
    :param on_progress: called after each transaction.
    :raises InvalidArgument: there is no rule, or a value is not allowed.
    :raises ProjectInUse: called inside a transaction of the project: this makes many of its own.
    :raises DatabaseCorrupt: a trigger of somebody else or a damaged row keeps something from going. What went in the
        transactions before is gone.
    """
    check_rules(rules)
    _refuse_transaction(project)
    if paths.identity(str(project.database_path())) is None:
        return Retention(dry_run)
    if dry_run:
        with _copied(project) as copy:
            return _Run(copy, rules, on_progress).carry_out()._replace(dry_run=True)
    done = _Run(project, rules, on_progress).carry_out()
    logger.info("%s: retention: %s", project.path, ", ".join(f"{name} {count}" for name, count in _numbers(done)))
    return done


def vacuum(project: Project, schema: Schema = assistant) -> None:
    """Give the free space in the file of *schema* back to the file system.

    Writers wait meanwhile, in rollback mode readers too. It needs free disk space: as much as the file, twice.

    :raises DatabaseBusy: somebody else uses the file for too long.
    """
    database, connection = project._binding.checkout(schema)
    turn = object()
    try:
        database.writer.acquire(turn, connection.counts)
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # only then the file itself is smaller; waits for nobody
        database.check_identity(connection)
    except sqlite3.Error as error:
        raise database.fault(error) from error
    finally:
        database.writer.release(turn)
        database.checkin(connection)


# --- before anything is done ---


def check_rules(rules: Rules) -> None:
    """Refuse rules that are none.

    :raises InvalidArgument: there is no rule, or a value is not allowed.
    """
    unknown = rules.keys() - Rules.__annotations__
    if unknown:
        raise InvalidArgument("rule", sorted(unknown)[0], "one of " + ", ".join(Rules.__annotations__))
    for name, low, high in _BOUNDS:
        value = rules.get(name)
        if value is not None:
            arguments.whole(name, value, low, high)
    for name in ("purge", "vacuum"):
        if not isinstance(rules.get(name, False), bool):
            raise InvalidArgument(name, rules.get(name), "True or False")
    if all(rules.get(name) is None or rules.get(name) is False for name in _RULES):  # 0 is a value
        raise InvalidArgument("rules", None, "at least one of " + ", ".join(_RULES))
    for name, check in _FILTERS:
        if rules.get(name) is not None:
            check(name, rules.get(name))


_BOUNDS: Final = (
    ("prune", 0, 2**32),
    ("inactive_days", 1, 1_000_000),
    ("max_conversations", 0, 2**31),
    ("max_size_bytes", 1, 2**63 - 1),
)
_FILTERS: Final = (
    ("user_id", check_id),
    ("project_name", lambda name, value: arguments.text(name, value, 255)),
)
_RULES: Final = ("purge", "inactive_days", "max_conversations", "prune", "max_size_bytes", "vacuum")


def _refuse_transaction(project: Project) -> None:
    scope = current_scope()
    found = scope and scope.find(project._binding)
    if found and any(lease.transactions for lease in found.leases.values()):
        raise ProjectInUse(project.path, "retention commits step by step and cannot be part of a transaction")


def _numbers(done: Retention) -> Iterable[tuple[str, int]]:
    return ((name, count) for name, count in done._asdict().items() if name != "dry_run")


@contextmanager
def _copied(project: Project) -> Iterator[Project]:
    """Yield a project that is a copy of *project*, in a folder of its own beside the file, and delete it at the end."""
    settings = project._binding.settings
    prefix = f"{project.database_path()}.dry-run-"
    _remove_old_copies(prefix)
    try:
        folder = tempfile.mkdtemp(prefix=os.path.basename(prefix), dir=os.path.dirname(prefix))
    except OSError as error:
        raise translate(error, os.path.dirname(prefix)) from error
    try:
        copy = type(project)(folder, now=settings.now, durability="normal", warn_size_bytes=None)
        try:
            for schema in (assistant, features):
                if paths.identity(str(project.database_path(schema))) is not None:
                    target, drafted = str(copy.database_path(schema)), os.path.join(folder, schema.name)
                    paths.make_data_folder(os.path.dirname(target))
                    backup(project, drafted, schema=schema)  # which takes no path of a project's database
                    os.rename(drafted, target)
            yield copy
        finally:
            copy.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_old_copies(prefix: str) -> None:
    """Delete what dry runs left behind that were killed: it has what a real run was meant to delete."""
    folder, name = os.path.split(prefix)
    for found in os.listdir(folder):
        if found.startswith(name):
            path = os.path.join(folder, found)
            with suppress(FileNotFoundError):  # its owner has just deleted it
                if time.time() - os.stat(path).st_mtime > _COPY_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


# --- the rules ---

_Victim = tuple[int, str, int]  # number, id, messages


class _Run:
    """One run over a project, and what it has done so far."""

    def __init__(self, project: Project, rules: Rules, on_progress: Progress | None) -> None:
        self._project, self._rules, self._on_progress = project, rules, on_progress
        self._handle = Handle(project._binding, assistant)
        self._done = Retention(dry_run=False)
        filters = {name: rules.get(name) for name, _ in _FILTERS if rules.get(name) is not None}
        self._where, self._params = " AND ".join(f"{name} = ?" for name in filters) or "1", tuple(filters.values())

    def carry_out(self) -> Retention:
        """Apply the rules and return what was done."""
        self._add(bytes_before=self._bytes()[0])
        if self._rules.get("purge"):
            self._purge()
        days, most = self._rules.get("inactive_days"), self._rules.get("max_conversations")
        if days is not None:
            before = self._days_ago(days)
            self._work_off(lambda: self._inactive_since(before))
        if most is not None:
            self._work_off(lambda: self._beyond(most))
        keep, limit = self._rules.get("prune"), self._rules.get("max_size_bytes")
        if keep is not None:
            self._work_off(lambda: self._longer_than(keep), keep)
        is_vacuumed = limit is not None and self._fit(limit)
        if self._rules.get("vacuum") and not is_vacuumed:
            vacuum(self._project)
        self._add(bytes_after=self._bytes()[0])
        return self._done

    def _add(self, **more: int) -> None:
        self._done = self._done._replace(**{name: getattr(self._done, name) + count for name, count in more.items()})

    # --- whom a rule is about: asked in the transaction that deletes them, where nobody else can make them active ---

    def _longer_than(self, keep: int) -> Iterator[_Victim]:
        number = 0  # those before are short enough
        while (victim := self._first(f"{_LONGEST} ORDER BY number", number, keep)) is not None:
            number = victim[0]
            yield victim

    def _inactive_since(self, before: str) -> Iterator[_Victim]:
        while (victim := self._oldest(before)) is not None:
            yield victim

    def _beyond(self, most: int) -> Iterator[_Victim]:
        (count,) = self._first("SELECT count(*) FROM conversations WHERE {}")
        for _ in range(count - most):
            yield self._oldest()

    def _until_fitting(self, limit: int) -> Iterator[_Victim]:
        while sum(self._bytes()) > limit and (victim := self._oldest()) is not None:
            yield victim

    def _oldest(self, before: str = "a") -> Any:  # "a": after every time
        return self._first(f"{_OLDEST} ORDER BY updated_at, number", before)

    def _first(self, sql: str, *params: object) -> Any:
        return self._handle.read(_one, f"{sql.format(self._where)} LIMIT 1", (*self._params, *params))

    def _days_ago(self, days: int) -> str:
        now = from_text(self._project._binding.settings.now())
        try:
            return to_text(now - timedelta(days=days))
        except OverflowError:  # before the year 1
            return ""

    # --- carrying it out ---

    def _work_off(self, victims: Callable[[], Iterator[_Victim]], keep: int | None = None) -> None:
        """Delete all *victims*, or all but their newest *keep* messages, as many in a transaction as is quick."""
        is_done = False
        while not is_done:
            before = self._done
            with self._project.atomic():
                is_done = self._work_off_some(victims(), keep)
            if self._on_progress is not None and self._done != before:
                self._on_progress(sum(self._done[1:5]), 0)

    def _work_off_some(self, victims: Iterator[_Victim], keep: int | None) -> bool:
        """Return whether there is no victim any more."""
        room = _MESSAGES
        for _, id, count in victims:
            room -= self._shrink(id, count, keep) + _COST
            if room <= 0:
                return False
        return True

    def _shrink(self, id: str, count: int, keep: int | None) -> int:
        """Delete a conversation or its oldest messages, of a long one only some; return how many messages went."""
        conversations = self._project.conversations
        if keep is None and count <= _MESSAGES:
            conversations.delete(id)
            if conversations.find(id) is not None:  # or it would be the next victim again, for ever
                raise self._odd("a conversation is still there after its deletion")
            self._add(conversations_deleted=1, messages_deleted=count)
            return count
        left = max(keep or 0, count - _MESSAGES)
        gone = conversations.prune(id, left)
        if not gone:
            raise self._odd("a conversation has not the messages that it counts")
        if keep is None:
            self._add(messages_deleted=gone)
        else:
            self._add(messages_pruned=gone, conversations_pruned=int(left == keep))
        return gone

    def _odd(self, detail: str) -> DatabaseCorrupt:
        return DatabaseCorrupt(self._project.database_path(), detail)

    def _fit(self, limit: int) -> bool:
        """Bring the file below *limit*, or as near as its conversations let it; return whether it was vacuumed."""
        is_vacuumed = False
        while self._bytes()[0] > limit:
            self._work_off(lambda: self._until_fitting(limit))
            if not self._bytes()[1]:
                break  # nothing is left to delete, or to give back
            vacuum(self._project)
            is_vacuumed = True
        return is_vacuumed

    def _purge(self) -> None:
        self._add(sessions_purged=self._project.accounts.purge_expired())
        if paths.identity(str(self._project.database_path(features))) is not None:
            self._add(overrides_purged=self._project.schedules.purge_overrides())

    def _bytes(self) -> tuple[int, int]:
        """Return how many bytes the file has, and, as a negative number, how many of them are free."""
        return self._handle.read(_bytes)


def _one(connection: sqlite3.Connection, sql: str, params: tuple[object, ...]) -> Any:
    return connection.execute(sql, params).fetchone()


def _bytes(connection: sqlite3.Connection) -> tuple[int, int]:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return pages * size, -free * size
