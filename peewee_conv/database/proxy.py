"""The database of a schema's models: a ``DatabaseProxy`` that looks its target up in the current scope.

A plain proxy has one target per process, so a thread that points it at its project redirects the writes of every
other thread. This one is never initialized; outside a scope it is a template that knows SQLite's dialect, so that
models can be defined and queries built, and refuses to connect.
"""

from __future__ import annotations

from peewee import Database, DatabaseProxy, SqliteDatabase

from ..errors import ProjectNotBound
from .scope import bound_scope
from .transactions import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .lease import Lease
    from .schema import Schema


class Template(SqliteDatabase):
    """SQLite's dialect without a file."""

    def __init__(self) -> None:
        super().__init__(None, autoconnect=False)

    @property
    def _state(self) -> NoReturn:
        raise ProjectNotBound()

    @_state.setter
    def _state(self, value: object) -> None:
        """Ignore the per-thread state that Peewee's constructor offers."""

    def is_closed(self) -> bool:
        """Always: there is nothing to open."""
        return True

    def close(self) -> bool:
        """Do nothing."""
        return False

    def connect(self, reuse_if_open: bool = False) -> NoReturn:
        """Refuse."""
        raise ProjectNotBound()

    def cursor(self, named_cursor: str | None = None) -> NoReturn:
        """Refuse."""
        raise ProjectNotBound()

    def connection(self) -> NoReturn:
        """Refuse."""
        raise ProjectNotBound()


_template = Template()


class ProjectProxy(DatabaseProxy):
    """Resolves to the current project's database of one schema at each access.

    No ``__slots__``: ``Proxy.__setattr__`` allows only those of its own class.
    """

    def __init__(self, schema: Schema) -> None:
        self.__dict__["_schema"] = schema
        object.__setattr__(self, "_callbacks", [])

    @property
    def obj(self) -> Database:
        """The database that this context is bound to, or the template."""
        scope = bound_scope()
        return _template if scope is None else scope.lease(self.__dict__["_schema"]).database

    def initialize(self, obj: object) -> NoReturn:
        """Refuse: one target for the whole process is what this class is there to prevent."""
        raise TypeError("a project proxy is bound by 'with project:', never initialized")

    @property
    def Model(self) -> NoReturn:
        """Refuse: falling through to the target would give a base class of one project's database.

        Not with an ``AttributeError``, which would fall through all the same.
        """
        raise TypeError("use the Model of the Schema")

    def __deepcopy__(self, memo: object) -> ProjectProxy:
        """Return this very proxy: a copied query must not stay with the project of the moment."""
        return self

    def manual_commit(self) -> NoReturn:
        """Refuse: only ``atomic()`` waits for its turn and gives it on."""
        raise TypeError("a transaction of a project is made by atomic()")

    def atomic(self, *args: Any, **kwargs: Any) -> Transaction:  # type: ignore[override]
        """Return a transaction on the project that is current when the block is entered."""
        return Transaction(self._lease)

    transaction = savepoint = atomic  # type: ignore[assignment]

    def connection_context(self) -> NoReturn:
        """Refuse: a scope is the only way in."""
        raise ProjectNotBound("a connection belongs to a scope")

    def _lease(self) -> Lease:
        scope = bound_scope()
        if scope is None:
            raise ProjectNotBound()
        return scope.lease(self.__dict__["_schema"])
