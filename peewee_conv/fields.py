"""Columns as our tables keep them: times and JSON as text, foreign keys that load nothing.

They convert by themselves and need no function of the database: Peewee's own JSON field would bind to a dialect.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from peewee import ForeignKeyField, TextField

from .clock import from_text, to_text


class TimeField(TextField):
    """An aware UTC ``datetime``, stored as text of one width, so that text order is time order."""

    def db_value(self, value: Any) -> Any:
        """Return the stored text of *value*."""
        return to_text(value) if isinstance(value, datetime) else value

    def python_value(self, value: Any) -> Any:
        """Return *value* as an aware ``datetime``."""
        return None if value is None else from_text(value)


class JsonField(TextField):
    """A JSON value, stored as text."""

    def db_value(self, value: Any) -> Any:
        """Return the stored text of *value*."""
        return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)

    def python_value(self, value: Any) -> Any:
        """Return the value that the text stands for."""
        return None if value is None else json.loads(value)


def foreign_key(model: Any, column: str, **options: Any) -> ForeignKeyField:
    """Return a foreign key that gives the id of its parent: a row may outlive the scope that it could load from."""
    return ForeignKeyField(model, column_name=column, backref="+", lazy_load=False, index=False, **options)
