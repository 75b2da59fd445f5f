"""The templates, in an environment of their own: those of a host application neither replace them nor are replaced.

Everything is escaped; no template marks stored text as safe, which a test looks for.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from ..cli.text import plural, size
from . import text
from .pages import NAVIGATION

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = os.path.dirname(os.path.abspath(__file__))


@cache
def environment() -> Environment:
    """Return the environment, made once in a process."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(os.path.join(FOLDER, "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": text.ago,
        "compact": text.compact,
        "highlighted": text.highlighted,
        "minute": text.minute,
        "number": text.number,
        "parts": text.parts,
        "plural": plural,
        "pretty": text.pretty,
        "size": size,
    }
    made.globals |= {"NAVIGATION": NAVIGATION, "MAX_SHOWN": text.MAX_SHOWN}
    return made


def render(template: str, values: dict[str, Any]) -> str:
    """Return a page."""
    return environment().get_template(template).render(values)
