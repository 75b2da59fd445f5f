"""Hostile input made from a seed, and the one rule for what may come of it.

Everything here takes a ``random.Random``, so that a failure is repeated by its seed alone.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from peewee_conv.errors import PeeweeConvError

Maker = Callable[[Random], Any]
#: One target: called with a source of chance, it makes one execution and asserts what must hold after it.
Target = Callable[[Random], None]

SLOW = 1.0  # seconds of processor time that one execution may take
CHARACTERS = (
    "aZ09 _-.,:;!?'\"()[]{}*^+%\\/<>&#~|\0\t\n\r\x1b\x7f\x85é日😀\u0301\u200d\u202e\u2028\ufeff\uffff\ud800\udfff"
)
WORDS = (
    "",
    "..",
    "/",
    "a/../b",
    "%00",
    "NULL",
    "null",
    "None",
    "nan",
    "-1",
    "1e400",
    "9" * 30,
    "'); DROP TABLE messages; --",
    '" OR ""="',
    "NEAR(a b, 9)",
    "content: x",
    "{0}",
    "%s",
    "<!-- message {} -->",
    "<script>",
    '{"a": 1}',
    "2026-01-02T03:04:05.678901Z",
    "0000-00-00",
    "user",
    "c1",
    "u1",
    "a1",
    "market outlook",
)


class Boom(Exception):
    """Raised by what a caller gave to be iterated over or called: the caller's own error, which comes out as it is."""


def _explode(*_: object, **__: object) -> Any:
    raise RuntimeError("somebody has touched it")


class Bomb:
    """An object of which nothing can be asked but its class."""

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __format__ = __len__ = _explode  # type: ignore[assignment]


class LoudText(str):
    """A text of another class, which shows itself in another way."""

    __slots__ = ()

    def __str__(self) -> str:
        return "loud"


class Role(enum.StrEnum):
    USER = "user"


class Small(enum.IntEnum):
    ONE = 1


class BadMapping(Mapping[str, Any]):
    """Says that it has keys and gives none of them."""

    def __getitem__(self, key: str) -> Any:
        raise Boom

    def __iter__(self) -> Iterator[str]:
        return iter(("role", "content"))

    def __len__(self) -> int:
        return 2


class OddZone(tzinfo):
    """A time zone that answers what none should."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def utcoffset(self, moment: datetime | None) -> Any:
        if self.answer is ValueError:
            raise ValueError("no")
        return self.answer


def _exploding() -> Iterator[Any]:
    yield "a"
    raise Boom


def _deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def _circle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = value
    return value


def text(chance: Random, most: int = 12) -> str:
    """Return a text of odd characters and odd words."""
    if chance.random() < 0.3:
        return chance.choice(WORDS)
    return "".join(chance.choices(CHARACTERS, k=chance.randrange(most + 1)))


def number(chance: Random) -> int:
    """Return a whole number at or near a border."""
    base = chance.choice((0, 1, 5, 2**15, 2**31, 2**32, 2**53, 2**63, 2**64, 10**400, 10**5000))
    return chance.choice((1, -1)) * base + chance.randrange(-2, 3)


def printable_number(chance: Random) -> int:
    """Return a whole number that Python writes as text: one of thousands of digits it does not."""
    found = number(chance)
    return found if abs(found) < 10**1000 else 7


ZONES: tuple[tzinfo | None, ...] = (
    None,
    UTC,
    timezone(timedelta(hours=23, minutes=59)),
    timezone(-timedelta(hours=23, minutes=59, seconds=59, microseconds=999999)),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("Australia/Lord_Howe"),
    OddZone(None),
    OddZone("x"),
    OddZone(timedelta(days=2)),
    OddZone(ValueError),
    tzinfo(),
)


def moment(chance: Random) -> datetime:
    """Return a time: naive or aware, at the ends of the calendar, in folds and gaps, in odd zones."""
    day = chance.choice(((1, 1, 1), (9999, 12, 31), (2026, 3, 29), (2026, 10, 25), (1970, 1, 1), (2026, 4, 5)))
    clock = chance.choice(((0, 0), (2, 30), (23, 59, 59, 999999), (1, 45)))
    return datetime(*day, *clock, tzinfo=chance.choice(ZONES), fold=chance.randrange(2))


def json_value(chance: Random, depth: int = 3) -> Any:
    """Return what a careless caller takes for JSON."""
    kind = chance.randrange(9 if depth else 6)
    if kind < 6:
        words = text(chance), text(chance)
        return (None, chance.random() < 0.5, printable_number(chance), chance.random(), *words)[kind]
    if kind == 6:
        return [json_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {text(chance): json_value(chance, depth - 1) for _ in range(chance.randrange(4))}


_FIXED: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: True,
    lambda: False,
    lambda: 0.0,
    lambda: -0.0,
    lambda: 1.0,
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: 1j,
    lambda: b"",
    lambda: b"bytes\xff",
    lambda: bytearray(b"x"),
    lambda: memoryview(b"x"),
    lambda: (),
    list,
    dict,
    lambda: set(),
    lambda: ["user"],
    lambda: [None],
    lambda: [[]],
    lambda: {"role": "user"},
    lambda: {1: 2},
    lambda: {"\ud800": "\udfff"},
    lambda: object(),
    lambda: object,
    lambda: print,
    lambda: Ellipsis,
    lambda: NotImplemented,
    Bomb,
    BadMapping,
    lambda: [Bomb()],
    lambda: {"a": Bomb()},
    lambda: Role.USER,
    lambda: Small.ONE,
    lambda: LoudText("user"),
    lambda: LoudText("c1"),
    lambda: LoudText("\ud800"),
    _exploding,
    lambda: iter(()),
    lambda: range(3),
    lambda: _deep(150),
    lambda: _deep(20_000),
    _circle,
    lambda: {"a": _deep(99)},
    lambda: "x" * 300,
    lambda: "x" * 1_500_000,
    lambda: Path("c1"),
    lambda: timedelta(1),
    lambda: datetime.min,  # noqa: DTZ901 - naive on purpose
    lambda: time.gmtime(0),
)


def odd(chance: Random) -> Any:
    """Return a value that an argument was not made for, or only just."""
    pick = chance.random()
    if pick < 0.45:
        return chance.choice(_FIXED)()
    if pick < 0.65:
        return text(chance)
    if pick < 0.8:
        return number(chance)
    return moment(chance) if pick < 0.9 else json_value(chance)


def damaged(chance: Random, data: bytes, most: int = 4) -> bytes:
    """Return *data* with a few bytes flipped, cut, doubled, moved or replaced."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, most + 1)):
        at, length = chance.randrange(len(changed) + 1), chance.choice((1, 1, 1, 2, 4, 16, 100))
        kind = chance.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at : at + length] = chance.randbytes(length)
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length]
        elif kind == 4:
            changed[at:at] = text(chance).encode("utf-8", "surrogatepass")
        else:
            del changed[at:]
    return bytes(changed)


# --- the rule -----------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What came of a call: a result, or an error that may come out."""

    result: Any
    error: Exception | None


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
    """Return what comes of a call. Any error that is not ours, and not the hostile object's own, goes through."""
    began = time.thread_time()
    try:
        found = Outcome(call(*args, **kwargs), None)
    except (PeeweeConvError, Boom) as error:
        found = Outcome(None, error)
    assert time.thread_time() - began < SLOW, "it took too long"
    return found


def run(target: Target, seed: int, times: int) -> int:
    """Make *times* executions from *seed*; a failure names the seed of its execution."""
    for execution in range(times):
        chance = Random(f"{seed}-{execution}")
        try:
            target(chance)
        except BaseException as error:
            error.add_note(f"seed {seed}, execution {execution}")
            raise
    return times
