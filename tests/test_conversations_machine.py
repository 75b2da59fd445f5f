"""Whatever is done in whatever order, the service and a plain dictionary agree."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from naive_model import NaiveConversation, NaiveMessage, window, words_of

from peewee_conv import Project, search_index
from peewee_conv.clock import to_text
from peewee_conv.database.handle import Handle
from peewee_conv.errors import AlreadyExists, ConversationNotFound
from peewee_conv.models import assistant
from peewee_conv.records import Message

ROLES = ("system", "user", "assistant", "tool", "developer")
WORDS = ("alpha", "Béta", "gamma", "delta\0", "omega-")
QUERIES = ("ALPHA", "beta", "gámma", "delta", "omega")
roles = st.sampled_from(ROLES)
spoken = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
contents = st.one_of(spoken, st.text(max_size=70))
titles = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=200)
new_messages = st.fixed_dictionaries(
    {"role": roles, "content": contents},
    optional={
        "token_count": st.integers(0, 40),
        "external_id": st.sampled_from(["one", "two", "three"]),
        "metadata": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    },
)


class Conversing(RuleBasedStateMachine):
    conversations = Bundle("conversations")
    assistants = Bundle("assistants")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.moment = datetime(2026, 3, 1, tzinfo=UTC)
        self.project = Project(self.folder, now=lambda: to_text(self.moment), durability="normal")
        self.service = self.project.conversations
        self.known: dict[str, NaiveConversation] = {}
        self.gone: set[str] = set()
        self.bots: set[str] = set()

    def teardown(self) -> None:
        self.project.dispose()
        shutil.rmtree(self.folder)

    @property
    def now(self) -> str:
        return to_text(self.moment)

    def is_known(self, id: str) -> bool:
        if id in self.known:
            return True
        with pytest.raises(ConversationNotFound):
            self.service.get(id)
        return False

    # --- rows that come and go ---

    @rule(seconds=st.integers(-100, 100))
    def let_the_clock_jump(self, seconds: int) -> None:
        self.moment += timedelta(seconds=seconds)

    @rule(target=assistants)
    def create_assistant(self) -> str:
        bot = self.project.assistants.create("Aurora", "You analyse markets.")
        self.bots.add(bot.id)
        return bot.id

    @rule(target=conversations, name=st.sampled_from([None, "", "red", "blue"]), title=st.sampled_from([None, "T"]))
    def create(self, name: str | None, title: str | None) -> str:
        talk = self.service.create(project_name=name, title=title)
        self.known[talk.id] = NaiveConversation(talk.id, talk.number, self.now, title, name)
        return talk.id

    @rule(id=conversations, bot=assistants)
    def give_to_assistant(self, id: str, bot: str) -> None:
        if self.is_known(id) and bot in self.bots:
            self.service.update(id, assistant_id=bot)
            self.known[id].assistant_id = bot
            self.known[id].updated_at = max(self.known[id].updated_at, self.now)

    @rule(id=conversations, title=st.one_of(st.none(), titles))
    def rename(self, id: str, title: str | None) -> None:
        if self.is_known(id):
            self.service.update(id, title=title)
            self.known[id].title = title or None
            self.known[id].updated_at = max(self.known[id].updated_at, self.now)

    @rule(id=consumes(conversations))
    def delete(self, id: str) -> None:
        assert self.service.delete(id) == (self.known.pop(id, None) is not None)
        self.gone.add(id)

    @rule(bot=consumes(assistants))
    def delete_assistant(self, bot: str) -> None:
        assert self.project.assistants.delete(bot)
        self.bots.discard(bot)
        for id in [id for id, talk in self.known.items() if talk.assistant_id == bot]:
            del self.known[id]
            self.gone.add(id)

    # --- messages ---

    @rule(id=conversations, new=new_messages)
    def append(self, id: str, new: dict[str, Any]) -> None:
        if not self.is_known(id):
            return
        expected = self.known[id].append([new], self.now)
        if expected is None:
            with pytest.raises(AlreadyExists):
                self.service.add_message(id, **new)
        else:
            assert self.seen([self.service.add_message(id, **new)]) == expected

    @rule(id=conversations, new=st.lists(new_messages, max_size=5))
    def append_many(self, id: str, new: list[dict[str, Any]]) -> None:
        if not self.is_known(id):
            return
        expected = self.known[id].append(new, self.now)
        if expected is None:
            with pytest.raises(AlreadyExists):
                self.service.add_messages(id, new)
        else:
            assert self.seen(self.service.add_messages(id, new)) == expected

    @rule(id=conversations, keep=st.integers(0, 8))
    def prune(self, id: str, keep: int) -> None:
        if self.is_known(id):
            messages = self.known[id].messages
            doomed = messages[: max(0, len(messages) - keep)]
            assert self.service.prune(id, keep) == len(doomed)
            self.known[id].messages = messages[len(doomed) :]

    @rule(id=conversations)
    def clear(self, id: str) -> None:
        if self.is_known(id):
            assert self.service.clear(id) == len(self.known[id].messages)
            self.known[id].messages = []

    # --- questions ---

    @rule(query=st.sampled_from(QUERIES), role=st.one_of(st.none(), roles))
    def search(self, query: str, role: str | None) -> None:
        hits = self.service.search(query, role=role, limit=1000)
        wanted = words_of(query)
        assert sorted((hit.message.conversation_id, hit.message.sequence) for hit in hits) == sorted(
            (talk.id, message.sequence)
            for talk in self.known.values()
            for message in talk.messages
            if wanted <= words_of(message.content) and role in (None, message.role)
        )

    @rule(
        id=conversations,
        most=st.one_of(st.none(), st.integers(1, 6)),
        tokens=st.one_of(st.none(), st.integers(0, 120)),
        pins=st.sets(st.sampled_from(["system", "developer"])),
    )
    def context(self, id: str, most: int | None, tokens: int | None, pins: set[str]) -> None:
        if self.is_known(id):
            found = self.service.context(id, max_messages=most, max_tokens=tokens, pin=pins)
            assert self.seen(found) == window(self.known[id].messages, most, tokens, pins)

    @rule(limit=st.integers(1, 3))
    def list_in_pages(self, limit: int) -> None:
        expected = sorted(self.known.values(), key=lambda talk: (talk.updated_at, talk.number), reverse=True)
        found, after = [], None
        while True:
            page = self.service.list(limit=limit, after=after)
            found += [talk.id for talk in page]
            after = page.next
            if after is None:
                break
        assert found == [talk.id for talk in expected]

    @rule()
    def ask_the_index_itself(self) -> None:
        assert Handle(self.project._binding, assistant).write(search_index.is_in_step)

    # --- what holds after every step ---

    @invariant()
    def heads_agree(self) -> None:
        for talk in self.known.values():
            head = self.service.get(talk.id)
            assert (head.number, head.title, head.assistant_id) == (talk.number, talk.title, talk.assistant_id)
            assert to_text(head.updated_at) == talk.updated_at
            assert (head.last_sequence, head.message_count) == (talk.last, len(talk.messages))
            assert head.token_count == sum(message.tokens or 0 for message in talk.messages)

    @invariant()
    def messages_agree(self) -> None:
        for talk in self.known.values():
            assert self.seen(self.service.messages(talk.id)) == talk.messages
            numbers = [message.sequence for message in talk.messages]
            assert numbers == list(range(talk.last - len(numbers) + 1, talk.last + 1))

    @invariant()
    def what_is_gone_stays_gone(self) -> None:
        assert all(self.service.find(id) is None for id in self.gone)

    @staticmethod
    def seen(found: list[Message]) -> list[NaiveMessage]:
        return [NaiveMessage(m.sequence, m.role, m.content, m.token_count, m.external_id) for m in found]


TestConversing = Conversing.TestCase
TestConversing.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
