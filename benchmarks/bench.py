"""One run of the benchmarks: where it keeps its files, how large it is, who takes part."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import contenders, data
from .contenders import Contender
from .measure import Race, Runner, Slice, timed

Arguments = Sequence[tuple[Any, ...]]
SIZES = ("full", "quick", "tiny")


class Bench:
    """What the workloads get.

    :param folder: where the databases are made; its file system is what is measured.
    :param size: ``"full"``, ``"quick"`` (a look while working) or ``"tiny"`` (do the workloads work at all).
    :param rounds: how many rounds each race has.
    :param rivals: whether others than the reference and ours take part.
    """

    def __init__(self, folder: str, size: str = "full", rounds: int = 5, *, rivals: bool = True) -> None:
        self.folder, self.size, self.rounds, self.rivals = folder, size, rounds, rivals

    def pick(self, full: int, quick: int, tiny: int) -> int:
        """Return the number that belongs to the size of this run."""
        return (full, quick, tiny)[SIZES.index(self.size)]

    @contextmanager
    def space(self) -> Iterator[str]:
        """Give a folder that is removed afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield folder

    @contextmanager
    def field(
        self, names: Sequence[str], counts: dict[str, int], durability: str = "normal"
    ) -> Iterator[dict[str, Contender]]:
        """Give the contenders of that name, each with its own copy of the same conversations."""
        with self.space() as folder:
            template = data.template(os.path.join(folder, "template"), counts)
            field: dict[str, Contender] = {}
            try:
                for name in self.present(names):
                    place = os.path.join(folder, str(len(field)))
                    os.mkdir(place)
                    field[name] = contenders.of(name)(place, durability)
                    field[name].load(template)
                yield field
            finally:
                for contender in field.values():
                    contender.close()

    def present(self, names: Sequence[str]) -> list[str]:
        """Return those of *names* that take part in this run."""
        wanted = [name for name in names if self.rivals or name not in contenders.RIVALS]
        return [name for name in wanted if contenders.is_installed(name)]

    def race(self, race: Race, runners: dict[str, Runner], slices: int | None = None) -> Race:
        """Run a race of so many slices in each round."""
        return race.run(runners, self.rounds, self.pick(20, 8, 2) if slices is None else slices)


def in_scope(
    contender: Contender, operation: Callable[..., object], arguments: Callable[[int], Arguments], count: int
) -> Runner:
    """Return a runner whose slices call *operation* some times, in one scope of the contender.

    :param arguments: makes the arguments of so many calls; not timed.
    :param count: calls of the reference; slow contenders make fewer.
    """
    own = max(1, round(count * contender.weight))

    def run() -> Slice:
        prepared = arguments(own)
        with contender.scope():
            return timed(operation, prepared)

    return run
