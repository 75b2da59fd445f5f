"""S9: full-text search for a rare word, and what keeping the index costs an append."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import cast

from .. import contenders, data
from ..bench import Arguments, Bench, in_scope
from ..contenders import Contender
from ..contenders.ours import InScope
from ..contenders.reference import Reference
from ..measure import Race, Runner, Slice, check, timed

_STORED = 100
_LIMIT = 20
_APPENDING = (contenders.NO_INDEX, contenders.IN_SCOPE, contenders.REFERENCE, contenders.INDEX_BY_TRIGGER)


def rare_word(bench: Bench) -> Iterator[Race]:
    """S9: a word that a conversation of a thousand has twice; then appends to conversations that are indexed."""
    talks = data.named(bench.pick(1_000, 200, 4))
    with bench.space() as folder:
        template = data.template(os.path.join(folder, "template"), dict.fromkeys(talks, _STORED))
        data.index(template)
        yield _searching(bench, os.path.join(folder, "searching"), template, talks)
        for case in ("each in step with the index", "one conversation"):
            yield _appending(bench, os.path.join(folder, case[:3]), template, talks, case)


def _searching(bench: Bench, folder: str, template: str, talks: list[str]) -> Race:
    field = _field(folder, (contenders.REFERENCE, contenders.IN_SCOPE), template)
    source = random.Random(5)

    def words(count: int) -> Arguments:
        return [(data.needle(talk), _LIMIT) for talk in source.choices(talks, k=count)]

    runners = {}
    for name, contender in field.items():
        searching = cast("Reference | InScope", contender)
        _check_found(name, searching, talks[1])
        runners[name] = in_scope(contender, searching.search, words, bench.pick(100, 50, 3))
    race = bench.race(Race("S9", f"rare word in {len(talks) * _STORED:,} messages"), runners)
    _close(field)
    return race


def _check_found(name: str, contender: Reference | InScope, talk: str) -> None:
    with contender.scope():
        found = contender.search(data.needle(talk), _LIMIT)
    keys = [hit.message.id if hasattr(hit, "message") else hit[0] for hit in found]
    places = sorted(key & 0xFFFFFFFF for key in keys)
    expected = [at for at in range(1, _STORED + 1) if data.needle(talk) in data.content(talk, at)]
    check(places == expected, f"{name} found messages {places} of {talk} and not {expected}")


def _appending(bench: Bench, folder: str, template: str, talks: list[str], case: str) -> Race:
    """Append to conversations that are in step with the index, to a new one each time or to the same one."""
    field = _field(folder, _APPENDING, template)
    count = min(len(talks), bench.pick(100, 50, 3))
    wanders = case.startswith("each")
    indexing: list[float] = []
    runners = {name: _appends(contender, talks[:count], wanders, indexing) for name, contender in field.items()}
    race = bench.race(Race("S9", f"append, {case}", reference=contenders.NO_INDEX), runners)
    per_message = sum(indexing) / (len(indexing) * count) * 1e6
    race.notes.append(f"The next search indexes what was appended: {per_message:.0f} us for each message.")
    calls = len(indexing) * (1 if case.startswith("each") else count)
    _check_indexed(field[contenders.IN_SCOPE], talks[0], calls)
    _close(field)
    return race


def _appends(contender: Contender, talks: list[str], wanders: bool, indexing: list[float]) -> Runner:
    """Return a runner of appends; ours searches after each slice, so that the next one finds the index in step."""
    searches = type(contender) is InScope

    def run() -> Slice:
        chosen = talks if wanders else talks[:1] * len(talks)
        arguments = [(talk, "user", data.content(talk, 1)) for talk in chosen]
        with contender.scope():
            piece = timed(contender.append, arguments)
            if searches:
                indexing.append(timed(cast("InScope", contender).search, [("nowhere", 1)]).seconds)
        return piece

    return run


def _check_indexed(contender: Contender, talk: str, calls: int) -> None:
    """See that every copy of the message that was appended so often is found, and the first one."""
    found = cast("InScope", contender).search(f'"{talk} 1"', 1000)
    expected = min(1000, calls + 1)
    check(len(found) == expected, f"{len(found)} messages are found where {expected} were appended")


def _field(folder: str, names: tuple[str, ...], template: str) -> dict[str, Contender]:
    field = {}
    for place, name in enumerate(names):
        own = os.path.join(folder, str(place))
        os.makedirs(own)
        field[name] = contenders.of(name)(own, "normal")
        field[name].load(template)
    return field


def _close(field: dict[str, Contender]) -> None:
    for contender in field.values():
        contender.close()
