"""The lists: conversations of a project, and what a search finds in them."""

from __future__ import annotations

from typing import Any

from .. import arguments
from ..errors import InvalidArgument, LimitReached
from ..records import Conversation, SearchHit
from . import people
from .page import Look, Values
from .text import MARKS

_PER_PAGE = 40
_HITS = 50
_FOUND = 200  # messages that the list of conversations looks for: those of one conversation make one line
_FILTERS = ("user_id", "assistant_id", "project_name")


def conversations(look: Look) -> Values:
    """Gather a page of the conversations, the newest activity first; with a text, those that have it in a message."""
    given, after, text = _filters(look), look.query.text("after"), look.query.text("q")
    if text is None:
        found = look.project.conversations.list(**given, limit=_PER_PAGE, after=after)
        shown: Values = {"problem": None, "next": found.next, "is_first": after is None, "is_cut": False}
        return {**_rows(look, found), **shown, "given": given, "q": None}
    hits, problem = _hits(look, text, given, _FOUND)
    shown = {"problem": problem, "next": None, "is_first": True, "is_cut": len(hits) == _FOUND, "most": _FOUND}
    return {**_rows(look, _conversations_of(look, hits)), **shown, "given": given, "q": text}


def _conversations_of(look: Look, hits: list[SearchHit]) -> list[Conversation]:
    """Return the conversations that have what was found, the best match first."""
    ids = dict.fromkeys(hit.message.conversation_id for hit in hits)
    found = [look.project.conversations.find(id) for id in ids]
    return [row for row in found if row is not None]  # not deleted meanwhile


def _filters(look: Look) -> dict[str, Any]:
    return {name: look.query.text(name) for name in _FILTERS}


def _rows(look: Look, found: list[Conversation]) -> Values:
    project = look.project
    return {
        "conversations": found,
        "owners": people.users(project, (row.user_id for row in found)),
        "bots": people.assistants(project, (row.assistant_id for row in found)),
        "now": look.now,
        **people.to_choose_from(project),
    }


def search(look: Look) -> Values:
    """Gather what a search finds, or the sentence that says why it found nothing."""
    text = look.query.text("q")
    role = look.query.choice("role", arguments.ROLES)
    given = _filters(look)
    hits, problem = _hits(look, text, {**given, "role": role or None}, _HITS) if text else ([], None)
    return {
        "q": text,
        "role": role,
        "roles": arguments.ROLES,
        "given": given,
        "hits": hits,
        "problem": problem,
        "most": _HITS,
        **people.to_choose_from(look.project),
    }


def _hits(look: Look, text: str, filters: dict[str, Any], limit: int) -> tuple[list[SearchHit], str | None]:
    """Return what is found; or a sentence, where the words cannot be searched for."""
    try:
        return look.project.conversations.search(text, **filters, limit=limit, marks=MARKS), None
    except InvalidArgument as error:
        if error.argument != "query":
            raise
        return [], f"This cannot be searched for: expected {error.allowed}."
    except LimitReached as error:
        return [], f"The search was given up: {error}."
