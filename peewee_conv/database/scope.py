"""Scopes: which project this thread or task works with.

``with project:`` opens one. Scopes nest, and an inner scope of the same project shares the connection and transaction
of the outer one. A scope belongs to the thread that opened it: a thread that merely inherited its context sees no
project (services still work there: they borrow a connection for each call).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..errors import DatabaseGone, ProjectInUse, ProjectNotBound
from . import fork
from .lease import Lease, this_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cache import Binding
    from .schema import Schema

_current: ContextVar[Scope | None] = ContextVar("peewee_conv_scope", default=None)
current_scope = _current.get


class Scope:
    """One opened scope; :meth:`close` may be called twice, and from another thread."""

    __slots__ = ("_owns_leases", "binding", "is_closed", "leases", "parent", "thread")

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.thread: object = None
        self.parent: Scope | None = None
        self._owns_leases = True
        self.leases: dict[Schema, Lease] = {}
        self.is_closed = True

    def __enter__(self) -> Scope:
        if not self.is_closed:
            raise ProjectNotBound("a scope that is open is not entered again, make another one")
        self.thread = this_thread.token
        self.parent = current_scope()
        outer = self.parent and self.parent.find(self.binding)
        self._owns_leases = outer is None
        self.leases = {} if outer is None else outer.leases
        self.is_closed = False
        _current.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave the scope, and the inner ones that somebody left open; in another context, close it alone."""
        scope = current_scope()
        while scope is not None and scope is not self:
            scope = scope.parent
        if scope is not None:
            _unwind(scope)
        self.close()

    def open_aside(self) -> Scope:
        """Open this scope without making it the current one: for who keeps it between calls."""
        self.thread = this_thread.token
        self.is_closed = False
        return self

    @contextmanager
    def entered(self) -> Iterator[Scope]:
        """Make a scope that was opened aside the current one for a block."""
        before = _current.get()
        _current.set(self)
        try:
            yield self
        finally:
            _current.set(before)

    def close(self) -> None:
        """Return the connections. What is still in a transaction is rolled back."""
        self.is_closed = True
        if self._owns_leases:
            while self.leases:
                self.leases.popitem()[1].release()

    def find(self, binding: Binding) -> Scope | None:
        """Return the innermost open scope of that project which this thread opened."""
        scope: Scope | None = self
        thread = this_thread.token
        while scope is not None:
            if scope.binding is binding and scope.thread is thread and not scope.is_closed:
                return scope
            scope = scope.parent
        return None

    def lease(self, schema: Schema) -> Lease:
        """Return the connection of this scope for *schema*, lent on first use."""
        lease = self.leases.get(schema)
        if lease is not None:
            ended = lease.database.ended
            if ended is None:
                return lease
            lease = self._replace(schema, lease, ended)
        if lease is None:
            lease = self.leases[schema] = Lease(*self.binding.checkout(schema))
        return lease

    def _replace(self, schema: Schema, lease: Lease, ended: str) -> Lease | None:
        """Keep a lease whose database has left the cache while it still may be used; else let go of it."""
        if ended == "forked":
            del self.leases[schema]
            if lease.transactions:
                raise DatabaseGone(lease.database.path, fork.INHERITED, fork.ADVICE)
            return None
        if ended == "gone" and not lease.transactions:
            del self.leases[schema]
            lease.release()
            return None
        lease.check()
        return lease

    def abandon(self, binding: Binding) -> None:
        """Return this thread's connections of a project that is about to be disposed."""
        scope = self.find(binding)
        while scope is not None:
            for lease in scope.leases.values():
                if lease.transactions:
                    raise ProjectInUse(lease.database.path, "the project cannot be disposed inside its own transaction")
            while scope.leases:
                scope.leases.popitem()[1].release()
            scope = scope.parent and scope.parent.find(binding)

    def let_go(self) -> None:
        """Return this thread's connections that nothing is under way on; they are lent again on next use."""
        scope: Scope | None = self
        while scope is not None:
            if scope.thread is this_thread.token:
                for schema, lease in list(scope.leases.items()):
                    if not lease.is_in_use:
                        del scope.leases[schema]
                        lease.release()
            scope = scope.parent

    @staticmethod
    def required(scope: Scope | None) -> Scope:
        """Return *scope*, or raise the error that says what to do."""
        if scope is None:
            raise ProjectNotBound()
        return scope


def bound_scope() -> Scope | None:
    """Return the scope that models resolve to: the innermost, if it is open and this thread's own."""
    scope = current_scope()
    if scope is None or scope.is_closed or scope.thread is not this_thread.token:
        return None
    return scope


def leave(binding: Binding) -> None:
    """Leave the innermost open scope of that project: the exit of ``with project:``."""
    scope = current_scope()
    while scope is not None and (scope.binding is not binding or scope.is_closed):
        scope = scope.parent  # a suspended generator may have left an inner scope of its own here
    if scope is None:
        raise ProjectNotBound("this scope was left in another context than it was entered")
    _unwind(scope)
    scope.close()


def _unwind(scope: Scope) -> None:
    """Close what is inside *scope* and make its parent the current one."""
    inner = current_scope()
    while inner is not scope and inner is not None:
        inner.close()
        inner = inner.parent
    _current.set(scope.parent)
