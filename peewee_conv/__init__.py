"""Conversations of LLM applications in per-project SQLite databases, on Peewee."""

from .database.cache import set_connection_limit as set_connection_limit
from .database.schema import Schema as Schema
from .errors import PeeweeConvError as PeeweeConvError
from .project import Project as Project
from .project import Projects as Projects

__all__ = ["PeeweeConvError", "Project", "Projects", "Schema", "set_connection_limit"]
__version__ = "0.1.0"
