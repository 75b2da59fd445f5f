"""The base of mapped classes: plain objects whose columns a session reads and writes.

An object knows what its row was like when it was read, so that a change is found by comparing, also one inside a list
or dictionary. It stays readable when its session is closed.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Self

import peewee

from ..errors import InvalidArgument, NotFound
from .orm_columns import Column, parameter

if TYPE_CHECKING:
    from .orm_session import Session
    from .orm_unit import Unit


class State:
    """What an object of a mapped class has beside its methods.

    :ivar values: by column, as the caller sees and sets them.
    :ivar stored: the row by column, as SQLite has it; ``None`` for an object without one.
    :ivar seen: the transaction in which the row was read, if it was one.
    :ivar is_expired: the row may have changed: to be read again before the next use.
    """

    __slots__ = ("_unit", "is_expired", "seen", "stored", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.stored: dict[str, Any] | None = None
        self._unit: weakref.ref[Unit] | None = None
        self.seen: object = None
        self.is_expired = False

    @property
    def unit(self) -> Unit | None:
        """The objects of a session that this one is among, if any; a session that nobody has any more is gone."""
        return None if self._unit is None else self._unit()

    @unit.setter
    def unit(self, unit: Unit | None) -> None:
        self._unit = None if unit is None else weakref.ref(unit)

    def get(self, instance: Base, name: str) -> Any:
        """Return the value of a column, read again where it may have changed."""
        self.renew(instance)
        return self.values.get(name)

    def set(self, instance: Base, name: str, value: Any) -> None:
        """Set the value of a column; it is written by the next flush."""
        self.renew(instance)
        self.values[name] = value
        unit = self.unit
        if unit is not None:
            unit.hold(instance)

    def renew(self, instance: Base) -> None:
        """Read the row again where it may have changed."""
        unit = self.unit if self.is_expired else None
        if unit is not None:
            unit.renew(instance)

    def load(self, columns: dict[str, Column[Any]], stored: dict[str, Any], seen: object) -> None:
        """Take the values of a row."""
        self.values = {name: columns[name].read(value) for name, value in stored.items()}
        self.stored, self.seen = stored, seen
        self.is_expired = False

    def apart(self) -> State:
        """Return the same for a copy, which no session knows."""
        state = State()
        state.values, state.stored = dict(self.values), self.stored
        return state

    def changes(self, columns: dict[str, Column[Any]]) -> dict[str, Any]:
        """Return the values that differ from the row."""
        if self.stored is None or self.is_expired:
            return {}
        return {
            name: value for name, value in self.values.items() if _differ(value, columns[name].read(self.stored[name]))
        }


def _differ(one: Any, other: Any) -> bool:
    return one is not other and repr(one) != repr(other)  # equality alone takes True for 1, and no NaN for a NaN


class Base:
    """The base of mapped classes.

    A subclass names its Peewee model as :attr:`table` and has :class:`~peewee_conv.compat.orm_columns.Column`
    attributes. One whose rows are written by a service overrides the three methods and sets :attr:`by_row`.

    :cvar table: the Peewee model whose fields the columns are.

    :cvar key: the name of the column that is the primary key.
    :cvar missing: the error for a row that is not there.
    :cvar kept: the columns that services change by the way: that somebody has changed them is no conflict.
    :cvar by_row: whether bulk updates and deletes go through the methods below, row by row.
    """

    table: ClassVar[type[peewee.Model]]
    columns: ClassVar[dict[str, Column[Any]]] = {}
    key: ClassVar[str] = "id"
    missing: ClassVar[type[NotFound]] = NotFound
    kept: ClassVar[tuple[str, ...]] = ()
    by_row: ClassVar[bool] = False

    _orm: State

    def __init_subclass__(cls) -> None:
        own = {name: column for name, column in vars(cls).items() if isinstance(column, Column)}
        cls.columns = {**cls.columns, **own}

    def __new__(cls, **values: Any) -> Self:
        """Make an object that no row belongs to yet."""
        made = super().__new__(cls)
        made._orm = State()
        return made

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            self.column(name)
            self._orm.values[name] = value

    @classmethod
    def column(cls, name: str) -> Column[Any]:
        """Return a column by its name.

        :raises InvalidArgument: there is none.
        """
        found = cls.columns.get(name)
        if found is None:
            raise InvalidArgument("column", name, f"one of {cls.__name__}: " + ", ".join(cls.columns))
        return found

    # --- how a row is written; inside the transaction of the session ---

    @classmethod
    def insert_row(cls, session: Session, values: dict[str, Any]) -> Any:
        """Store a new row and return its key; *values* has the columns that are not ``None``, defaults among them."""
        return session.run(cls.table.insert(cls._fields(values))).lastrowid

    @classmethod
    def update_row(cls, session: Session, key: Any, changes: dict[str, Any]) -> None:
        """Change columns of the row of that key."""
        session.run(cls.table.update(cls._fields(changes)).where(cls.columns[cls.key] == key))

    @classmethod
    def delete_row(cls, session: Session, key: Any) -> None:
        """Delete the row of that key, if it is there."""
        session.run(cls.table.delete().where(cls.columns[cls.key] == key))

    @classmethod
    def _fields(cls, values: dict[str, Any]) -> dict[peewee.Field, peewee.Node]:
        return {cls.columns[name].field: parameter(cls.columns[name].written(value)) for name, value in values.items()}

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: the values, without the session."""
        self._orm.renew(self)
        return {**vars(self), "_orm": self._orm.apart()}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._orm.values.get(self.key)}>"
