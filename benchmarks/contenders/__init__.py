"""Who takes part: the reference, ours in three manners of use, and what else people use."""

from __future__ import annotations

import importlib
import importlib.util

from .base import Contender as Contender

REFERENCE = "reference"
IN_SCOPE = "ours, in a scope"
PER_CALL = "ours, one call per scope"
NO_SCOPE = "ours, no scope"
PEEWEE = "plain Peewee"
SQLALCHEMY = "SQLAlchemy ORM"
AGENTS = "openai-agents"

NO_GROUPS = "ours, group commit off"
NO_INDEX = "ours, without search"
INDEX_BY_TRIGGER = "reference, index by triggers"
SHARED = "reference, one connection a file"
BATCHES = "reference, one thread, 8 in a commit"

OURS = (IN_SCOPE, PER_CALL, NO_SCOPE)
RIVALS = (PEEWEE, SQLALCHEMY, AGENTS)

_PLACES = {
    REFERENCE: ("reference", "Reference"),
    IN_SCOPE: ("ours", "InScope"),
    PER_CALL: ("ours", "PerCall"),
    NO_SCOPE: ("ours", "NoScope"),
    NO_GROUPS: ("ours", "NoGroups"),
    NO_INDEX: ("ours", "NoIndex"),
    INDEX_BY_TRIGGER: ("reference", "IndexByTriggers"),
    SHARED: ("reference", "Shared"),
    BATCHES: ("reference", "Batches"),
    PEEWEE: ("plain_peewee", "PlainPeewee"),
    SQLALCHEMY: ("sqlalchemy_orm", "SqlalchemyOrm"),
    AGENTS: ("agents_session", "AgentsSession"),
}


_NEEDS = {SQLALCHEMY: "sqlalchemy", AGENTS: "agents"}


def is_installed(name: str) -> bool:
    """Say whether the package of a contender is there; nothing is imported."""
    return name not in _NEEDS or importlib.util.find_spec(_NEEDS[name]) is not None


def of(name: str) -> type[Contender]:
    """Return the class of a contender."""
    module, cls = _PLACES[name]
    found: type[Contender] = getattr(importlib.import_module(f"{__name__}.{module}"), cls)
    return found
