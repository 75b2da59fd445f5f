"""What a view is given, and what it may answer; neither knows anything of Flask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import IO, Any, NamedTuple, TypeAlias

from ..clock import from_text
from ..database.schema import Schema
from ..project import Project
from ..services.usage import Usage
from .query_string import Query


class Look(NamedTuple):
    """One look at a project.

    :ivar limit_tokens: the budget of a user in a day; ``None``: that of the usage service.
    """

    project: Project
    query: Query
    limit_tokens: int | None

    @property
    def usage(self) -> Usage:
        """The usage service, with the budget of this viewer."""
        usage = self.project.usage
        return usage if self.limit_tokens is None else usage.with_limit(self.limit_tokens)

    @property
    def now(self) -> datetime:
        """The time, by the clock of the project."""
        return from_text(self.project._binding.settings.now())


class Download(NamedTuple):
    """A file instead of a page.

    :ivar filename: what to save it as; ``None`` to show it.
    """

    stream: IO[bytes]
    mimetype: str
    filename: str | None = None


Values: TypeAlias = dict[str, Any]
View: TypeAlias = Callable[[Look], Values | Download]


class Page(NamedTuple):
    """A kind of page: its address below the project, its name, who gathers what it shows, from which file.

    :ivar schema: ``None`` for a page that looks at files past the cache.
    :ivar template: empty for what is only downloaded.
    """

    address: str
    name: str
    view: View
    schema: Schema | None
    template: str = ""
