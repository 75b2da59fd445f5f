"""S11: what a call costs does not depend on the length of the conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .. import data
from ..bench import Bench, in_scope
from ..contenders.ours import InScope
from ..measure import Race, Runner, Slice, check, timed

_TALK = "talk-00001"
_PRUNED = 100
_OTHERS = 99

Make = Callable[["Long", int], Runner]


class Long(InScope):
    """Ours with a conversation of a known length."""

    stored = 0

    def by_tokens(self) -> object:
        """Return the newest messages of 4,000 tokens."""
        return self.project.conversations.context(_TALK, max_messages=None, max_tokens=4000)

    def next(self, count: int) -> Sequence[tuple[str, str, str]]:
        """Return the next messages."""
        first = self.stored + 1
        self.stored += count
        return [(_TALK, role, content) for role, content in data.messages(_TALK, first, count)]


def every_length(bench: Bench) -> Iterator[Race]:
    """S11: appends, reads, lists and prunes in a long conversation, next to a short one."""
    lengths = (bench.pick(1_000, 1_000, 150), bench.pick(1_000_000, 100_000, 300))
    names = [f"{length:,} messages" for length in lengths]
    with bench.space() as folder:
        longs = {name: _long(f"{folder}/{length}", length) for name, length in zip(names, lengths, strict=True)}
        for case, make in _CASES.items():
            runners = {name: make(long, bench.pick(100, 50, 3)) for name, long in longs.items()}
            race = Race("S11", case, reference=names[0], unit="us")
            yield bench.race(race, runners, 4 if case == _PRUNE else None)
        for name, long in longs.items():
            _check(name, long)
            long.close()


def _long(folder: str, length: int) -> Long:
    counts = {_TALK: length, **dict.fromkeys(data.named(_OTHERS + 1)[1:], 10)}
    data.template(folder, counts)
    long = Long(folder, "normal")
    long.stored = length
    long.attach()
    return long


def _check(name: str, long: Long) -> None:
    with long.scope():
        newest = long.contents(long.newest(_TALK, 20))
    expected = [data.content(_TALK, at) for at in range(long.stored - 19, long.stored + 1)]
    check(newest == expected, f"{name}: the newest messages are not the last that were appended")


def _appending(long: Long, count: int) -> Runner:
    return in_scope(long, long.append, long.next, count)


def _reading(long: Long, count: int) -> Runner:
    return in_scope(long, long.newest, lambda calls: [(_TALK, 20)] * calls, count)


def _listing(long: Long, count: int) -> Runner:
    return in_scope(long, long.listing, lambda calls: [(50,)] * calls, count)


def _counting(long: Long, count: int) -> Runner:
    return in_scope(long, long.by_tokens, lambda calls: [()] * calls, count)


def _pruning(long: Long, count: int) -> Runner:
    """Append a hundred messages, which is not timed, and prune as many."""
    with long.scope():
        keep = long.project.conversations.get(_TALK).message_count

    def run() -> Slice:
        latencies: list[float] = []
        with long.scope():
            for _ in range(max(2, count // 10)):
                long.append_many(_TALK, [message[1:] for message in long.next(_PRUNED)])
                latencies += timed(long.prune, [(_TALK, keep)]).latencies
        return Slice(latencies, sum(latencies))

    return run


_PRUNE = "prune of 100"
_CASES: dict[str, Make] = {
    "append": _appending,
    "last 20": _reading,
    "50 newest conversations": _listing,
    "context of 4,000 tokens": _counting,
    _PRUNE: _pruning,
}
