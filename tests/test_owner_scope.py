"""One user's service never shows, changes or deletes a row of another."""

from __future__ import annotations

import inspect
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from peewee_conv import Project
from peewee_conv.errors import AlreadyExists, ConversationNotFound, InvalidArgument, UserNotFound
from peewee_conv.models import User
from peewee_conv.services.conversations import Conversations

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USERS = ("ada", "bob")
SAID = {"ada": "secret of ada", "bob": "secret of bob", None: "secret of nobody"}

#: Every verb that takes the id of a conversation, and what it answers where there is none.
VERBS: dict[str, tuple[Callable[[Conversations, str], Any], Any]] = {
    "get": (lambda service, id: service.get(id), ConversationNotFound),
    "find": (lambda service, id: service.find(id), None),
    "update": (lambda service, id: service.update(id, title="stolen"), ConversationNotFound),
    "delete": (lambda service, id: service.delete(id), False),
    "add_message": (
        lambda service, id: service.add_message(id, "user", "stolen", external_id="e-1"),
        ConversationNotFound,
    ),
    "add_messages": (
        lambda service, id: service.add_messages(id, [{"role": "user", "content": "x", "external_id": "e-1"}]),
        ConversationNotFound,
    ),
    "begin_message": (lambda service, id: service.begin_message(id), ConversationNotFound),
    "extend_message": (lambda service, id: service.extend_message(id, 2, "stolen"), ConversationNotFound),
    "finish_message": (lambda service, id: service.finish_message(id, 2), ConversationNotFound),
    "interrupt_message": (lambda service, id: service.interrupt_message(id, 2), ConversationNotFound),
    "messages": (lambda service, id: service.messages(id), ConversationNotFound),
    "iterate": (lambda service, id: list(service.iterate(id)), ConversationNotFound),
    "context": (lambda service, id: service.context(id, pin=("system", "instructions")), ConversationNotFound),
    "prune": (lambda service, id: service.prune(id, 0), ConversationNotFound),
    "clear": (lambda service, id: service.clear(id), ConversationNotFound),
    "search": (lambda service, id: service.search("secret", conversation_id=id), []),
}


def add_users(project: Project) -> None:
    with project:
        for id in USERS:
            User.create(id=id, google_id=id, email=id, name=id, created_at=NOW, last_login_at=NOW)


@pytest.fixture
def shared(project: Project) -> Project:
    """A project where ada, bob and nobody have a conversation each, of an assistant that they share."""
    add_users(project)
    bot = project.assistants.create("Aurora", "You keep secrets.", id="bot")
    for id in (*USERS, None):
        talk = project.conversations.create(id=f"of-{id}", user_id=id, assistant_id=bot.id, project_name="red")
        project.conversations.add_message(talk.id, "user", SAID[id], external_id="e-1")
    return project


def test_the_table_of_verbs_is_complete() -> None:
    takes_an_id = {
        name
        for name, verb in inspect.getmembers(Conversations, inspect.isfunction)
        if not name.startswith("_") and "conversation_id" in inspect.signature(verb).parameters
    }

    assert takes_an_id == set(VERBS)


@pytest.mark.parametrize("other", ["of-bob", "of-None", "nowhere"])
@pytest.mark.parametrize("verb", VERBS)
def test_the_conversation_of_another_is_as_if_it_were_missing(shared: Project, verb: str, other: str) -> None:
    everything = [shared.conversations.get(f"of-{id}") for id in (*USERS, None)]
    call, answer = VERBS[verb]

    if inspect.isclass(answer):
        with pytest.raises(answer, match=f"conversation '{other}' does not exist"):
            call(shared.conversations.for_user("ada"), other)
    else:
        assert call(shared.conversations.for_user("ada"), other) == answer

    assert [shared.conversations.get(f"of-{id}") for id in (*USERS, None)] == everything


@pytest.mark.parametrize("verb", VERBS)
def test_ones_own_conversation_is_there(shared: Project, verb: str) -> None:
    call, _ = VERBS[verb]
    shared.conversations.begin_message("of-ada", content="more")
    if verb == "add_messages":
        shared.conversations.clear("of-ada")
    if verb == "add_message":
        with pytest.raises(AlreadyExists):
            call(shared.conversations.for_user("ada"), "of-ada")
    else:
        assert call(shared.conversations.for_user("ada"), "of-ada")


def test_lists_and_searches_show_ones_own_alone(shared: Project) -> None:
    service = shared.conversations.for_user("ada")

    for filters in ({}, {"assistant_id": "bot"}, {"project_name": "red"}, {"user_id": "ada"}):
        assert [talk.id for talk in service.list(**filters)] == ["of-ada"]
        assert [hit.message.content for hit in service.search("secret", **filters)] == ["secret of ada"]


@pytest.mark.parametrize("verb", ["create", "list", "search", "for_user"])
def test_another_owner_cannot_be_asked_for(shared: Project, verb: str) -> None:
    service = shared.conversations.for_user("ada")
    calls: dict[str, Callable[[], Any]] = {
        "create": lambda: service.create(user_id="bob"),
        "list": lambda: service.list(user_id="bob"),
        "search": lambda: service.search("secret", user_id="bob"),
        "for_user": lambda: service.for_user("bob"),
    }

    with pytest.raises(InvalidArgument, match="invalid user_id 'bob': expected 'ada'"):
        calls[verb]()


def test_a_conversation_of_ones_service_is_ones_own(shared: Project) -> None:
    assert shared.conversations.for_user("ada").create().user_id == "ada"


def test_the_same_user_may_be_named_twice(shared: Project) -> None:
    assert shared.conversations.for_user("ada").for_user("ada").get("of-ada")


@pytest.mark.parametrize("user_id", [None, "", 5, "a\0b", "\ud800"], ids=ascii)
def test_a_user_needs_an_id(project: Project, user_id: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid user_id"):
        project.conversations.for_user(user_id)


def test_an_unknown_user_has_nothing_and_gets_nothing(shared: Project) -> None:
    service = shared.conversations.for_user("eve")

    assert service.list() == []
    assert service.search("secret") == []
    with pytest.raises(UserNotFound, match="user 'eve' does not exist"):
        service.create()


class TwoUsers(RuleBasedStateMachine):
    """Both use every verb with every id there is; all that they ever see is checked."""

    ids = Bundle("ids")
    users = st.sampled_from(USERS)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.project = Project(self.folder, durability="normal")
        add_users(self.project)
        self.services = {id: self.project.conversations.for_user(id) for id in USERS}
        self.sizes: dict[str, int] = {}
        self.owners: dict[str, str] = {}

    def teardown(self) -> None:
        self.project.dispose()
        shutil.rmtree(self.folder)

    @initialize(target=ids)
    def begin(self) -> Any:
        return multiple(self.create("ada"), self.create("bob"))

    @rule(target=ids, user=users)
    def create(self, user: str) -> str:
        talk = self.services[user].create()
        self.owners[talk.id], self.sizes[talk.id] = user, 0
        return talk.id

    @rule(user=users, id=ids, verb=st.sampled_from(sorted(VERBS)))
    def use(self, user: str, id: str, verb: str) -> None:
        if self.owners.get(id) == user:
            return
        before = self.project.conversations.find(id)
        call, answer = VERBS[verb]
        if inspect.isclass(answer):
            with pytest.raises(answer):
                call(self.services[user], id)
        else:
            assert call(self.services[user], id) == answer
        assert self.project.conversations.find(id) == before

    @rule(user=users, id=ids, count=st.integers(1, 3))
    def say(self, user: str, id: str, count: int) -> None:
        if self.owners.get(id) == user:
            new = [{"role": "user", "content": SAID[user]}] * count
            self.services[user].add_messages(id, new)
            self.sizes[id] += count

    @rule(user=users, id=ids)
    def prune(self, user: str, id: str) -> None:
        if self.owners.get(id) == user:
            self.services[user].prune(id, 1)
            self.sizes[id] = min(1, self.sizes[id])

    @rule(user=users, id=ids)
    def delete(self, user: str, id: str) -> None:
        if self.owners.get(id) == user:
            assert self.services[user].delete(id)
            del self.owners[id], self.sizes[id]

    @invariant()
    def each_sees_ones_own_and_all_of_it(self) -> None:
        for user, service in self.services.items():
            own = {id for id, owner in self.owners.items() if owner == user}
            assert {talk.id for talk in service.list()} == own
            hits = [hit.message for hit in service.search("secret", limit=1000)]
            assert {hit.content for hit in hits} <= {SAID[user]}
            assert len(hits) == sum(self.sizes[id] for id in own)


TestTwoUsers = TwoUsers.TestCase
TestTwoUsers.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
