"""Eight processes that work on one queue: each feature is claimed once, and never before what it waits for passes."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fault_tools import PATIENT, in_child, race, rows

from peewee_conv import Project
from peewee_conv.errors import FeatureStateConflict, LimitReached
from peewee_conv.feature_transfer import import_features

PROCESSES, FEATURES = 8, 500
Log = list[tuple[str, int]]


def graph_of(seed: int) -> list[dict[str, Any]]:
    """Return features of which most wait for one to three earlier ones."""
    chance = random.Random(seed)
    return [
        {"name": f"feature {place}", "depends_on_indices": chance.sample(range(place), min(place, chance.randrange(4)))}
        for place in range(FEATURES)
    ]


def fill(root: Path, journal: str) -> dict[int, list[int]]:
    project = Project(root, journal_mode=journal)
    made = project.features.create_many(graph_of(seed=7))
    project.dispose()
    return {feature.id: feature.dependencies for feature in made}


def work_off(root: Path, journal: str) -> list[int]:
    """Claim and pass until every feature passes; return what this process claimed."""
    project = Project(root, journal_mode=journal, **PATIENT)
    claimed = []
    while True:
        feature = project.features.claim_next()
        if feature is not None:
            passing = {
                id for (id,) in rows(root / ".peewee_conv" / "features.db", "SELECT id FROM features WHERE passes")
            }
            assert passing.issuperset(feature.dependencies), f"{feature.id} was claimed too early"
            claimed.append(feature.id)
            project.features.mark_passing(feature.id)
        elif project.features.stats().passing == FEATURES:
            break
        else:
            time.sleep(0.005)
    project.dispose()
    return claimed


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_eight_processes_claim_each_of_500_features_once(tmp_path: Path, journal: str) -> None:
    graph = in_child(fill, tmp_path, journal)

    claimed = race(work_off, [(tmp_path, journal)] * PROCESSES)

    assert sorted(id for ids in claimed for id in ids) == sorted(graph)
    assert sum(map(bool, claimed)) > 1, "one process did it all: nothing raced"


def claim_all(root: Path, ids: list[int]) -> list[int]:
    """Try to claim every feature by its id, from four threads; return those that this process started."""
    project = Project(root, **PATIENT)

    def claim(id: int) -> int | None:
        return None if project.features.claim(id).already_claimed else id

    with ThreadPoolExecutor(4) as pool:
        started = [id for id in pool.map(claim, ids) if id is not None]
    project.dispose()
    return started


def test_of_all_who_claim_a_feature_by_its_id_one_starts_it(tmp_path: Path) -> None:
    def make() -> list[int]:
        return [feature.id for feature in Project(tmp_path).features.create_many([{"name": "x"}] * 50)]

    ids = in_child(make)

    started = race(claim_all, [(tmp_path, random.Random(turn).sample(ids, 50)) for turn in range(PROCESSES)])

    assert sorted(id for found in started for id in found) == ids


def edit(root: Path, seed: int) -> int:
    """Add dependencies at random; return how many were accepted."""
    chance, project, accepted = random.Random(seed), Project(root), 0
    for _ in range(60):
        try:
            project.features.add_dependency(chance.randrange(1, 13), chance.randrange(1, 13))
        except ValueError:
            continue
        accepted += 1
    project.dispose()
    return accepted


def test_dependencies_added_by_many_processes_make_no_cycle(tmp_path: Path) -> None:
    in_child(lambda: len(Project(tmp_path).features.create_many([{"name": "x"}] * 12)))

    accepted = race(edit, [(tmp_path, seed) for seed in range(PROCESSES)])

    def graph() -> list[tuple[int, list[int]]]:
        return [(feature.id, feature.dependencies) for feature in Project(tmp_path).features.all()]

    open_ids = dict(in_child(graph))
    assert sum(accepted) == sum(map(len, open_ids.values()))
    while open_ids:
        free = [id for id, needed in open_ids.items() if not open_ids.keys() & set(needed)]
        assert free, f"a cycle among {open_ids}"
        for id in free:
            del open_ids[id]


def import_here(root: Path) -> str:
    project = Project(root)
    outcome = import_features(project).outcome
    project.dispose()
    return outcome


def test_of_all_who_import_the_feature_list_at_once_one_does(tmp_path: Path) -> None:
    for turn in range(5):
        root = tmp_path / str(turn)
        root.mkdir()
        (root / "feature_list.json").write_text('[{"name": "a"}, {"name": "b"}]')

        outcomes = race(import_here, [(root,)] * PROCESSES)

        assert outcomes.count("imported") == 1
        assert set(outcomes) <= {"imported", "not empty", "no file"}
        assert rows(root / ".peewee_conv" / "features.db", "SELECT count(*) FROM features") == [(2,)]
        assert len(list(root.glob("feature_list.json.backup.*"))) == 1


def resolve(root: Path, number: int) -> str:
    project = Project(root)
    try:
        project.features.resolve_human_input(1, {"port": str(number)})
    except FeatureStateConflict:
        return "too late"
    finally:
        project.dispose()
    return "done"


def test_of_all_who_answer_one_question_one_does(tmp_path: Path) -> None:
    def ask() -> None:
        queue = Project(tmp_path).features
        queue.claim(queue.create("Serve").id)
        queue.request_human_input(1, "Which port?", [{"id": "port", "label": "Port", "type": "text"}])

    in_child(ask)

    outcomes = race(resolve, [(tmp_path, number) for number in range(PROCESSES)])

    assert sorted(outcomes) == ["done"] + ["too late"] * (PROCESSES - 1)


def create_schedules(root: Path) -> int:
    project, made = Project(root), 0
    for _ in range(10):
        try:
            project.schedules.create("09:00", 60)
        except LimitReached:
            break
        made += 1
    project.dispose()
    return made


def test_eight_processes_cannot_overrun_the_limit_of_schedules(tmp_path: Path) -> None:
    assert sum(race(create_schedules, [(tmp_path,)] * PROCESSES)) == 50
