"""S1 and S13: one thread appends, message by message or a thousand at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .. import contenders, data
from ..bench import Arguments, Bench, in_scope
from ..contenders import Contender
from ..measure import Race, check

_TALK = "talk-00001"
_FIELD = (contenders.REFERENCE, *contenders.OURS, *contenders.RIVALS)
_FIELD_OF_MANY = (contenders.REFERENCE, contenders.IN_SCOPE, contenders.PER_CALL, *contenders.RIVALS)


class Appended:
    """Hands out the next messages of a conversation and knows afterwards what it must hold."""

    def __init__(self, conversation: str, stored: int) -> None:
        self.conversation, self.stored = conversation, stored

    def take(self, count: int) -> Arguments:
        """Return the arguments of the next *count* appends."""
        first = self.stored + 1
        self.stored += count
        return [(self.conversation, *message) for message in data.messages(self.conversation, first, count)]

    def check(self, contender: Contender, name: str) -> None:
        """See that the newest messages of *contender* are the last ones that were handed out, in their order."""
        count = min(self.stored, 100)
        with contender.scope():
            newest = contender.contents(contender.newest(self.conversation, count))
        expected = [data.content(self.conversation, at) for at in range(self.stored - count + 1, self.stored + 1)]
        check(newest == expected, f"{name} lost, doubled or moved a message of {self.conversation}")


def one_message(bench: Bench) -> Iterator[Race]:
    """S1: append one message, in a short and in a long conversation, with both durabilities."""
    for durability in ("normal", "full"):
        for stored in (bench.pick(1_000, 1_000, 10), bench.pick(100_000, 20_000, 20)):
            yield _one_message(bench, durability, stored)


def _one_message(bench: Bench, durability: str, stored: int) -> Race:
    count = bench.pick(200, 100, 5) if durability == "normal" else bench.pick(50, 25, 3)
    with bench.field(_FIELD, {_TALK: stored}, durability) as field:
        appended = {name: Appended(_TALK, stored) for name in field}
        runners = {
            name: in_scope(contender, contender.append, appended[name].take, count) for name, contender in field.items()
        }
        race = bench.race(Race("S1", f"{durability}, {stored:,} messages"), runners)
        for name, contender in field.items():
            appended[name].check(contender, name)
    return race


def a_thousand_at_once(bench: Bench) -> Iterator[Race]:
    """S13: import messages by one call."""
    size = bench.pick(1_000, 1_000, 20)
    with bench.field(_FIELD_OF_MANY, {_TALK: 10}) as field:
        appended = {name: Appended(_TALK, 10) for name in field}
        runners = {
            name: in_scope(contender, contender.append_many, _packed(appended[name], size), 1)
            for name, contender in field.items()
        }
        race = bench.race(Race("S13", f"{size:,} messages in one call", unit="ms"), runners, bench.pick(8, 4, 2))
        for name, contender in field.items():
            appended[name].check(contender, name)
        yield race


def _packed(appended: Appended, size: int) -> Callable[[int], Arguments]:
    def take(count: int) -> Arguments:
        return [(_TALK, [message[1:] for message in appended.take(size)]) for _ in range(count)]

    return take
