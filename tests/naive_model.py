"""What the services promise, in the slowest and plainest words: the tests compare the two."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class NaiveMessage:
    sequence: int
    role: str
    content: str
    tokens: int | None = None
    external_id: str | None = None

    @property
    def counted(self) -> int:
        return -(-len(self.content) // 4) if self.tokens is None else self.tokens


@dataclass
class NaiveConversation:
    id: str
    number: int
    updated_at: str
    title: str | None = None
    project_name: str | None = None
    assistant_id: str | None = None
    user_id: str | None = None
    last: int = 0
    messages: list[NaiveMessage] = field(default_factory=list)

    def append(self, new: Sequence[dict[str, Any]], now: str) -> list[NaiveMessage] | None:
        """Append as the service should and return what it should; ``None`` where it should refuse, changing nothing."""
        messages, last, title, answer = list(self.messages), self.last, self.title, []
        for item in new:
            found = [m for m in messages if m.external_id is not None and m.external_id == item.get("external_id")]
            if not found:
                last += 1
                tokens, external_id = item.get("token_count"), item.get("external_id")
                messages.append(NaiveMessage(last, item["role"], item["content"], tokens, external_id))
                title = title or title_of(item["role"], item["content"])
                found = messages[-1:]
            if (found[0].role, found[0].content) != (item["role"], item["content"]):
                return None
            answer.append(found[0])
        if last > self.last:
            self.updated_at = max(self.updated_at, now)
        self.messages, self.last, self.title = messages, last, title
        return answer


def title_of(role: str, content: str) -> str | None:
    """Return the title that a message gives: what is before a NUL, cut to fifty characters."""
    text = content.split("\0")[0]
    if role != "user" or not text:
        return None
    return text if len(text) <= 50 else text[:50] + "..."


def words_of(text: str) -> set[str]:
    """Return the words of a text, without case and accents."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return set(re.split(r"[\W_]+", plain.lower())) - {""}


def window(
    messages: Sequence[NaiveMessage], max_messages: int | None, max_tokens: int | None, pins: Collection[str] = ()
) -> list[NaiveMessage]:
    """Return the longest run of newest messages that keeps all rules, by trying every one; and the pins."""
    pinned = [message for message in messages if message.role in pins or message.sequence == 0]
    others = [message for message in messages if message not in pinned]
    room = float("inf") if max_tokens is None else max_tokens - sum(m.counted for m in pinned)
    if room < 0:
        return []
    most = len(others) if max_messages is None else min(max_messages, len(others))
    runs = (others[len(others) - n :] for n in range(most, -1, -1))
    best = next(run for run in runs if sum(m.counted for m in run) <= room and has_all_calls(m.role for m in run))
    return sorted(pinned + best, key=lambda message: message.sequence)


def has_all_calls(roles: Iterable[str]) -> bool:
    """Say whether an assistant speaks before each result of a tool."""
    has_call = False
    for role in roles:
        has_call = has_call or role == "assistant"
        if role == "tool" and not has_call:
            return False
    return True
