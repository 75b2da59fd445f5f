"""The columns of mapped classes: a value on an object, a part of a query on its class, as SQLAlchemy has it.

>>> from peewee_conv.compat.feature_database import Feature
>>> login = Feature(name="Log in")
>>> login.name, login.passes
('Log in', None)
>>> type(Feature.passes == False).__name__
'Expression'
"""

from __future__ import annotations

import functools
import json
import operator as operators
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

import peewee

from .. import arguments
from ..clock import from_text, to_text
from ..errors import InvalidArgument
from .naive_times import naive_utc

if TYPE_CHECKING:
    from .orm_objects import Base
    from .orm_session import Session

T = TypeVar("T")


class Kind(NamedTuple):
    """How values of a column are written and read; neither sees ``None``.

    :ivar write: returns what SQLite stores of a value; its first argument names the column in errors.
    :ivar read: returns the value of what is stored.
    """

    write: Callable[[str, Any], Any]
    read: Callable[[Any], Any]


def _write_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(name, type(value), "a text")
    return str.__str__(value)


def _write_whole(name: str, value: Any) -> Any:
    if not isinstance(value, (int, float, str)):  # SQLite reads "7" as 7; the rules of the table refuse the rest
        raise InvalidArgument(name, value, "a whole number")
    return value


def _write_flag(name: str, value: Any) -> int:
    if value is not True and value is not False and not (type(value) is int and value in (0, 1)):
        raise InvalidArgument(name, value, "True or False")
    return int(value)


def _write_list(name: str, value: Any) -> str:
    return arguments.json_list(name, list(value) if isinstance(value, tuple) else value)


def _write_moment(name: str, value: Any) -> str:
    is_naive = isinstance(value, datetime) and value.tzinfo is None
    return to_text(value.replace(tzinfo=UTC) if is_naive else value, name)


def _read_moment(stored: str) -> datetime:
    return naive_utc(from_text(stored))


def _as_it_is(stored: Any) -> Any:
    return stored


TEXT = Kind(_write_text, _as_it_is)
WHOLE = Kind(_write_whole, _as_it_is)
FLAG = Kind(_write_flag, bool)
JSON_LIST = Kind(_write_list, json.loads)
JSON_OBJECT = Kind(arguments.json_object, json.loads)
MOMENT = Kind(_write_moment, _read_moment)  # naive, in UTC, as SQLAlchemy read it; aware ones are taken as well


# Functions of functions, as Peewee's own operators: type checkers compare the shapes of both.


def _comparison(operator: str) -> Callable[[Any, Any], Any]:
    return lambda column, rhs: column._compare(operator, rhs)


def _membership(operator: str) -> Callable[[Any, Iterable[Any]], Any]:
    return lambda column, rhs: peewee.Expression(column, operator, [column.operand(value) for value in rhs])


class Column(peewee.ColumnBase, Generic[T]):
    """One attribute of a mapped class.

    :param field: the field of the Peewee model behind it.
    :param kind: one of the kinds of this module.
    :param default: what a new row gets for ``None``; a callable is called with the session.
    """

    def __init__(self, field: peewee.Field, kind: Kind, *, default: Any = None) -> None:
        self.field, self.kind, self.default = field, kind, default
        self.name = ""

    def __set_name__(self, owner: type[Base], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type[Base]) -> Column[T]: ...

    @overload
    def __get__(self, instance: Base, owner: type[Base]) -> T: ...

    def __get__(self, instance: Base | None, owner: type[Base]) -> Any:
        return self if instance is None else instance._orm.get(instance, self.name)

    def __set__(self, instance: Base, value: T) -> None:
        instance._orm.set(instance, self.name, value)

    # --- values ---

    def written(self, value: Any) -> Any:
        """Return what SQLite stores of *value*."""
        return None if value is None else self.kind.write(self.name, value)

    def read(self, stored: Any) -> Any:
        """Return the value of what is stored."""
        return None if stored is None else self.kind.read(stored)

    def default_for(self, session: Session, value: Any) -> Any:
        """Return *value*, or for ``None`` the default of a new row."""
        if value is not None:
            return value
        return self.default(session) if callable(self.default) else self.default

    def operand(self, value: Any) -> Any:
        """Return *value* as a part of a query: a parameter, unless it is an expression."""
        return value if isinstance(value, peewee.Node) else parameter(self.written(value))

    # --- parts of queries ---

    def __sql__(self, ctx: Any) -> Any:
        return ctx.sql(self.field)

    def _compare(self, operator: str, value: Any) -> peewee.Expression:
        return peewee.Expression(self, operator, self.operand(value))

    def __eq__(self, rhs: object) -> Any:
        return self._compare("IS" if rhs is None else "=", rhs)

    def __ne__(self, rhs: object) -> Any:
        return self._compare("IS NOT" if rhs is None else "!=", rhs)

    __lt__, __le__, __gt__, __ge__ = map(_comparison, ("<", "<=", ">", ">="))

    def __hash__(self) -> int:  # Peewee's columns have none, since they compare to expressions
        return id(self)

    def is_(self, rhs: Any) -> peewee.Expression:
        """Compare so that NULL equals NULL."""
        return self._compare("IS", rhs)

    def is_not(self, rhs: Any) -> peewee.Expression:
        """Compare so that NULL equals NULL, and negate."""
        return self._compare("IS NOT", rhs)

    in_, not_in = map(_membership, ("IN", "NOT IN"))

    def between(self, lo: Any, hi: Any) -> Any:
        """Say whether the value is in that range, its ends included."""
        return (self >= lo) & (self <= hi)

    like = ilike = _comparison("ILIKE")  # Peewee's word for SQLite's LIKE; its own LIKE is SQLite's GLOB
    isnot, notin_ = is_not, not_in  # the older words

    def label(self, name: str) -> Any:
        """Give the column another name in the rows of a query."""
        return self.alias(name)


def parameter(value: Any) -> peewee.Value:
    """Return a parameter that is bound as it is."""
    return peewee.Value(value, converter=False, unpack=False)


class Call(peewee.Function):
    """A call of an SQL function."""

    def label(self, name: str) -> Any:
        """Give the result a name in the rows of a query."""
        return self.alias(name)


class Functions:
    """SQL functions by name: ``func.max(Feature.priority)``."""

    def __getattr__(self, name: str) -> Callable[..., Call]:
        if not name.isidentifier() or name.startswith("__"):
            raise AttributeError(name)
        everything = (peewee.SQL("*"),) if name == "count" else ()
        return lambda *args: Call(name, args or everything)


func = Functions()


class text(str):
    """The caller's own SQL, with ``:named`` parameters, for ``Session.execute``."""


def case(*whens: tuple[Any, Any], else_: Any = None) -> Any:
    """Return ``CASE WHEN condition THEN value ... ELSE else_ END`` of pairs of condition and value."""
    return peewee.Case(None, whens, else_)


def and_(first: Any, *others: Any) -> Any:
    """Return the condition that all hold."""
    return functools.reduce(operators.and_, others, first)


def or_(first: Any, *others: Any) -> Any:
    """Return the condition that one holds at least."""
    return functools.reduce(operators.or_, others, first)
