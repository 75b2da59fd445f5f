"""A transaction that stays open between calls: for an owner that does not begin and end it in one block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ProjectInUse
from .lease import this_thread
from .scope import Scope
from .transactions import Transaction

if TYPE_CHECKING:
    from .cache import Binding
    from .schema import Schema


class HeldTransaction:
    """One ``BEGIN IMMEDIATE`` transaction of the thread that made this; any thread may take it back.

    Services and models that are used inside :meth:`entered` join it.

    :raises DatabaseBusy: another writer kept the lock for longer than ``busy_timeout_ms``.
    """

    def __init__(self, binding: Binding, schema: Schema) -> None:
        self._scope = scope = Scope(binding).open_aside()
        self._schema = schema
        self._transaction = Transaction(lambda: scope.lease(schema))
        try:
            self._transaction.__enter__()
        except BaseException:
            scope.close()
            raise

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the transaction that of this thread for a block.

        :raises ProjectInUse: another thread began it.
        :raises DatabaseBusy: another task of this thread began it.
        """
        self.check_thread()
        with self._scope.entered() as scope:
            scope.lease(self._schema).check_task()
            yield

    def commit(self) -> None:
        """Commit, and give lock and connection back."""
        self.check_thread()
        try:
            self._transaction.__exit__(None, None, None)
        finally:
            self._scope.close()

    def rollback(self) -> None:
        """Take everything back, and give lock and connection back; does nothing after the end."""
        self._scope.close()

    __del__ = rollback  # an owner that is forgotten leaves nothing locked

    def check_thread(self) -> None:
        """Raise if this is not the thread that began the transaction.

        :raises ProjectInUse: it is not.
        """
        if self._scope.thread is not this_thread.token:
            path = self._scope.binding.path(self._schema)
            raise ProjectInUse(path, "another thread is in the middle of this transaction")
