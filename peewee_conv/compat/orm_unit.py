"""The objects of a session: which there are, which have changed, and what they were like before."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import AlreadyExists, DatabaseBusy, InvalidArgument
from .orm_objects import Base
from .orm_store import Store

if TYPE_CHECKING:
    from .orm_session import Session


class _Before(NamedTuple):
    """An object as it was when the transaction began; ``stored`` is ``None`` where it had no row."""

    instance: Base
    values: dict[str, Any]
    stored: dict[str, Any] | None


class Unit:
    """One object for each row that the session has met, and what to write of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: weakref.WeakValueDictionary[tuple[type[Base], Any], Base] = weakref.WeakValueDictionary()
        # Those that were read or set since the last commit, kept alive: each may have changes, inside a list perhaps.
        self._held: dict[int, Base] = {}
        self._new: list[Base] = []
        self._deleted: list[Base] = []
        self._before: dict[int, _Before] = {}

    # --- coming and going ---

    def add(self, instance: Base) -> None:
        """Take an object in; one without a row is to be inserted, one that was to be deleted is not."""
        _check_mapped(instance)
        state = instance._orm
        if state.unit not in (None, self):
            raise InvalidArgument("instance", instance, "an object of no other open session")
        if instance in self._deleted:
            self._deleted.remove(instance)
        elif state.unit is None:
            state.unit = self
            if state.stored is None:
                self._new.append(instance)
            else:
                state.seen = None
                self._know(instance)

    def delete(self, instance: Base) -> None:
        """Have the row of an object deleted."""
        self._check_stored(instance)
        if instance not in self._deleted:
            self._deleted.append(instance)

    def loaded(self, entity: type[Base], row: tuple[Any, ...]) -> Base:
        """Return the object of a row: the one that is known, with its changes, or a new one."""
        stored = dict(zip(entity.columns, row, strict=True))
        instance = self._known.get((entity, stored[entity.key]))
        if instance is None:
            instance = entity.__new__(entity)
            instance._orm.unit = self
        elif instance._orm.changes(entity.columns):
            return instance
        self._load(instance, stored)
        return instance

    def hold(self, instance: Base) -> None:
        """Look for changes of an object in the next flush."""
        if instance._orm.stored is not None:
            self._held[id(instance)] = instance

    def renew(self, instance: Base) -> None:
        """Read the row of an object again; if it is gone the object stays as it was."""
        found = self._row(type(instance), _key(instance))
        instance._orm.is_expired = False
        if found is not None:
            self._load(instance, found)

    def refresh(self, instance: Base) -> None:
        """Read the row of an object again, which must be there."""
        self._check_stored(instance)
        self._load(instance, self._present_row(type(instance), _key(instance)))

    def expire(self) -> None:
        """Have every object read its row again before its next use."""
        for instance in self._known.values():
            instance._orm.is_expired = True
        self._held.clear()

    def let_go(self) -> None:
        """Forget all objects."""
        for instance in self._known.values():
            instance._orm.unit = None
            instance._orm.is_expired = False
        self._known.clear()
        self._held.clear()

    # --- writing ---

    @property
    def _changed(self) -> list[Base]:
        return [instance for instance in self._held.values() if instance._orm.changes(instance.columns)]

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to write."""
        return not (self._new or self._deleted or self._changed)

    def write(self, session: Session) -> None:
        """Write what is pending, in the order: new rows, changes, deletions."""
        self.before_statement()  # first of all: a new row may change another, as a message does its conversation
        for instance in list(self._new):
            self._insert(session, instance)
        for instance in self._changed:
            if instance not in self._deleted:
                self._update(session, instance)
        for instance in list(self._deleted):
            self._delete(session, instance)

    def _insert(self, session: Session, instance: Base) -> None:
        entity, given = type(instance), instance._orm.values
        key = given.get(entity.key)
        if key is not None and self._row(entity, key) is not None:
            raise AlreadyExists(entity.__name__.lower(), key)
        values = {name: column.default_for(session, given.get(name)) for name, column in entity.columns.items()}
        self._remember(instance)
        with self._store.inside():
            key = entity.insert_row(session, {name: value for name, value in values.items() if value is not None})
        self._new.remove(instance)
        self._load(instance, self._present_row(entity, key))

    def _update(self, session: Session, instance: Base) -> None:
        entity, changes = type(instance), instance._orm.changes(instance.columns)
        if entity.key in changes:
            raise InvalidArgument(entity.key, changes[entity.key], "the one that the row has")
        self._remember(instance)
        with self._store.inside():
            entity.update_row(session, _key(instance), changes)
        self._load(instance, self._present_row(entity, _key(instance)))

    def _delete(self, session: Session, instance: Base) -> None:
        self._remember(instance)
        with self._store.inside():
            type(instance).delete_row(session, _key(instance))
        self._deleted.remove(instance)
        self._held.pop(id(instance), None)
        del self._known[type(instance), _key(instance)]
        instance._orm.unit = instance._orm.stored = None

    def before_statement(self) -> None:
        """Check that nothing pending rests on what others have changed since."""
        for instance in self._changed:
            self._check_unchanged(instance)

    def after_statement(self) -> None:
        """Show what a statement of the caller's has changed, and keep what is pending."""
        changed = self._changed
        for instance in list(self._known.values()):
            instance._orm.is_expired = instance not in changed
        for instance in changed:
            changes = instance._orm.changes(instance.columns)
            found = self._row(type(instance), _key(instance))
            if found is not None:
                self._load(instance, found)
                instance._orm.values.update(changes)

    # --- taking back ---

    def _remember(self, instance: Base) -> None:
        state = instance._orm
        self._before.setdefault(id(instance), _Before(instance, dict(state.values), state.stored))

    def committed(self) -> None:
        """Take the objects as they are for the state to come back to."""
        self._before.clear()
        self.expire()

    def take_back(self) -> None:
        """Make the objects what they were before the transaction, and forget those that were to be stored."""
        for instance in self._changed:
            instance._orm.load(instance.columns, instance._orm.stored or {}, None)
        for instance in self._new:
            instance._orm.unit = None
        for instance, values, stored in self._before.values():
            self._restore(instance, values, stored)
        self._new.clear()
        self._deleted.clear()
        self.committed()

    def _restore(self, instance: Base, values: dict[str, Any], stored: dict[str, Any] | None) -> None:
        state = instance._orm
        if stored is not None:
            state.unit = self
            state.load(instance.columns, stored, None)
            self._know(instance)
            return
        if state.stored is not None:
            del self._known[type(instance), _key(instance)]
        state.unit = state.stored = None
        state.values = values
        state.is_expired = False

    # --- rows ---

    def _check_stored(self, instance: Base) -> None:
        _check_mapped(instance)
        if instance._orm.unit is not self or instance._orm.stored is None:
            raise InvalidArgument("instance", instance, "an object that this session has read or stored")

    def _check_unchanged(self, instance: Base) -> None:
        """Raise if somebody has changed the row between its reading and the begin of the transaction."""
        state, transaction = instance._orm, self._store.transaction
        if state.seen is transaction:
            return
        entity, stored = type(instance), state.stored or {}
        found = self._present_row(entity, _key(instance))
        if any(found[name] != stored[name] for name in stored.keys() - set(entity.kept)):
            raise DatabaseBusy(self._store.path, f"somebody has changed {instance!r} since this session read it")
        state.seen = transaction

    def _load(self, instance: Base, stored: dict[str, Any]) -> None:
        instance._orm.load(instance.columns, stored, self._store.transaction)
        self._know(instance)

    def _know(self, instance: Base) -> None:
        self._known[type(instance), _key(instance)] = instance
        self.hold(instance)

    def _row(self, entity: type[Base], key: Any) -> dict[str, Any] | None:
        fields = (column.field for column in entity.columns.values())
        found = self._store.run(entity.table.select(*fields).where(entity.columns[entity.key] == key)).rows
        return dict(zip(entity.columns, found[0], strict=True)) if found else None

    def _present_row(self, entity: type[Base], key: Any) -> dict[str, Any]:
        found = self._row(entity, key)
        if found is None:
            raise entity.missing(key)
        return found


def _check_mapped(instance: object) -> None:
    if not isinstance(instance, Base):
        raise InvalidArgument("instance", type(instance), "an object of a mapped class")


def _key(instance: Base) -> Any:
    """Return the key of the row of an object that has one."""
    return (instance._orm.stored or {})[instance.key]
