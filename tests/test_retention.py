"""What a project may forget: the oldest go, the newest stay."""

from __future__ import annotations

from typing import Any

import pytest
from account_tools import Clock, profile
from retention_tools import contents, ids, talk
from retention_tools import project as project
from retention_tools import talks as talks

from peewee_conv import Project
from peewee_conv.errors import InvalidArgument, ProjectInUse
from peewee_conv.retention import Retention, vacuum
from peewee_conv.schemas import features

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
