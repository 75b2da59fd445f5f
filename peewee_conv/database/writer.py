"""One writer at a time per file and process, in the order of arrival, sharing commits.

Threads that write to one file would otherwise poll SQLite's lock, unfairly and slowly. Here they queue. Whoever finds
nobody writing writes at once; who comes meanwhile is taken along: the next writer carries out all that has queued up
in one transaction and one commit, and each caller returns when that commit is on disk. A statement that fails, fails
its own caller; a commit that fails, fails every caller of its batch, and none was acknowledged.
"""

from __future__ import annotations

import copy
import sqlite3
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from time import perf_counter

from ..counters import BOUNDS, Counts
from ..errors import DatabaseBusy, DatabaseFailure, DatabaseIOError, PeeweeConvError
from .faults import translate
from .pace import Gathering, Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Work = Callable[..., Any]

_BATCH = 256  # callers that share one commit at most; bounds how long the first of them waits for the last


class Request:
    """One caller that waits: for its work to be done by another thread, or for its own turn."""

    __slots__ = (
        "args",
        "begun",
        "done",
        "error",
        "gate",
        "holder",
        "is_statement",
        "leads",
        "result",
        "thread",
        "work",
    )

    def __init__(
        self,
        work: Work | None,
        args: tuple[Any, ...] = (),
        is_statement: bool = False,
        *,
        begun: float,
        holder: object = None,
    ) -> None:
        self.work, self.args, self.is_statement, self.begun = work, args, is_statement, begun
        self.holder, self.thread = holder, threading.get_ident()
        self.leads = self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.gate = threading.Lock()
        self.gate.acquire()

    def do(self, connection: sqlite3.Connection) -> Any:
        """Carry out the work on the connection of whoever commits it."""
        if self.work is None:
            raise RuntimeError("a request for a turn has no work")
        return self.work(connection, *self.args)

    def outcome(self) -> Any:
        """Return what the work returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self.result


class Writer:
    """The queue of one file's writers.

    :param path: the file, for errors.
    :param timeout_ms: how long a caller queues at most.
    :param check: called after each commit; raises if the file is not at its path any more.
    :param group_commit: whether queued callers share a commit.
    """

    def __init__(
        self, path: str, timeout_ms: int, check: Callable[[sqlite3.Connection], None], *, group_commit: bool = True
    ) -> None:
        self._path, self._timeout, self._check = path, timeout_ms / 1000, check
        self._batch = _BATCH if group_commit else 1
        self._mutex = threading.Lock()
        self._busy = False
        # Whether the last commit was shared: then others are about to come. The next one waits for nobody, but takes
        # along who comes before it is made.
        self._is_crowded = False
        # Who holds the turn for a transaction, perhaps for long, and in which thread.
        self._holder: object = None
        self._holder_thread: int | None = None
        self._queue: deque[Request] = deque()
        self._pace = Pace()
        self._gathering = Gathering(self._mutex, self._queue)

    # --- work that this package brings: one call, one commit, shared where others wait ---

    def run(
        self,
        connection: sqlite3.Connection,
        work: Work,
        args: tuple[Any, ...],
        is_statement: bool,
        timeout: float | None = None,
    ) -> Any:
        """Carry out ``work(connection, *args)``, committed when this returns.

        :param is_statement: the work is one single SQL statement, which SQLite itself undoes when it fails.
        :param timeout: seconds in the queue at most; left out, the busy timeout.
        """
        request: Request | None = None
        leads = False
        started = perf_counter()
        try:  # from the very first step on: an interrupt must not leave the turn with nobody
            with self._mutex:
                if self._busy:
                    request = Request(work, args, is_statement, begun=started)
                    self._queue.append(request)
                    self._gathering.arrived()
                else:
                    self._busy = leads = True
            counts: Counts = connection.counts  # type: ignore[attr-defined]
            if request is not None and self._wait(request, self._timeout if timeout is None else timeout, counts):
                return request.outcome()
            is_shared = self._is_crowded or (request is not None and self._queue and self._batch > 1)
            if is_shared or (is_statement and self._pace.is_slow):
                own = request or Request(work, args, is_statement, begun=started)
                self._gathering.wait(own.gate)
                self._pace.begin()
                return self._commit_batch(connection, own)
            self._pace.begin()
            result = self._commit_alone(connection, work, args, is_statement)
            # Not a call: this is the path of every write.
            took = perf_counter() - started
            counts.seconds += took
            counts.latencies[bisect_left(BOUNDS, took)] += 1
            return result
        except BaseException:
            if request is not None:
                self._withdraw(request)
            raise
        finally:
            if leads or (request is not None and request.leads):
                self._hand_over()

    def _commit_alone(
        self, connection: sqlite3.Connection, work: Work, args: tuple[Any, ...], is_statement: bool
    ) -> Any:
        try:
            if is_statement:
                result = work(connection, *args)
            else:
                connection.execute("BEGIN IMMEDIATE")
                self._pace.locked()
                result = work(connection, *args)
                connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself on a full disk: a second ROLLBACK would hide the cause.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._check(connection)
        return result

    def _commit_batch(self, connection: sqlite3.Connection, own: Request) -> Any:
        batch = [own]
        was_complete = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._pace.locked()
            request: Request | None = own
            while request is not None:
                self._carry_out(connection, request)
                request = self._take_along(batch)
            was_complete = True
            ready = perf_counter()
            connection.execute("COMMIT")
            self._gathering.expect(len(batch) + len(self._queue), perf_counter() - ready)
            self._check(connection)
            _count_batch(connection.counts, batch)  # type: ignore[attr-defined]
        except (sqlite3.Error, PeeweeConvError) as error:
            self._undo(connection)
            for request in batch:
                request.error = request.error or translate_again(error, self._path)
        except BaseException:  # this thread is torn away (KeyboardInterrupt, kill); the others are not
            # Outside a transaction before the commit, SQLite has given it up: nothing of it may pass for written.
            if connection.in_transaction or not was_complete:
                self._undo(connection)
                self._requeue(batch, own)
            else:
                self._release(batch, own)
            raise
        self._is_crowded = len(batch) > 1
        self._release(batch, own)
        return own.outcome()

    def _take_along(self, batch: list[Request]) -> Request | None:
        """Return the next caller to carry out before the commit, unless it wants a transaction of its own.

        Asked anew after each, so that whoever queues up meanwhile still catches this commit.
        """
        with self._mutex:
            if not self._queue or len(batch) == self._batch or self._queue[0].work is None:
                return None
            request = self._queue.popleft()
            batch.append(request)
            return request

    def _carry_out(self, connection: sqlite3.Connection, request: Request) -> None:
        try:
            if request.is_statement:
                request.result = request.do(connection)
            else:
                connection.execute("SAVEPOINT caller")
                request.result = request.do(connection)
                connection.execute("RELEASE caller")
        except Exception as error:
            if not connection.in_transaction:
                # SQLite gave up the whole transaction (full disk, I/O error): nobody's work is kept.
                if isinstance(error, (sqlite3.Error, DatabaseFailure)):
                    raise
                raise DatabaseIOError(self._path, "SQLite gave up this transaction, nothing was written") from error
            request.error = translate_again(error, self._path) if isinstance(error, sqlite3.Error) else error
            if not request.is_statement:
                connection.execute("ROLLBACK TO caller")
                connection.execute("RELEASE caller")

    def _undo(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def _requeue(self, batch: list[Request], own: Request) -> None:
        """Put the callers back that were taken along: the next writer carries their work out."""
        with self._mutex:
            for request in reversed(batch):
                if request is not own:
                    request.error = request.result = None
                    self._queue.appendleft(request)

    def _release(self, batch: list[Request], own: Request) -> None:
        for request in batch:
            if request is not own:
                request.done = True
                request.gate.release()

    # --- a turn of one's own: transactions, and statements of plain Peewee ---

    def acquire(self, holder: object, counts: Counts | None = None) -> None:
        """Wait for the turn to write and keep it for *holder* until :meth:`release`, to be called in any case.

        :param counts: where a wait is counted.
        """
        request: Request | None = None
        try:
            with self._mutex:
                if self._busy:
                    request = Request(None, begun=perf_counter(), holder=holder)
                    self._queue.append(request)
                else:
                    self._busy = True
                    self._holder, self._holder_thread = holder, threading.get_ident()
            if request is not None:
                self._wait(request, self._timeout, counts)
            self._pace.begin()
        except BaseException:
            if request is not None:
                self._withdraw(request)
            raise

    def locked(self) -> None:
        """Note that whoever has the turn has locked the file."""
        self._pace.locked()

    def release(self, holder: object) -> None:
        """Give the turn to the next in the queue, if *holder* has it."""
        if self._holder is holder:
            self._holder = self._holder_thread = None
            self._hand_over()

    # --- the queue ---

    def _wait(self, request: Request, timeout: float, counts: Counts | None) -> bool:
        """Block until *request* is done by another (true) or it is this thread's turn (false)."""
        try:
            return self._wait_at_gate(request, timeout)
        finally:
            if counts is not None:
                counts.waits += 1
                counts.wait_seconds += perf_counter() - request.begun

    def _wait_at_gate(self, request: Request, timeout: float) -> bool:
        if self._holder_thread == threading.get_ident() and self._withdraw(request):
            raise DatabaseBusy(self._path, "this thread holds a transaction on it in another scope or task")
        if request.gate.acquire(timeout=timeout):
            return request.done
        if not self._withdraw(request):
            # Taken along in the last moment: the outcome is decided there, and bounded by SQLite's own timeout.
            request.gate.acquire()
            return request.done
        raise DatabaseBusy(self._path, f"another writer of this process held the file for {timeout:g} s")

    def _withdraw(self, request: Request) -> bool:
        with self._mutex:
            try:
                self._queue.remove(request)
            except ValueError:
                return False
            return True

    def _hand_over(self) -> None:
        self._pace.end()
        with self._mutex:
            self._gathering.end()
            if not self._queue:
                self._busy = False
                return
            request = self._queue.popleft()
            request.leads = True
            if request.work is None:
                self._holder, self._holder_thread = request.holder, request.thread
        request.gate.release()


def _count_batch(counts: Counts, batch: list[Request]) -> None:
    """Count the writes of one commit, for all their callers: they still wait, and none of them counts itself."""
    now = perf_counter()
    written = [request for request in batch if request.error is None]
    if len(written) > 1:
        counts.groups += 1
        counts.grouped += len(written)
    for request in written:
        counts.seconds += now - request.begun
        counts.latencies[bisect_left(BOUNDS, now - request.begun)] += 1


def translate_again(error: sqlite3.Error | PeeweeConvError, path: str) -> BaseException:
    """Return an error of its own for one caller of a batch: one exception object must not be raised by two threads."""
    failure = translate(error, path) if isinstance(error, sqlite3.Error) else copy.copy(error)
    failure.__cause__ = error
    return failure
