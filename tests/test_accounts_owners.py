"""Two users do whatever they like, in any order: no public call shows the one a row of the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from account_tools import profile
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from peewee_conv import Project
from peewee_conv.errors import LimitReached, NotFound, PeeweeConvError, RateLimited
from peewee_conv.services.conversations import Conversations
from peewee_conv.services.datasets import Datasets

NAMES = ("xerxes", "yvonne")
users = st.sampled_from(NAMES)
places = st.integers(0, 3)


class Access(NamedTuple):
    """What an application gives to one user."""

    user_id: str
    conversations: Conversations
    datasets: Datasets


class TwoUsers(RuleBasedStateMachine):
    """Everything that a user stores bears their name: whatever a call returns must not bear the other's."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.project = Project(self.folder.name, durability="normal")
        self.talks: dict[str, list[str]] = {name: [] for name in NAMES}
        self.data: dict[str, list[str]] = {name: [] for name in NAMES}
        self.tokens: dict[str, list[str]] = {name: [] for name in NAMES}
        self.access: dict[str, Access] = {}
        for name in NAMES:
            self.enter(name)

    def enter(self, name: str) -> None:
        entry = self.project.accounts.sign_in(profile(name), referral_key=self.project.accounts.create_key())
        self.tokens[name].append(entry.token)
        id = entry.user_id
        self.access[name] = Access(id, self.project.conversations.for_user(id), self.project.datasets.for_user(id))

    def teardown(self) -> None:
        self.project.dispose()
        self.folder.cleanup()

    def any_talk(self, place: int) -> str:
        """Return the id of a conversation, whosoever it is or was."""
        ids = [id for name in NAMES for id in self.talks[name]]
        return ids[place % len(ids)] if ids else "none"

    def any_data(self, place: int) -> str:
        ids = [id for name in NAMES for id in self.data[name]]
        return ids[place % len(ids)] if ids else "none"

    # --- what users do, to their own rows and to those whose ids they may have got hold of ---

    @rule(name=users)
    def sign_in(self, name: str) -> None:
        self.enter(name)

    @rule(name=users)
    def sign_out_everywhere(self, name: str) -> None:
        self.project.accounts.sign_out_everywhere(self.access[name].user_id)

    @rule(name=users)
    def leave_and_come_back(self, name: str) -> None:
        self.project.accounts.delete(self.access[name].user_id)
        self.talks[name], self.data[name] = [], []
        self.enter(name)

    @rule(name=users)
    def create_conversation(self, name: str) -> None:
        self.talks[name].append(self.access[name].conversations.create(title=f"talk of {name}").id)

    @rule(name=users, place=places)
    def add_message(self, name: str, place: int) -> None:
        with suppress(NotFound):
            self.access[name].conversations.add_message(self.any_talk(place), "user", f"words of {name}")

    @rule(name=users, place=places)
    def rename(self, name: str, place: int) -> None:
        with suppress(NotFound):
            self.access[name].conversations.update(self.any_talk(place), title=f"talk of {name}")

    @rule(name=users, place=places)
    def prune(self, name: str, place: int) -> None:
        with suppress(NotFound):
            self.access[name].conversations.prune(self.any_talk(place), 1)

    @rule(name=users, place=places)
    def delete_conversation(self, name: str, place: int) -> None:
        self.access[name].conversations.delete(self.any_talk(place))

    @rule(name=users, place=places, number=places)
    def add_dataset(self, name: str, place: int, number: int) -> None:
        url = f"https://example.com/{name}/{number}-{len(self.data[name])}"
        with suppress(NotFound, LimitReached):
            self.data[name].append(self.access[name].datasets.add(self.any_talk(place), url).id)

    @rule(name=users, place=places)
    def fail_and_refresh_dataset(self, name: str, place: int) -> None:
        with suppress(NotFound):
            self.access[name].datasets.refresh(self.any_data(place))
            self.access[name].datasets.mark_error(self.any_data(place), f"no luck for {name}")

    @rule(name=users, place=places)
    def remove_dataset(self, name: str, place: int) -> None:
        self.access[name].datasets.remove(self.any_data(place))

    @rule(name=users, place=places, tokens=st.integers(0, 50))
    def spend(self, name: str, place: int, tokens: int) -> None:
        usage, user_id = self.project.usage.with_limit(100), self.access[name].user_id
        with suppress(NotFound, RateLimited):
            usage.spend(user_id, tokens, 0, f"model of {name}", conversation_id=self.any_talk(place))

    # --- what they see ---

    @invariant()
    def nobody_sees_a_row_of_the_other(self) -> None:
        for name, other in (NAMES, NAMES[::-1]):
            for call in self.calls_of(name):
                shown = repr(answer_of(call)).lower()
                assert other not in shown, shown

    def calls_of(self, name: str) -> Iterator[Callable[[], Any]]:
        user_id, talks, data = self.access[name]
        usage = self.project.usage
        yield talks.list
        for word in (*NAMES, "words"):
            yield lambda word=word: talks.search(word)
        yield lambda: usage.total(user_id=user_id)
        for by in ("user", "model", "day", "conversation"):
            yield lambda by=by: self.named(usage.totals(by, user_id=user_id))
        yield lambda: self.project.accounts.get(user_id)
        for token in self.tokens[name]:
            yield lambda token=token: self.project.accounts.validate_session(token)
        for id in [id for ids in self.talks.values() for id in ids]:
            for read in (talks.get, talks.find, talks.messages, talks.context, data.list):
                yield lambda read=read, id=id: read(id)
            yield lambda id=id: list(talks.iterate(id))
            yield lambda id=id: talks.search("words", conversation_id=id)
        for id in [id for ids in self.data.values() for id in ids]:
            for find in (data.get, data.find):
                yield lambda find=find, id=id: find(id)

    def named(self, totals: list[Any]) -> list[Any]:
        """Put whose it is beside each total: its key is an id, which bears no name."""
        owners = {access.user_id: name for name, access in self.access.items()}
        owners.update({id: name for name, ids in self.talks.items() for id in ids})
        return [(total, owners.get(total.key)) for total in totals]


def answer_of(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except PeeweeConvError as error:
        return error


TwoUsers.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestTwoUsers = TwoUsers.TestCase
