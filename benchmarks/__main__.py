"""The command: ``python -m benchmarks [names] [--rounds N] [--quick]``.

A run of all workloads in full size writes its page and its figure to ``docs/``; any other only prints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from . import contenders, plot, report
from .bench import Bench
from .measure import Race
from .workloads import ALL

_DOCS = Path(__file__).parent.parent / "docs"


def main() -> int:
    """Run the workloads that are asked for, print what came of them, and write it down if they were all."""
    options = _options()
    absent = [name for name in contenders.RIVALS if not contenders.is_installed(name)]
    if absent:
        print(f"not installed, left out: {', '.join(absent)} (pip install -r benchmarks/requirements.txt)\n")
    races = _run(options)
    print(f"{report.markdown(report.verdicts(races))}\n\n{report.machine()}")
    is_complete = not (options.names or options.quick or options.no_rivals or absent)
    if is_complete:
        (_DOCS / "benchmarks.md").write_text(report.page(races, options.rounds), encoding="utf-8")
        (_DOCS / "_static" / "benchmarks.svg").write_text(plot.svg(races), encoding="utf-8")
        print("\nwritten: docs/benchmarks.md, docs/_static/benchmarks.svg")
    return 0


def _run(options: argparse.Namespace) -> list[Race]:
    races: list[Race] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=options.folder) as folder:
        size = "quick" if options.quick else "full"
        bench = Bench(folder, size, options.rounds, rivals=not options.no_rivals)
        for name in options.names or ALL:
            for race in ALL[name](bench):
                races.append(race)
                print(f"{report.section(race)}\n", flush=True)
    return races


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"workloads: {', '.join(ALL)}; all, if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each race (default 5)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer slices: a look while working")
    parser.add_argument("--no-rivals", action="store_true", help="the reference and ours only")
    parser.add_argument("--folder", help="where the databases are made (default: the place for temporary files)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in ALL]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(ALL)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
