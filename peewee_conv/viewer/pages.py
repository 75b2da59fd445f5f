"""Every kind of page of a project."""

from __future__ import annotations

from typing import Final

from ..schemas import assistant, features
from . import health, listings, queue, transcripts, usage
from .page import Page

PAGES: Final = (
    Page("", "conversations", listings.conversations, assistant, "conversations.html"),
    Page("conversation", "conversation", transcripts.conversation, assistant, "conversation.html"),
    Page("message", "message", transcripts.message, assistant),
    Page("export", "export", transcripts.export, assistant),
    Page("search", "search", listings.search, assistant, "search.html"),
    Page("usage", "usage", usage.usage, assistant, "usage.html"),
    Page("features", "features", queue.features, features, "features.html"),
    Page("schedules", "schedules", queue.schedules, features, "schedules.html"),
    Page("health", "health", health.health, None, "health.html"),
)

#: The pages that the navigation of a project leads to, and their titles.
NAVIGATION: Final = (
    ("conversations", "Conversations"),
    ("search", "Search"),
    ("usage", "Usage"),
    ("features", "Features"),
    ("schedules", "Schedules"),
    ("health", "Health"),
)
