"""How the files of a project are kept, and on demand whether they are sound."""

from __future__ import annotations

from ..errors import PeeweeConvError
from ..health import health as health_of
from ..schemas import assistant, features
from .page import Look, Values

_SCHEMAS = {schema.name: schema for schema in (assistant, features)}


def health(look: Look) -> Values:
    """Gather how each file is kept; a file that cannot be read is part of the answer."""
    asked = look.query.choice("check", tuple(_SCHEMAS))
    return {"files": [_file(look, name, is_checked=name == asked) for name in _SCHEMAS]}


def _file(look: Look, name: str, *, is_checked: bool) -> Values:
    schema = _SCHEMAS[name]
    shown: Values = {"schema": name, "path": str(look.project.database_path(schema)), "is_checked": is_checked}
    try:
        shown["health"] = health_of(look.project, schema)
        shown["problems"] = look.project.check(schema) if is_checked else []
    except PeeweeConvError as error:
        shown["error"] = str(error)
    return shown
