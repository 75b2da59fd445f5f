"""A schema: a name, its models, its numbered migrations. Every project has one file of it.

>>> import tempfile, pathlib
>>> folder = tempfile.TemporaryDirectory()
>>> script = '''
... def up(migrator, db):
...     db.execute_sql("CREATE TABLE ticket (id INTEGER NOT NULL PRIMARY KEY, title TEXT NOT NULL)")
... def down(migrator, db):
...     db.execute_sql("DROP TABLE ticket")
... '''
>>> written = pathlib.Path(folder.name, "0001_initial.py").write_text(script)
>>> from peewee import AutoField, TextField
>>> from peewee_conv import Project, Schema
>>> tickets = Schema("tickets", migrations=folder.name)
>>> class Ticket(tickets.Model):
...     id = AutoField()
...     title = TextField()
>>> with Project(folder.name) as project:
...     Ticket.create(title="printer on fire").id
1
>>> project.dispose()
True
>>> folder.cleanup()
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from functools import cached_property

import peewee

from ..errors import InvalidArgument
from ..versions import Migrations
from .proxy import ProjectProxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..versions import Legacy

BUNDLED = ("assistant", "features")


class Schema:
    """A set of tables that every project has in a file of its own, ``<name>.db``.

    :param name: 1 to 32 lower-case letters, digits or ``_``, starting with a letter; ``assistant`` and ``features``
        are taken.
    :param migrations: the folder of the numbered scripts.
    :raises InvalidArgument: the name is not allowed, or *migrations* is no path.
    """

    def __init__(self, name: str, *, migrations: str | os.PathLike[str]) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
            raise InvalidArgument("name", name, "1 to 32 lower-case letters, digits or '_', starting with a letter")
        if name in BUNDLED:
            raise InvalidArgument("name", name, "another name, this one belongs to peewee_conv")
        folder = os.fspath(migrations) if isinstance(migrations, os.PathLike) else migrations
        if not isinstance(folder, str) or not folder:
            raise InvalidArgument("migrations", migrations, "the path of a folder")
        self._set_up(name, Migrations(os.path.abspath(folder)))

    def _set_up(self, name: str, migrations: Migrations) -> None:
        self.name = name
        self.migrations = migrations
        #: The database of the models: a proxy to the current project's file.
        self.database = ProjectProxy(self)

    @cached_property  # services never ask for it: most processes do without
    def Model(self) -> type[peewee.Model]:
        """The base class of the models."""

        class Meta:
            database = self.database
            legacy_table_names = False

        return type("Model", (peewee.Model,), {"Meta": Meta, "__doc__": f"The base of the models of {self.name}.db."})

    @classmethod
    def bundled(cls, name: str, *, legacy: Callable[[], Legacy]) -> Schema:
        """Return a schema that this package ships, with the scripts of ``peewee_conv.migrations.<name>``."""
        schema = cls.__new__(cls)
        schema._set_up(name, Migrations(lambda: _bundled_folder(name), legacy))
        return schema

    def __repr__(self) -> str:
        return f"<Schema {self.name}>"


def _bundled_folder(name: str) -> str:
    """Find the scripts in an installed package, or beside the package in a bare checkout."""
    try:
        package = importlib.import_module(f"peewee_conv.migrations.{name}")
    except ModuleNotFoundError:
        top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        return os.path.join(top, "migrations", name)
    return os.path.dirname(str(package.__file__))
