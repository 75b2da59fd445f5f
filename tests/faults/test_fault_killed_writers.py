"""``kill -9`` of processes that append: what was acknowledged is there, and nothing else is broken."""

from __future__ import annotations

import random
import threading
from itertools import count
from pathlib import Path

import pytest
from fault_crash import killed_after, killed_at_step
from fault_tools import assert_sound, in_child, rows

from peewee_conv import Project

KILLS = {"wal": 40, "delete": 20}
WRITERS = 3


def write_until_killed(path: Path, journal: str, acks: Path, turn: int) -> None:
    """Append from several threads, note each acknowledgement; search and prune beside them."""
    project = Project(path, journal_mode=journal)
    conversations = project.conversations

    def append(writer: int) -> None:
        for number in count():
            content = f"turn {turn} writer {writer} word{number}"
            message = conversations.add_message("shared", "user", content, token_count=1)
            with acks.open("a") as log:  # one write call, which the system keeps whatever becomes of the process
                log.write(f"{message.sequence}\t{content}\n")

    def search_and_prune() -> None:
        for number in count():
            conversations.search("word1", limit=1)
            conversations.add_messages("pruned", [{"role": "tool", "content": f"word{number}"}] * 5)
            conversations.prune("pruned", 7)

    threads = [threading.Thread(target=append, args=(writer,)) for writer in range(WRITERS)]
    threads.append(threading.Thread(target=search_and_prune))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def prepare(path: Path, journal: str) -> None:
    project = Project(path, journal_mode=journal)
    project.conversations.create(id="shared")
    project.conversations.create(id="pruned")
    project.dispose()


def append_one(path: Path, journal: str) -> int:
    project = Project(path, journal_mode=journal)
    sequence = project.conversations.add_message("shared", "user", "after the crash").sequence
    project.dispose()
    return sequence


def kill_writers(folder: Path, journal: str, kills: int) -> int:
    """Kill that many groups of writers at random moments, check after each; return how much was acknowledged."""
    path, database = folder / "project", folder / "project" / ".peewee_conv" / "assistant.db"
    prepare(path, journal)
    chance = random.Random(kills)
    known = acknowledged = 0
    for turn in range(kills):
        acks = folder / f"acks-{turn}"
        sign = acks.exists if turn % 4 else lambda: True  # some die while they open the file
        seconds = chance.uniform(0.0, 0.1)
        assert killed_after(seconds, write_until_killed, path, journal, acks, turn, sign=sign)
        last = in_child(append_one, path, journal)
        assert_sound(database)
        stored = rows(
            database, "SELECT sequence, content FROM messages WHERE conversation = 1 AND sequence > ? ORDER BY 1", known
        )
        assert [sequence for sequence, _ in stored] == list(range(known + 1, last + 1))
        acked = [line.split("\t") for line in acks.read_text().splitlines()] if acks.exists() else []
        assert {(int(sequence), content) for sequence, content in acked} <= set(stored)
        # Each writer may have stored one message whose acknowledgement it could not write down any more.
        assert len(stored) - 1 - len(acked) <= WRITERS
        known, acknowledged = last, acknowledged + len(acked)
    return acknowledged


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_an_acknowledged_message_survives_the_kill_of_its_writers(tmp_path: Path, journal: str) -> None:
    assert kill_writers(tmp_path, journal, KILLS[journal]) >= KILLS[journal] // 2


def append_few(path: Path, journal: str, acks: Path) -> None:
    """Make each kind of write once, and note what is done."""
    project = Project(path, journal_mode=journal)
    conversations = project.conversations
    for number in range(2):
        conversations.add_message("shared", "user", f"word{number}")
        acks.write_text(str(number + 1))
    with project.atomic():
        conversations.add_message("shared", "assistant", "half")
        conversations.add_message("shared", "assistant", "whole")
    acks.write_text("4")
    conversations.search("word1")
    conversations.prune("shared", 3)
    project.dispose()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_writes_killed_at_any_step_are_whole_or_absent(tmp_path: Path, journal: str) -> None:
    for step in count(1):
        path, acks = tmp_path / f"p{step}", tmp_path / f"acks-{step}"
        acks.write_text("0")
        prepare(path, journal)
        if not killed_at_step(step, append_few, path, journal, acks):
            break

        # Pruned or not, the next number counts on from everything that was stored.
        stored = in_child(append_one, path, journal) - 1
        assert stored in (0, 1, 2, 4)
        assert stored >= int(acks.read_text())
        assert_sound(path / ".peewee_conv" / "assistant.db")
    assert step > 40, "there were fewer steps than these writes have"
