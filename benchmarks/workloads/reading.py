"""S2, S3 and S8: one thread reads the end of a conversation, a whole one, and the list of the newest."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from .. import contenders, data
from ..bench import Arguments, Bench, in_scope
from ..contenders import Contender
from ..measure import Race, check

_LAST = 20
_LISTED = 50
_FIELD = (contenders.REFERENCE, *contenders.OURS, *contenders.RIVALS)
_BRIEF_FIELD = (contenders.REFERENCE, contenders.IN_SCOPE, contenders.PER_CALL, *contenders.RIVALS)


def last_messages(bench: Bench) -> Iterator[Race]:
    """S2: the last 20 messages of one of many conversations."""
    talks, stored = bench.pick(1_000, 1_000, 5), 50
    counts = dict.fromkeys(data.named(talks), stored)
    with bench.field(_FIELD, counts) as field:
        for name, contender in field.items():
            _check_newest(name, contender, list(counts)[-1], stored)
        count = bench.pick(200, 100, 5)
        runners = {}
        for name, contender in field.items():
            # A session object of openai-agents opens connections of its own: it is spared a thousand of them.
            talks_read = list(counts)[:50] if name == contenders.AGENTS else list(counts)
            runners[name] = in_scope(contender, contender.newest, _some_of(talks_read, _LAST), count)
        yield bench.race(Race("S2", f"last {_LAST}, {talks:,} conversations"), runners)


def _some_of(talks: list[str], *rest: object) -> Callable[[int], Arguments]:
    """Return what picks conversations at random, the same ones for each contender."""
    source = random.Random(11)

    def take(count: int) -> Arguments:
        return [(talk, *rest) for talk in source.choices(talks, k=count)]

    return take


def _check_newest(name: str, contender: Contender, talk: str, stored: int) -> None:
    with contender.scope():
        newest = contender.contents(contender.newest(talk, _LAST))
    expected = [data.content(talk, at) for at in range(stored - _LAST + 1, stored + 1)]
    check(newest == expected, f"{name} does not return the last {_LAST} messages, oldest first")


def whole_conversation(bench: Bench) -> Iterator[Race]:
    """S3: all messages of a conversation."""
    talks, stored = data.named(5), bench.pick(1_000, 1_000, 30)
    with bench.field(_BRIEF_FIELD, dict.fromkeys(talks, stored)) as field:
        for name, contender in field.items():
            with contender.scope():
                whole = contender.contents(contender.whole(talks[2], stored))
            expected = [data.content(talks[2], at) for at in range(1, stored + 1)]
            check(whole == expected, f"{name} does not return the whole conversation in order")
        runners = {
            name: in_scope(contender, contender.whole, _some_of(talks, stored), bench.pick(20, 10, 2))
            for name, contender in field.items()
        }
        yield bench.race(Race("S3", f"{stored:,} messages"), runners)


def newest_conversations(bench: Bench) -> Iterator[Race]:
    """S8: the 50 conversations of the newest activity, with their counts."""
    talks = data.named(bench.pick(10_000, 10_000, 60))
    counts = {talk: 1 + place % 3 for place, talk in enumerate(talks)}
    expected = [(talk, counts[talk]) for talk in reversed(talks[-_LISTED:])]
    names = [name for name in _BRIEF_FIELD if name != contenders.AGENTS]  # it keeps no list
    with bench.field(names, counts) as field:
        for name, contender in field.items():
            with contender.scope():
                listed = contender.counts(contender.listing(_LISTED))
            check(listed == expected, f"{name} does not list the newest conversations with their counts")
        runners = {
            name: in_scope(contender, contender.listing, lambda count: [(_LISTED,)] * count, bench.pick(200, 100, 3))
            for name, contender in field.items()
        }
        yield bench.race(Race("S8", f"{_LISTED} newest of {len(talks):,}"), runners)
