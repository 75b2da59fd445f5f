"""Engines, sessions and objects of the older applications that keep conversations.

An object that a function or a session has returned answers for good: its columns as they were, in any thread, also
when its row is deleted; and what it is related to as that is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

import peewee

from ..clock import from_text
from ..errors import InvalidArgument, ProjectNotBound
from ..project import Project
from ..schemas import assistant
from . import caller_sql, orm_objects, urls
from .orm_columns import MOMENT
from .orm_results import Result
from .orm_session import Session

Related = TypeVar("Related", bound="Base")


class Engine:
    """The database of a project, open for as long as somebody uses it.

    :param project: the project.
    :param url: where it is, as a database URL.
    :param reopens: whether it may be used again after it was disposed; one in memory is gone then.
    """

    def __init__(self, project: Project, url: str, *, reopens: bool = True) -> None:
        self._project, self.url, self._reopens = project, url, reopens

    @property
    def project(self) -> Project:
        """The project; after :meth:`dispose` a new one, if there may be."""
        return Project(self._project.path) if self._reopens else self._project

    def dispose(self) -> None:
        """Close every handle on the project's files, and delete what was in memory."""
        urls.close(self.project)

    def __deepcopy__(self, memo: object) -> Engine:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (str(self._project.path) if self._reopens else None, self.url)

    def __repr__(self) -> str:
        return f"Engine({self.url})"


def _unpickled(path: str | None, url: str) -> Engine | None:
    """Return the engine of an object that was pickled; what was in memory stays with its process."""
    return None if path is None else Engine(Project(path), url)


class Shown(list[Any]):
    """What an object is related to, as it was when it was asked for. It cannot be changed: that would be lost."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise InvalidArgument("change", "...", "session.add() or session.delete(): this list only shows what there is")

    append = extend = insert = remove = pop = clear = __setitem__ = __delitem__ = __iadd__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


class ConversationSession(Session):
    """A session over ``assistant.db``; queries see what is pending."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.project, assistant, autoflush=True)
        self.engine = engine

    def add(self, instance: orm_objects.Base) -> None:
        """Take an object in: a new one is stored by the next flush, one that a function returned is its row's."""
        if isinstance(instance, Base):
            instance._join(self)
        super().add(instance)

    def delete(self, instance: orm_objects.Base) -> None:
        """Have the row of an object deleted by the next flush; one that a function returned is taken in first."""
        if isinstance(instance, Base) and instance._record is not None:
            self.add(instance)
        super().delete(instance)

    def execute(self, statement: object, params: Mapping[str, Any] | None = None) -> Result:
        """Run the caller's own SQL and return its rows; conversations and what they belong to, the services delete.

        :raises InvalidArgument: a statement that writes messages, among the others.
        """
        deletion = caller_sql.deletion(str(statement))
        if deletion is None:
            return super().execute(statement, params)
        self.begin_write()  # so that nobody adds to what is found
        keys = super().execute(deletion.asking, params).scalars()
        return self.delete_by(caller_sql.service_of(self.project, deletion.table).delete, keys)

    def loaded(self, entity: type[orm_objects.Base], row: tuple[Any, ...]) -> orm_objects.Base:
        """Return the object of a row."""
        instance = super().loaded(entity, row)
        if isinstance(instance, Base):
            instance._session, instance._engine = self, self.engine
        return instance


class SessionMaker:
    """Call it for a session."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self) -> ConversationSession:
        """Return a new session."""
        return ConversationSession(self._engine)


class Base(orm_objects.Base):
    """The base of the mapped classes. The services write their rows.

    :cvar changeable: the columns that may change.
    """

    by_row: ClassVar[bool] = True
    kept: ClassVar[tuple[str, ...]] = ("updated_at",)  # every message sets that of its conversation
    changeable: ClassVar[tuple[str, ...]] = ()

    _engine: Engine | None = None
    _session: ConversationSession | None = None
    _record: Any = None

    @classmethod
    def of(cls, engine: Engine, record: Any) -> Self:
        """Make the object of a record, outside of any session."""
        made = cls.__new__(cls)
        made._orm.values = cls.values_of(record)
        made._engine, made._record = engine, record
        return made

    @classmethod
    def values_of(cls, record: Any) -> dict[str, Any]:
        """Return the values of the columns for a record of a service: those of the same names."""
        return {name: getattr(record, name) for name in cls.columns}

    @classmethod
    def check_changeable(cls, changes: dict[str, Any]) -> None:
        """Refuse changes of a column that the services keep."""
        for name in changes.keys() - set(cls.changeable):
            allowed = ", ".join(cls.changeable) or "none, for what was said stays as it is"
            raise InvalidArgument("column", name, f"a column of {cls.__name__} that may change: {allowed}")

    def _join(self, session: ConversationSession) -> None:
        if self._record is not None:
            values = self.values_of(self._record)
            self._orm.stored = {name: column.written(values[name]) for name, column in self.columns.items()}
        self._record, self._session, self._engine = None, session, session.engine

    def _related(self, entity: type[Related], criterion: Any, *order: Any) -> list[Related]:
        """Return the objects that meet a criterion: those of this object's session, or free ones."""
        if self._session is not None and self._orm.unit is not None:
            return Shown(self._session.query(entity).filter(criterion).order_by(*order).all())
        if self._engine is None:
            raise ProjectNotBound(f"this {type(self).__name__} was never stored in a database that is here")
        with ConversationSession(self._engine) as session:
            return Shown(session.query(entity).filter(criterion).order_by(*order).all())

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_session": None}

    def __repr__(self) -> str:
        owner = next((name for name in self.columns if name.endswith("_id")), None)
        shown = ["id"] if owner is None else ["id", owner]
        return f"<{type(self).__name__}({', '.join(f'{name}={self._orm.values.get(name)!r}' for name in shown)})>"


class _Computed(peewee.ColumnBase):
    def __init__(self, model: type[peewee.Model], expression: Any) -> None:
        self.model, self.expression = model, expression

    def __sql__(self, ctx: Any) -> Any:
        return ctx.sql(self.expression)


def computed(model: type[peewee.Model], expression: Any) -> Any:
    """Return what stands for a field of *model*: a value made of its columns."""
    return _Computed(model, expression)


def aware(name: str, value: Any) -> Any:
    """Return the time of an object as services take it; ``None`` stays ``None``."""
    return None if value is None else from_text(MOMENT.write(name, value))
