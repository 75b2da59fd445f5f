"""S10: prune a long conversation to its newest hundred messages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import cast

from .. import contenders, data
from ..bench import Bench
from ..contenders.ours import InScope
from ..contenders.reference import Reference
from ..measure import Race, Runner, Slice, check, timed

_TALK = "talk-00001"


def to_a_hundred(bench: Bench) -> Iterator[Race]:
    """S10: a conversation that was never searched, and one that is indexed as a whole."""
    stored, keep = bench.pick(100_000, 20_000, 60), bench.pick(100, 100, 10)
    with bench.space() as folder:
        template = data.template(os.path.join(folder, "template"), {_TALK: stored})
        for case in ("never searched", "fully indexed"):
            reference = contenders.REFERENCE if case == "never searched" else contenders.INDEX_BY_TRIGGER
            if case == "fully indexed":
                data.index(template)
            runners = {
                name: _prunes(name, os.path.join(folder, str(place)), template, stored, keep)
                for place, name in enumerate((reference, contenders.IN_SCOPE))
            }
            race = Race("S10", f"{stored:,} to {keep}, {case}", unit="ms", reference=reference)
            yield bench.race(race, runners, bench.pick(2, 2, 1))


def _prunes(name: str, folder: str, template: str, stored: int, keep: int) -> Runner:
    """Return a runner that prunes a fresh copy once."""
    prepared = _prepared(name, folder, template)

    def run() -> Slice:
        contender = cast("Reference | InScope", contenders.of(name)(os.path.join(folder, "used"), "normal"))
        shutil.copytree(prepared, contender.folder)
        contender.attach()
        with contender.scope():
            contender.newest(_TALK, 1)
            piece = timed(contender.prune, [(_TALK, keep)])
            left = contender.contents(contender.newest(_TALK, stored))
        contender.close()
        shutil.rmtree(contender.folder)
        expected = [data.content(_TALK, at) for at in range(stored - keep + 1, stored + 1)]
        check(left == expected, f"{name} does not keep the newest {keep} messages")
        return piece

    return run


def _prepared(name: str, folder: str, template: str) -> str:
    """Load the contender's file once; return the folder to copy it from."""
    contender = contenders.of(name)(os.path.join(folder, "prepared"), "normal")
    contender.load(template)
    contender.close()
    return contender.folder
