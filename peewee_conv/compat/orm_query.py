"""Queries over mapped classes, in the words of SQLAlchemy's ``session.query(...)``. Peewee writes the SQL.

>>> import tempfile
>>> from pathlib import Path
>>> from peewee_conv.compat.feature_database import Feature, create_database, dispose_engine
>>> with tempfile.TemporaryDirectory() as folder:
...     engine, SessionLocal = create_database(Path(folder))
...     with SessionLocal() as session:
...         session.add(Feature(category="base", name="Log in", description="", steps=[]))
...         session.commit()
...         session.query(Feature).filter(Feature.passes == False).order_by(Feature.priority).first().name
...         session.query(Feature).filter_by(passes=True).count()
...     dispose_engine(Path(folder))
'Log in'
0
True
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import peewee

from .. import arguments
from ..errors import InvalidArgument
from .orm_columns import Column
from .orm_objects import Base
from .orm_results import Row, only

if TYPE_CHECKING:
    from .orm_session import Session

T = TypeVar("T")
_ENTITIES = "a mapped class, or columns of one"


class Query(Generic[T]):
    """What to read; each method but the last ones returns another query.

    :param entities: one mapped class, or columns and expressions of one.
    """

    def __init__(self, session: Session, entities: tuple[Any, ...]) -> None:
        self._session, self._entities = session, entities
        first = entities[0] if entities else None
        self._class = first if isinstance(first, type) and issubclass(first, Base) else None
        self._select: Any
        if self._class is not None:
            if len(entities) > 1:
                raise InvalidArgument("entities", entities, _ENTITIES)
            self._select = self._class.table.select(*(column.field for column in self._class.columns.values()))
        else:
            self._select = _model(entities).select(*entities)

    def _with(self, select: Any) -> Query[T]:
        query = Query.__new__(Query)
        query._session, query._entities, query._class = self._session, self._entities, self._class
        query._select = select
        return query

    # --- which rows ---

    def filter(self, *criteria: Any) -> Query[T]:
        """Keep the rows for which all *criteria* hold."""
        for criterion in criteria:
            if not isinstance(criterion, peewee.Node):
                raise InvalidArgument("criterion", criterion, "a comparison of columns, such as Feature.id == 1")
        return self._with(self._select.where(*criteria)) if criteria else self

    where = filter

    def filter_by(self, **values: Any) -> Query[T]:
        """Keep the rows that have these values."""
        return self.filter(*(self._mapped.column(name) == value for name, value in values.items()))

    def order_by(self, *columns: Any) -> Query[T]:
        """Order by columns, their names or ``column.desc()``, after the order that the query has already."""
        return self._with(self._select.order_by_extend(*map(self._term, columns)))

    def group_by(self, *columns: Any) -> Query[T]:
        """Make one row of those that have the same values of *columns*."""
        return self._with(self._select.group_by(*map(self._term, columns)))

    def distinct(self) -> Query[T]:
        """Keep one of equal rows."""
        return self._with(self._select.distinct())

    def limit(self, limit: int | None) -> Query[T]:
        """Keep that many rows at most."""
        return self._with(self._select.limit(_whole("limit", limit)))

    def offset(self, offset: int | None) -> Query[T]:
        """Leave out that many rows at the beginning."""
        return self._with(self._select.offset(_whole("offset", offset)))

    # --- reading ---

    def all(self) -> list[T]:
        """Return all rows: objects for a class, otherwise tuples whose values have names."""
        rows = self._session.rows(self._select)
        if self._class is not None:
            return [self._session.loaded(self._class, row) for row in rows]  # type: ignore[misc]
        names = tuple(map(_name, self._entities))
        return [Row.of(names, tuple(map(_read, self._entities, row))) for row in rows]  # type: ignore[misc]

    def __iter__(self) -> Iterator[T]:
        return iter(self.all())

    def first(self) -> T | None:
        """Return the first row, or ``None``."""
        return next(iter(self.limit(1)), None)

    def one(self) -> T:
        """Return the only row.

        :raises NotFound: there is none.
        :raises InvalidArgument: there are more.
        """
        found: T = only(self.limit(2).all())
        return found

    def one_or_none(self) -> T | None:
        """Return the only row, or ``None``.

        :raises InvalidArgument: there are more.
        """
        found = self.limit(2).all()
        return only(found) if found else None

    def scalar(self) -> Any:
        """Return the first value of the first row, or ``None``."""
        row = self.first()
        return row[0] if isinstance(row, Row) else row

    def get(self, key: Any) -> T | None:
        """Return the object of that key, or ``None``."""
        return self.filter_by(**{self._mapped.key: key}).first()

    def count(self) -> int:
        """Return how many rows there are."""
        counted = self._select.model.select(peewee.fn.COUNT(peewee.SQL("*"))).from_(self._select)
        found: int = self._session.rows(counted)[0][0]
        return found

    # --- writing ---

    def update(self, values: dict[Any, Any], synchronize_session: Any = None) -> int:
        """Change the rows and return how many there were.

        :param values: values or expressions, by column or its name.
        :param synchronize_session: ignored: objects of the session always show the new values.
        """
        columns = {self._mapped.column(getattr(key, "name", key)): value for key, value in values.items()}
        if self._mapped.by_row:
            return self._one_by_one(lambda found: _set_all(found, columns))
        changes = {column.field: column.operand(value) for column, value in columns.items()}
        return self._written(self._mapped.table.update(changes))

    def delete(self, synchronize_session: Any = None) -> int:
        """Delete the rows and return how many there were.

        :param synchronize_session: ignored.
        """
        if self._mapped.by_row:
            return self._one_by_one(self._session.delete)
        return self._written(self._mapped.table.delete())

    def _written(self, statement: Any) -> int:
        if self._select._limit is not None or self._select._offset is not None:
            raise InvalidArgument("query", "...", "no limit() or offset() where rows are changed or deleted")
        if self._select._where is not None:
            statement = statement.where(self._select._where)
        return self._session.write(statement).rowcount

    def _one_by_one(self, change: Any) -> int:
        found = self.all()
        for each in found:
            change(each)
        self._session.flush()
        return len(found)

    def _term(self, column: Any) -> Any:
        """Return what to order or group by. Peewee takes a name for a value, which orders nothing."""
        if isinstance(column, peewee.Node):
            return column
        if self._class is not None and isinstance(column, str):
            return self._class.column(column)
        raise InvalidArgument("column", column, "a column, such as Feature.id or Feature.id.desc()")

    @property
    def _mapped(self) -> type[Base]:
        if self._class is None:
            raise InvalidArgument("entities", "...", "a mapped class, for this method")
        return self._class


def _set_all(found: Base, columns: dict[Column[Any], Any]) -> None:
    for column, value in columns.items():
        setattr(found, column.name, value)


def _whole(argument: str, value: Any) -> Any:
    return None if value is None else arguments.whole(argument, value, 0, 2**63 - 1)


def _name(entity: Any) -> str:
    return str(getattr(entity, "_alias", None) or getattr(entity, "name", ""))


def _read(entity: Any, stored: Any) -> Any:
    inner = entity.unalias()  # a label of a column is still read as the column
    return inner.read(stored) if isinstance(inner, Column) else stored


def _model(entities: tuple[Any, ...]) -> type[peewee.Model]:
    """Return the model whose columns the entities are made of."""
    waiting = list(entities)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Column):
            model: type[peewee.Model] = node.field.model
            return model
        if isinstance(node, (tuple, list)):
            waiting.extend(node)
        elif isinstance(node, peewee.Node):
            waiting.extend(vars(node).values())
    raise InvalidArgument("entities", entities, _ENTITIES)
