"""The benchmarks do the work that they time: every workload runs with tiny sizes and checks its answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peewee_conv.database.cache import cache, set_connection_limit

# Last: what is tested is the installed package, where there is one; the benchmarks are only in the checkout.
sys.path.append(str(Path(__file__).parent.parent))

from benchmarks import bars, measure, obstacles, plot, report
from benchmarks.bench import Bench
from benchmarks.measure import Race, Slice, Spread, WrongAnswer
from benchmarks.workloads import ALL, append


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Bench]:
    limit = cache.limit
    yield Bench(str(tmp_path), "tiny", 1, rivals=False)
    set_connection_limit(limit)


def race_of(ours: list[float], theirs: list[float], **kwargs: Any) -> Race:
    race = Race("S1", "normal", **kwargs)
    race.add_round({"reference": [Slice(theirs, sum(theirs))], "ours, in a scope": [Slice(ours, sum(ours))]})
    return race


@pytest.mark.parametrize("name", ALL)
def test_a_workload_checks_its_answers_and_is_reported(tiny: Bench, name: str) -> None:
    races = list(ALL[name](tiny))

    assert {race.workload for race in races} == {name}
    assert all(report.section(race) for race in races)
    assert len(report.verdicts(races)) > 1


def test_a_lost_message_is_noticed(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    one_too_many: Callable[..., Any] = lambda conversation, first, count: [("user", "lost")] * count  # noqa: E731
    monkeypatch.setattr(append.data, "messages", one_too_many)

    with pytest.raises(WrongAnswer, match="lost, doubled or moved"):
        list(ALL["S1"](tiny))


def test_a_ratio_compares_slices_of_the_same_turn() -> None:
    race = race_of([2.0, 2.0, 9.0], [1.0, 1.0, 1.0])
    race.add_round({"reference": [Slice([10.0], 10.0)], "ours, in a scope": [Slice([20.0], 20.0)]})

    assert race.ratio("ours, in a scope", "p50") == Spread(2.0, 2.0, 2.0)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert measure.percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0


@pytest.mark.parametrize(("ours", "verdict"), [(1.1, "met"), (1.2, "MISSED")])
def test_a_promise_is_met_or_missed(ours: float, verdict: str) -> None:
    assert report.verdicts([race_of([ours], [1.0])])[1][-1] == verdict


def test_every_promise_is_of_a_workload() -> None:
    assert {bar.workload for bar in bars.BARS} == set(ALL)


def test_the_figure_has_a_dot_for_each_contender_but_the_reference() -> None:
    assert plot.svg([race_of([2.0], [1.0])]).count("<title>ours, in a scope: 2.00</title>") == 1


def test_what_is_added_and_the_worst_are_told_in_the_unit_of_the_race() -> None:
    race = race_of([0.003, 0.005], [0.001, 0.001], unit="ms")
    name = race.names[-1]

    assert bars.Bar("S1", name, "added", at_most=3).measured(race).median == pytest.approx(3.0)
    assert bars.Bar("S1", name, "worst", at_most=5).measured(race).median == pytest.approx(5.0)


def test_what_stands_in_the_way_of_missed_promises_is_told_once() -> None:
    text = obstacles.explained([("S5", "rate"), ("S5", "p99"), ("S1", "p50")])

    assert text.startswith("**S5, rate.**")
    assert text.count("**") == 2
