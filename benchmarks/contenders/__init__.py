"""Who takes part: the reference, ours in three manners of use, and what else people use."""

from __future__ import annotations

import importlib

from .base import Contender as Contender

REFERENCE = "reference"
IN_SCOPE = "ours, in a scope"
PER_CALL = "ours, one call per scope"
NO_SCOPE = "ours, no scope"
PEEWEE = "plain Peewee"
SQLALCHEMY = "SQLAlchemy ORM"
AGENTS = "openai-agents"

OURS = (IN_SCOPE, PER_CALL, NO_SCOPE)
RIVALS = (PEEWEE, SQLALCHEMY, AGENTS)

_PLACES = {
    REFERENCE: ("reference", "Reference"),
    IN_SCOPE: ("ours", "InScope"),
    PER_CALL: ("ours", "PerCall"),
    NO_SCOPE: ("ours", "NoScope"),
    PEEWEE: ("plain_peewee", "PlainPeewee"),
    SQLALCHEMY: ("sqlalchemy_orm", "SqlalchemyOrm"),
    AGENTS: ("agents_session", "AgentsSession"),
}


def _installed() -> dict[str, type[Contender]]:
    found = {}
    for name, (module, cls) in _PLACES.items():
        try:
            found[name] = getattr(importlib.import_module(f"{__name__}.{module}"), cls)
        except ModuleNotFoundError:
            continue  # a rival that is not installed is left out
    return found


#: The classes of those that are installed, by name.
CLASSES: dict[str, type[Contender]] = _installed()
