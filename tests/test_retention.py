"""What a project may forget: the oldest go, the newest stay, and a dry run tells exactly what would happen."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from account_tools import Clock, profile
from cli_tools import Run, make_run
from hypothesis import given, settings
from hypothesis import strategies as st

from peewee_conv import Project, retention
from peewee_conv.cli.retain import byte_size
from peewee_conv.clock import to_text
from peewee_conv.errors import InvalidArgument, ProjectInUse
from peewee_conv.models import Message
from peewee_conv.retention import Retention, vacuum
from peewee_conv.schemas import features

MakeProject = Callable[..., Project]


def talk(project: Project, id: str, messages: int = 3, size: int = 10, **given: Any) -> str:
    """Store a conversation; each is a little younger than the one before if the clock moves."""
    project.conversations.create(id=id, **given)
    new = [{"role": "user", "content": f"{id} {number} ".ljust(size, "x")} for number in range(messages)]
    project.conversations.add_messages(id, new)
    return id


def ids(project: Project) -> list[str]:
    """Return the ids of the conversations that are left, the newest activity first."""
    return [found.id for found in project.conversations.list(limit=1000)]


def contents(project: Project, id: str) -> list[int]:
    return [int(message.content.split()[1]) for message in project.conversations.messages(id, limit=10_000)]


@pytest.fixture
def project(make_project: MakeProject, clock: Clock) -> Project:
    return make_project(now=clock)


@pytest.fixture
def talks(project: Project, clock: Clock) -> list[str]:
    """Four conversations, one each day, the newest first."""
    for number in range(4):
        talk(project, f"t{number}", messages=number + 1)
        clock.advance(days=1)
    return ids(project)


# --- the rules ---


@pytest.mark.usefixtures("talks")
def test_prune_keeps_the_newest_messages_of_each(project: Project) -> None:
    done = project.retain(prune=2)

    assert (done.conversations_pruned, done.messages_pruned, done.conversations_deleted) == (2, 3, 0)
    assert [contents(project, id) for id in ("t0", "t1", "t2", "t3")] == [[0], [0, 1], [1, 2], [2, 3]]
    assert project.check() == []


@pytest.mark.usefixtures("talks")
def test_what_was_inactive_for_longer_goes(project: Project) -> None:
    done = project.retain(inactive_days=2)  # t0 is four days old, t2 two days

    assert (done.conversations_deleted, done.messages_deleted) == (2, 3)
    assert ids(project) == ["t3", "t2"]
    assert project.check() == []


@pytest.mark.usefixtures("talks")
def test_activity_counts_not_age(project: Project) -> None:
    project.conversations.add_message("t0", "user", "t0 1")

    project.retain(inactive_days=2)

    assert ids(project) == ["t0", "t3", "t2"]


@pytest.mark.usefixtures("talks")
def test_the_most_recently_active_conversations_stay(project: Project) -> None:
    project.conversations.add_message("t0", "user", "t0 1")

    done = project.retain(max_conversations=2)

    assert ids(project) == ["t0", "t3"]
    assert (done.conversations_deleted, done.messages_deleted) == (2, 5)


def test_days_before_the_first_year_delete_nothing(project: Project, talks: list[str]) -> None:
    assert project.retain(inactive_days=1_000_000).conversations_deleted == 0
    assert ids(project) == talks


def test_a_file_is_brought_below_a_size(project: Project, clock: Clock) -> None:
    for number in range(30):
        talk(project, f"t{number}", size=50_000)
        clock.advance(seconds=1)
    limit = 2_000_000

    done = project.retain(max_size_bytes=limit)
    project.dispose()

    assert done.bytes_before > limit >= done.bytes_after == project.database_path().stat().st_size
    assert done.bytes_after > limit - 400_000  # not more went than had to
    left = ids(again := Project(project.path))
    assert left == [f"t{number}" for number in range(29, 29 - len(left), -1)]
    assert again.check() == []
    again.dispose()


def test_a_file_that_is_small_enough_is_left_alone(project: Project, talks: list[str]) -> None:
    done = project.retain(max_size_bytes=10_000_000)

    assert done.bytes_after == done.bytes_before
    assert ids(project) == talks


@pytest.mark.usefixtures("talks")
def test_a_size_that_no_file_has_deletes_everything_and_ends(project: Project) -> None:
    done = project.retain(max_size_bytes=1)

    assert (done.conversations_deleted, done.bytes_after > 1) == (4, True)
    assert ids(project) == []


def test_free_space_alone_is_given_back_without_deleting(project: Project) -> None:
    talk(project, "keep")
    talk(project, "large", size=500_000)
    project.conversations.delete("large")

    done = project.retain(max_size_bytes=800_000)

    assert done.bytes_before > 800_000 >= done.bytes_after
    assert ids(project) == ["keep"]


def test_vacuum_gives_space_back(project: Project) -> None:
    talk(project, "large", size=500_000)
    project.conversations.delete("large")
    project.dispose()  # brings the log into the file
    assert project.database_path().stat().st_size > 1_500_000

    again = Project(project.path)
    done = again.retain(vacuum=True)

    assert done.bytes_before - done.bytes_after > 1_000_000
    assert done.bytes_after == project.database_path().stat().st_size
    again.dispose()


def test_vacuum_of_another_schema(project: Project) -> None:
    project.features.create("log in")

    vacuum(project, features)

    assert project.check(features) == []


def test_expired_sessions_and_overrides_are_purged(project: Project, clock: Clock) -> None:
    accounts, schedules = project.accounts, project.schedules
    entry = accounts.sign_in(profile("ada"), referral_key=accounts.create_key())
    schedules.add_override(schedules.create("00:00", 60).id, "start", expires_at=clock.advance(hours=1))
    clock.advance(days=8)
    fresh = accounts.create_session(entry.user_id)

    done = project.retain(purge=True)

    assert (done.sessions_purged, done.overrides_purged) == (1, 1)
    assert accounts.validate_session(fresh.token) is not None


@pytest.mark.usefixtures("talks")
def test_purge_makes_no_file_for_schedules(project: Project) -> None:
    project.retain(purge=True)

    assert not project.database_path(features).exists()


def test_filters_leave_other_conversations_alone(project: Project, clock: Clock) -> None:
    user = project.accounts.sign_in(profile("ada"), referral_key=project.accounts.create_key()).user_id
    for number in range(3):
        talk(project, f"own{number}", user_id=user)
        talk(project, f"filed{number}", project_name="aurora")
        talk(project, f"other{number}")
        clock.advance(days=1)

    project.retain(max_conversations=1, user_id=user)
    project.retain(inactive_days=1, project_name="aurora", prune=1)

    assert sorted(ids(project)) == ["filed2", "other0", "other1", "other2", "own2"]
    assert [len(contents(project, id)) for id in ("filed2", "other0", "own2")] == [1, 3, 3]


def test_a_deleted_conversation_leaves_the_search_index(project: Project, clock: Clock) -> None:
    talk(project, "old")
    clock.advance(days=5)
    talk(project, "new")
    assert len(project.conversations.search("xx OR old OR new")) == 6

    project.retain(inactive_days=3, prune=1)

    assert [hit.message.conversation_id for hit in project.conversations.search("old OR new")] == ["new"]
    assert project.check() == []


def test_a_project_without_a_file_stays_without(project: Project) -> None:
    assert project.retain(prune=1) == Retention(dry_run=False)
    assert project.retain(prune=1, dry_run=True) == Retention(dry_run=True)
    assert not project.path.exists()


# --- in steps ---


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the transactions in which messages went."""
    gone: list[int] = []
    plain = retention._Run._work_off_some

    def watched(self: Any, victims: Any, keep: Any) -> bool:
        before = self._done
        is_done = plain(self, victims, keep)
        gone.append(sum(self._done[1:5]) - sum(before[1:5]))
        return is_done

    monkeypatch.setattr(retention._Run, "_work_off_some", watched)
    return gone


def test_a_long_conversation_goes_in_several_transactions(project: Project, transactions: list[int]) -> None:
    talk(project, "long", messages=3500)

    done = project.retain(max_conversations=0)

    assert (done.conversations_deleted, done.messages_deleted) == (1, 3500)
    assert len(transactions) >= 4
    assert max(transactions) <= 1001


def test_a_long_conversation_is_pruned_in_several_transactions(project: Project, transactions: list[int]) -> None:
    talk(project, "long", messages=3500)

    done = project.retain(prune=100)

    assert (done.conversations_pruned, done.messages_pruned) == (1, 3400)
    assert contents(project, "long") == list(range(3400, 3500))
    assert max(transactions) <= 1001


def test_many_conversations_go_in_several_transactions(project: Project, transactions: list[int]) -> None:
    for number in range(150):
        project.conversations.create(id=str(number))

    assert project.retain(max_conversations=0).conversations_deleted == 150
    assert len(transactions) == 2


class Interrupted(BaseException):
    """Like Ctrl-C."""


def test_what_an_interrupted_run_has_done_is_kept(project: Project) -> None:
    talk(project, "long", messages=3500)

    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        project.retain(prune=100, on_progress=interrupt)

    assert contents(project, "long") == list(range(1000, 3500))
    assert project.check() == []
    assert project.retain(prune=100).messages_pruned == 2400


def test_others_write_meanwhile(project: Project) -> None:
    talk(project, "long", messages=5000)
    seen: list[int] = []

    def append(done: int, total: int) -> None:
        thread = threading.Thread(target=lambda: seen.append(talk_on(project)))
        thread.start()
        thread.join(10)

    project.retain(prune=0, on_progress=append)

    assert len(seen) >= 5
    assert seen == list(range(5001, 5001 + len(seen)))
    assert project.check() == []


def talk_on(project: Project) -> int:
    return project.conversations.add_message("long", "user", "long 0").sequence


def test_progress_counts_what_went(project: Project) -> None:
    talk(project, "long", messages=2500)
    seen: list[tuple[int, int]] = []

    project.retain(max_conversations=0, on_progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (2501, 0)
    assert seen == sorted(seen)


# --- what is refused ---


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({}, "invalid rules None: expected at least one of purge, inactive_days, max_conversations, prune"),
        ({"prune": None, "vacuum": False}, "invalid rules None: expected at least one of"),
        ({"user_id": "ada"}, "invalid rules None: expected at least one of"),
        ({"prune": -1}, "invalid prune -1: expected a whole number from 0"),
        ({"prune": 1.5}, "invalid prune 1.5"),
        ({"prune": True}, "invalid prune True"),
        ({"inactive_days": 0}, "invalid inactive_days 0: expected a whole number from 1"),
        ({"inactive_days": -90}, "invalid inactive_days -90"),
        ({"max_conversations": -1}, "invalid max_conversations -1"),
        ({"max_size_bytes": 0}, "invalid max_size_bytes 0"),
        ({"max_size_bytes": "500MB"}, "invalid max_size_bytes '500MB'"),
        ({"vacuum": 1}, "invalid vacuum 1: expected True or False"),
        ({"prune": 1, "user_id": ""}, "invalid user_id ''"),
        ({"prune": 1, "project_name": 5}, "invalid project_name 5"),
        ({"keep": 5}, "invalid rule 'keep': expected one of purge, inactive_days"),
    ],
)
def test_rules_that_are_none_are_refused_before_anything_goes(
    project: Project, talks: list[str], rules: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        project.retain(**rules)

    assert str(caught.value).startswith(text)
    assert ids(project) == talks


def test_a_run_is_no_part_of_a_transaction(project: Project, talks: list[str]) -> None:
    with pytest.raises(ProjectInUse, match="cannot be part of a transaction"), project.atomic():
        project.retain(prune=0)

    assert ids(project) == talks


def test_a_run_inside_a_scope_is_fine(project: Project) -> None:
    with project:
        talk(project, "one")
        project.retain(max_conversations=0, vacuum=True)

        assert ids(project) == []


# --- dry runs ---


def test_a_dry_run_changes_nothing_and_leaves_nothing(project: Project, talks: list[str]) -> None:
    before = sorted(os.listdir(project.database_path().parent))

    told = project.retain(max_conversations=1, prune=1, vacuum=True, dry_run=True)

    assert (told.dry_run, told.conversations_deleted, told.messages_pruned) == (True, 3, 3)
    assert ids(project) == talks
    assert sorted(os.listdir(project.database_path().parent)) == before


def test_a_dry_run_that_fails_leaves_no_copy(project: Project) -> None:
    talk(project, "long", messages=2000)

    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        project.retain(prune=0, dry_run=True, on_progress=interrupt)

    assert [name for name in os.listdir(project.database_path().parent) if "dry-run" in name] == []


def test_the_copy_of_a_dry_run_that_was_killed_is_deleted_by_the_next(project: Project) -> None:
    talk(project, "one")
    old, young = (Path(f"{project.database_path()}.dry-run-{name}") for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)

    project.retain(prune=1, dry_run=True)

    assert (old.exists(), young.exists()) == (False, True)


def test_the_copy_of_a_dry_run_goes_with_the_project(project: Project) -> None:
    talk(project, "one")
    Path(f"{project.database_path()}.dry-run-killed").mkdir()

    project.delete()

    assert list(project.path.iterdir()) == []


CONVERSATIONS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20_000), st.integers(0, 5)), max_size=8)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "prune": st.integers(0, 20),
        "inactive_days": st.integers(1, 12),
        "max_conversations": st.integers(0, 8),
        "max_size_bytes": st.integers(250_000, 1_500_000),
        "purge": st.booleans(),
        "vacuum": st.booleans(),
    },
).filter(lambda rules: any(value is not False for value in rules.values()))


@contextmanager
def aging_project() -> Iterator[tuple[Project, Callable[[int], None]]]:
    """Give a project and what lets days pass in it: Hypothesis does not renew fixtures between its examples."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)

    def pass_days(days: int) -> None:
        nonlocal moment
        moment += timedelta(days=days)

    with tempfile.TemporaryDirectory() as folder:
        project = Project(folder, now=lambda: to_text(moment), durability="normal")
        try:
            yield project, pass_days
        finally:
            project.dispose()


@settings(max_examples=25)
@given(CONVERSATIONS, RULES, st.booleans())
def test_a_dry_run_tells_what_a_run_does_and_the_newest_stay(
    made: list[tuple[int, int, int]], rules: dict[str, Any], is_indexed: bool
) -> None:
    with aging_project() as (project, pass_days):
        for number, (messages, size, days) in enumerate(made):
            pass_days(days)
            talk(project, f"t{number}", messages, min(size, 300_000 // max(messages, 1)))
        if is_indexed:
            project.conversations.search("t0")
        before = ids(project)
        lengths = {id: len(contents(project, id)) for id in before}

        told = project.retain(dry_run=True, **rules)
        done = project.retain(**rules)

        assert told._replace(dry_run=False) == done
        left = ids(project)
        assert left == before[: len(left)]
        assert done.conversations_deleted == len(before) - len(left)
        for id in left:
            keep = min(lengths[id], rules.get("prune", lengths[id]))
            assert contents(project, id) == list(range(lengths[id] - keep, lengths[id]))
        assert project.check() == []
        with project:
            assert Message.select().count() == sum(lengths.values()) - done.messages_deleted - done.messages_pruned


# --- the command ---


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("PEEWEE_CONV_PROJECT", raising=False)
    return make_run(capsys)


@pytest.fixture
def root(tmp_path: Path, make_project: MakeProject) -> Path:
    for name in ("aurora", "borealis"):
        project = make_project(f"root/{name}")
        talk(project, "one", messages=5)
        project.dispose()
    return tmp_path / "root"


def test_command_tells_what_it_did(run: Run, root: Path) -> None:
    told = run("retain", "--project", root / "aurora", "--prune", "2", "--dry-run")
    done = run("retain", "--project", root / "aurora", "--prune", "2")

    assert (told.status, done.status) == (0, 0)
    assert told.out.startswith("3 messages of 1 conversation would be pruned\n")
    assert done.out == told.out.replace("would be pruned", "pruned")


def test_command_answers_in_json(run: Run, root: Path) -> None:
    done = run("retain", "--project", root / "aurora", "--max-conversations", "0", "--json").json

    assert (done["conversations_deleted"], done["messages_deleted"], done["dry_run"]) == (1, 5, False)


def test_command_goes_through_all_projects_of_a_folder(run: Run, root: Path) -> None:
    (root / "aurora" / ".peewee_conv" / "assistant.db").write_bytes(b"no database" * 500)

    done = run("retain", "--root", root, "--prune", "2", "--json")

    assert done.status == 1
    aurora, borealis = done.json["projects"]
    assert aurora["error"].startswith("file is not a database")
    assert (borealis["error"], borealis["messages_pruned"]) == (None, 3)


def test_command_sums_up_a_folder(run: Run, root: Path) -> None:
    done = run("retain", "--root", root, "--prune", "2")

    assert done.status == 0
    assert done.out.startswith("aurora\n3 messages of 1 conversation pruned\n")
    assert done.out.endswith("2 projects, 0 failed\n")


def test_command_needs_a_rule(run: Run, root: Path) -> None:
    for where in (("--project", root / "aurora"), ("--root", root)):
        done = run("retain", *where)

        assert (done.status, done.out) == (2, "")
        assert "invalid rules None: expected at least one of purge" in done.err


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("1.5gb", 1_500_000_000), ("1000", 1000), ("2 kB", 2000), ("7b", 7)]
)
def test_sizes_are_read_in_their_units(text: str, size: int) -> None:
    assert byte_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-5MB", "5 apples", "1e9", "٣"])
def test_what_is_no_size_is_wrong_usage(run: Run, root: Path, text: str) -> None:
    done = run("retain", "--project", root / "aurora", f"--max-size={text}")

    assert done.status == 2
    assert "is no size such as 500MB" in done.err
