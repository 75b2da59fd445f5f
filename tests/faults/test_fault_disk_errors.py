"""A disk that refuses a read, a write, a sync: one clear error, nothing acknowledged that is not there, no harm done.

The refusals are made in SQLite's own system layer (``sqlite_layer``), at the n-th step for growing n, once or from then
on. Here some n of each, in ``tests/stress`` every one.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from disk_errors import FAULTS, Disk, Fault
from fault_tools import assert_sound, wait_for
from test_fault_legacy_upgrades import FILES, Old
from upgrade_fixture import Ladder

from peewee_conv import Project
from peewee_conv.database.files import LOG_PAGES
from peewee_conv.errors import DatabaseFailure, DatabaseFull
from peewee_conv.schemas import assistant
from peewee_conv.transfer import export_conversations

State = dict[str, dict[int, str]]
Numbers = Callable[[], Iterator[int]]
LARGE = [f"large{number} {'x' * 3000}" for number in range(8)]

in_both_journals = pytest.mark.parametrize("journal", ["wal", "delete"])


def some() -> Iterator[int]:
    """Yield some of the numbers from 1, ever fewer."""
    number = 1
    while True:
        yield number
        number += 1 + number


def cases(disk: Disk, numbers: Numbers, *, each_way: bool) -> Iterator[tuple[int, Fault, bool]]:
    """Yield what to break: each fault, at each of the numbers until there is no such step any more; once, or for good.

    :param each_way: each of them once and for good, not in turns.
    """
    for place, fault in enumerate(FAULTS.values()):
        for stays in (False, True) if each_way else (place % 2 == 0,):
            for number in numbers():
                yield number, fault, stays
                if not disk.has_refused:
                    break


# --- what is done on the bad disk ---


class Operation(NamedTuple):
    """Something that is done with a project.

    :ivar expected: what the contents become by it, of those before.
    :ivar is_search: it needs messages that no search has seen.
    """

    act: Callable[[Project], Any]
    expected: Callable[[State], State]
    is_search: bool = False


def unchanged(state: State) -> State:
    return state


def with_added(*contents: str) -> Callable[[State], State]:
    def expected(state: State) -> State:
        talk = state["talk"]
        return {**state, "talk": talk | dict(enumerate(contents, max(talk) + 1))}

    return expected


def append(project: Project) -> None:
    project.conversations.add_message("talk", "user", "one")


def append_in_transaction(project: Project) -> None:
    with project.atomic():
        project.conversations.add_message("talk", "user", "small")
        project.conversations.add_message("talk", "user", LARGE[0])


def append_many(project: Project) -> None:
    project.conversations.add_messages("talk", [{"role": "user", "content": content} for content in LARGE])


def append_and_empty_the_log(project: Project) -> None:
    with project:
        assistant.database.execute_sql("PRAGMA wal_autocheckpoint = 1").close()
        try:
            append(project)
        finally:
            assistant.database.execute_sql(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}").close()


def append_anew(project: Project) -> None:
    """Close the file, which brings the log into it, and open it again."""
    project.dispose()
    again = Project(project.path, **project.settings._asdict())
    append(again)


def search(project: Project) -> None:
    assert project.conversations.search("word", conversation_id="talk")


def read_all(project: Project) -> None:
    assert project.conversations.context("talk", pin="system")
    assert project.health().counts
    assert project.check() == []


OPERATIONS = {
    "append": Operation(append, with_added("one")),
    "transaction": Operation(append_in_transaction, with_added("small", LARGE[0])),
    "bulk": Operation(append_many, with_added(*LARGE)),
    "checkpoint": Operation(append_and_empty_the_log, with_added("one")),
    "reopen": Operation(append_anew, with_added("one")),
    "prune": Operation(
        lambda project: project.conversations.prune("talk", 2),
        lambda state: {**state, "talk": dict(sorted(state["talk"].items())[-2:])},
    ),
    "delete": Operation(lambda project: project.conversations.delete("other"), lambda state: {"talk": state["talk"]}),
    "search": Operation(search, unchanged, is_search=True),
    "read": Operation(read_all, unchanged),
    "backup": Operation(lambda project: project.backup(project.path.parent / "copy.db", overwrite=True), unchanged),
    "export": Operation(
        lambda project: export_conversations(project, project.path.parent / "talks.jsonl", overwrite=True), unchanged
    ),
}


def prepare(project: Project, *, is_search: bool) -> None:
    """Have two conversations, of which the search index knows all or nothing."""
    conversations = project.conversations
    for id in ("talk", "other"):
        conversations.delete(id)
        conversations.create(id=id)
        conversations.add_messages(id, [{"role": "user", "content": f"word {'y' * 500}"}] * 4)
    if not is_search:
        conversations.search("word")


def state_of(project: Project) -> State:
    talks = project.conversations
    return {talk.id: {each.sequence: each.content for each in talks.iterate(talk.id)} for talk in talks.list()}


# --- refusals ---


def was_done(fault: Fault, work: Callable[..., Any], *args: Any) -> bool:
    """Return whether the work was done; else it has raised the error that belongs to the fault."""
    try:
        work(*args)
    except fault.error:
        return False
    return True


def refuse(disk: Disk, path: Path, name: str, journal: str, numbers: Numbers, *, each_way: bool = False) -> int:
    """Do an operation again and again, on a disk that refuses; return how often it did."""
    refusals = 0
    for number, fault, stays in cases(disk, numbers, each_way=each_way):
        # What has been read before is not read again: then everything begins anew.
        is_cold = fault.step in ("read", "open", "share")
        _refuse_one(disk, path, name, journal, (number, fault, stays), is_cold=is_cold)
        refusals += disk.has_refused
    assert_sound(Project(path, journal_mode=journal).database_path())
    return refusals


def _refuse_one(
    disk: Disk, path: Path, name: str, journal: str, case: tuple[int, Fault, bool], *, is_cold: bool
) -> None:
    operation, (number, fault, stays) = OPERATIONS[name], case
    project = Project(path, journal_mode=journal, busy_timeout_ms=500)
    prepare(project, is_search=operation.is_search)
    before = state_of(project)
    after = operation.expected(before)
    if is_cold:
        project.dispose()
        project = Project(path, journal_mode=journal, busy_timeout_ms=500)
    disk.break_at(number, fault, stays=stays)
    is_done = was_done(fault, operation.act, project)
    project = Project(path, journal_mode=journal, busy_timeout_ms=500)  # the same, unless it was closed
    if stays and journal == "wal" and fault.step in ("write", "sync"):
        assert state_of(project) in (before, after), "reads go on"
    disk.mend()

    assert state_of(project) in ((after,) if is_done else (before, after))
    last = max(state_of(project)["talk"])
    assert project.conversations.add_message("talk", "user", "after").sequence == last + 1
    assert project.check() == []
    for copy in path.parent.glob("copy.db"):
        assert_sound(copy)


@in_both_journals
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_disk_that_refuses_gives_one_clear_error_and_loses_nothing(
    tmp_path: Path, disk: Disk, name: str, journal: str
) -> None:
    assert refuse(disk, tmp_path / "project", name, journal, some) >= 5


# --- callers that share a commit ---


def append_together(project: Project, count: int) -> list[Any]:
    """Have so many threads append in one commit; return the sequence or the error that each got."""
    outcomes: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            outcomes[number] = project.conversations.add_message("talk", "user", f"thread {number}").sequence
        except DatabaseFailure as error:
            outcomes[number] = error

    writer, turn = project._binding.database(assistant).writer, object()
    writer.acquire(turn)
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(writer._queue) == count)
    writer.release(turn)
    for thread in threads:
        thread.join()
    return outcomes


def share_commits(disk: Disk, path: Path, journal: str, numbers: Numbers, *, each_way: bool = False) -> int:
    """Have six callers share each commit on a disk that refuses; return how often all of them failed."""
    project = Project(path, journal_mode=journal, busy_timeout_ms=500)
    project.conversations.create(id="talk")
    known = failures = 0
    for number, fault, stays in cases(disk, numbers, each_way=each_way):
        disk.break_at(number, fault, stays=stays)
        outcomes = append_together(project, 6)
        disk.mend()
        stored = [message.sequence for message in project.conversations.messages("talk", after=known)]
        acknowledged = sorted(outcome for outcome in outcomes if type(outcome) is int)
        errors = [outcome for outcome in outcomes if type(outcome) is not int]
        # What one alone has caused, it has alone; else it is all or none.
        assert stored == acknowledged or (not acknowledged and len(stored) == 6)
        assert all(type(error) is fault.error for error in errors)
        assert len(set(map(id, errors))) == len(errors), "each caller has an error of its own"
        failures += not acknowledged
        known += len(stored)
    assert project.check() == []
    return failures


@in_both_journals
def test_callers_of_a_commit_that_fails_are_told_so_each(tmp_path: Path, disk: Disk, journal: str) -> None:
    assert share_commits(disk, tmp_path / "project", journal, some) >= 5


# --- files that are made or upgraded ---


def refuse_making(disk: Disk, path: Path, journal: str, numbers: Numbers, *, each_way: bool = False) -> None:
    """Make a project on a disk that refuses: afterwards there is none, or a whole one."""
    for number, fault, stays in cases(disk, numbers, each_way=each_way):
        shutil.rmtree(path, ignore_errors=True)
        disk.break_at(number, fault, stays=stays)
        is_made = was_done(fault, make, path, journal)
        disk.mend()
        project = Project(path, journal_mode=journal)
        assert [talk.id for talk in project.conversations.list()] in ([["made"]] if is_made else [["made"], []])
        assert project.check() == []
        assert not list(path.rglob("*.new-*"))
        project.dispose()


def make(path: Path, journal: str) -> None:
    project = Project(path, journal_mode=journal)
    try:
        project.conversations.create(id="made")
    finally:
        project.dispose()


def refuse_upgrading(disk: Disk, ladder: Ladder, path: Path, numbers: Numbers, *, each_way: bool = False) -> None:
    """Upgrade a file on a disk that refuses: afterwards it is old or new, and the next open finishes."""
    for number, fault, stays in cases(disk, numbers, each_way=each_way):
        ladder.make_old(path)
        disk.break_at(number, fault, stays=stays)
        is_done = was_done(fault, open_at_head, ladder, path)
        disk.mend()
        assert ladder.version(path) in ((4,) if is_done else (1, 4))
        assert ladder.count_at_head(path) == ladder.counts
        ladder.assert_new(path)


def open_at_head(ladder: Ladder, path: Path) -> None:
    project = Project(path, journal_mode=ladder.journal)
    try:
        with project:
            ladder.new.database.connection()
    finally:
        project.dispose()


def refuse_converting(disk: Disk, old: Old, numbers: Numbers, *, each_way: bool = False) -> None:
    """Upgrade the file of an older application in the same way."""
    for number, fault, stays in cases(disk, numbers, each_way=each_way):
        old.reset()
        disk.break_at(number, fault, stays=stays)
        is_done = was_done(fault, old.open)
        disk.mend()
        Project(old.root).dispose()
        assert old.is_new() or not is_done
        old.open()
        old.assert_upgraded_once()


@in_both_journals
def test_a_project_that_is_made_on_such_a_disk_is_whole_or_absent(tmp_path: Path, disk: Disk, journal: str) -> None:
    refuse_making(disk, tmp_path / "project", journal, some)


@in_both_journals
def test_an_upgrade_on_such_a_disk_is_whole_or_absent(tmp_path: Path, disk: Disk, journal: str) -> None:
    refuse_upgrading(disk, Ladder(tmp_path, journal), tmp_path / "project", some)


@pytest.mark.parametrize("name", FILES)
def test_an_upgrade_of_an_older_application_on_such_a_disk_is_whole_or_absent(
    tmp_path: Path, disk: Disk, name: str
) -> None:
    refuse_converting(disk, Old(tmp_path, name, "delete"), some)


def test_a_full_disk_under_a_script_is_no_failure_of_the_script(tmp_path: Path, disk: Disk) -> None:
    ladder = Ladder(tmp_path, "delete")
    ladder.make_old(tmp_path / "project")
    disk.break_at(1, FAULTS["a write: no space"], stays=True)

    with pytest.raises(DatabaseFull, match="database or disk is full"):
        open_at_head(ladder, tmp_path / "project")

    disk.mend()
    assert ladder.version(tmp_path / "project") == 1
