"""The full counts of crashes and races, and death at every system call that changes a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from fault_tools import assert_sound, in_child
from test_fault_contention import contend
from test_fault_killed_upgrades import kill_upgrades_at_random
from test_fault_killed_writers import append_one, kill_writers, prepare
from test_fault_racing_opens import race_round
from upgrade_fixture import Ladder

CALLS = ("pwrite64", "fdatasync", "fsync", "unlink", "ftruncate")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("journal", "kills"), [("wal", 200), ("delete", 100)])
def test_every_acknowledged_message_survives_hundreds_of_kills(tmp_path: Path, journal: str, kills: int) -> None:
    assert kill_writers(tmp_path, journal, kills) >= kills // 2


@pytest.mark.timeout(900)
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_hundreds_of_killed_upgrades_are_whole_or_absent(tmp_path: Path, journal: str) -> None:
    assert kill_upgrades_at_random(tmp_path, journal, 300) > 10


@pytest.mark.timeout(900)
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_20000_appends_of_16_threads_in_4_processes(tmp_path: Path, journal: str) -> None:
    contend(tmp_path / "project", journal, 1250)


@pytest.mark.timeout(900)
def test_eight_processes_open_fifty_new_projects_a_hundred_times(tmp_path: Path) -> None:
    for number in range(100):
        race_round(tmp_path / str(number), 8, 50)
        shutil.rmtree(tmp_path / str(number))


# --- death at the n-th system call --------------------------------------------------------------------------------

APPEND = """
import sys
from peewee_conv import Project

project = Project(sys.argv[1], journal_mode=sys.argv[2])
for number in range(3):
    print(project.conversations.add_message("shared", "user", f"word{number}").sequence, flush=True)
project.conversations.search("word1")
project.conversations.prune("shared", 2)
project.dispose()
"""

UPGRADE = """
import sys
from peewee_conv import Project, Schema

deck = Schema("deck", migrations=sys.argv[3])
project = Project(sys.argv[1], journal_mode=sys.argv[2])
with project:
    deck.database.execute_sql("SELECT 1")
project.dispose()
"""


def killed_at_call(call: str, number: int, program: str, *args: object) -> tuple[bool, str]:
    """Run *program*, killed at its n-th system call of that name; return whether it came so far, and its output."""
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    inject = ["-e", f"inject={call}:signal=SIGKILL:when={number}"]
    done = subprocess.run(
        [*strace, *inject, sys.executable, "-c", program, *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, -9, 137), done.stderr
    return done.returncode != 0, done.stdout


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
at_every_call = pytest.mark.parametrize("call", CALLS)
in_both_journals = pytest.mark.parametrize("journal", ["wal", "delete"])


@needs_strace
@pytest.mark.timeout(900)
@at_every_call
@in_both_journals
def test_writes_killed_at_any_system_call_keep_what_was_acknowledged(tmp_path: Path, journal: str, call: str) -> None:
    for number in count(1):
        path = tmp_path / str(number)
        prepare(path, journal)
        was_killed, output = killed_at_call(call, number, APPEND, path, journal)

        acknowledged = len(output.split())
        stored = in_child(append_one, path, journal) - 1
        assert acknowledged <= stored <= min(acknowledged + 1, 3)
        assert_sound(path / ".peewee_conv" / "assistant.db")
        if not was_killed:
            return


@needs_strace
@pytest.mark.timeout(900)
@at_every_call
@in_both_journals
def test_an_upgrade_killed_at_any_system_call_is_whole_or_absent(tmp_path: Path, journal: str, call: str) -> None:
    ladder = Ladder(tmp_path, journal)
    path = tmp_path / "project"
    for number in count(1):
        ladder.make_old(path)
        was_killed, _ = killed_at_call(call, number, UPGRADE, path, journal, tmp_path / "new-scripts")

        assert ladder.version(path) in (1, 4)
        assert in_child(ladder.count_at_head, path) == ladder.counts
        ladder.assert_new(path)
        if not was_killed:
            return
