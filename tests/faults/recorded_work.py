"""Work of every kind on one project, recorded, and what must be left of it after a power cut."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

from fault_tools import assert_sound, rows
from power_cuts import Recording

from peewee_conv import Project
from peewee_conv.schemas import assistant

WRITERS = 3
CHECKPOINT = 40  # pages in the log: at the usual 4000 no work of this size would ever empty it


class Work:
    """What is done to the project at ``root / "project"``, by several threads at once.

    :ivar contents: of the conversation ``shared``: what was acknowledged, by sequence.
    :ivar states: of the conversation ``churned``, after each step of its one writer: contents by sequence.
    """

    def __init__(self, root: Path, journal: str, durability: str, rounds: int) -> None:
        self.root, self.rounds = root, rounds
        self.settings = {"journal_mode": journal, "durability": durability}
        self.contents: dict[int, str] = {}
        self.states: list[dict[int, str] | None] = [None]
        root.mkdir(parents=True)
        self.recording = Recording(root)
        with self.recording.running():
            self._run()

    def _run(self) -> None:
        mark = self.recording.mark
        project = self._open(self.root)
        for name in ("shared", "left", "right"):
            project.conversations.create(id=name)
            mark(("created", name))
        threads = [threading.Thread(target=self._append, args=(project, number)) for number in range(WRITERS)]
        threads += [threading.Thread(target=work, args=(project,)) for work in (self._append_pairs, self._churn)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        project.backup(self.root / "copy.db")
        mark(("copied", len(self.contents)))
        project.dispose()
        self._append(self._open(self.root), WRITERS)  # into a log, or after a journal, that is new again
        self._open(self.root).dispose()

    def _open(self, root: Path) -> Project:
        return Project(root / "project", **self.settings)

    def _append(self, project: Project, writer: int) -> None:
        chance = random.Random(writer)
        with project:
            _checkpoint_often()
            for number in range(self.rounds):
                content = f"writer {writer} word{number} " + "x" * chance.choice((10, 400, 9000))
                sequence = project.conversations.add_message("shared", "user", content, token_count=1).sequence
                self.contents[sequence] = content
                self.recording.mark(("appended", sequence))

    def _append_pairs(self, project: Project) -> None:
        for number in range(self.rounds):
            with project.atomic():
                _checkpoint_often()
                project.conversations.add_message("left", "user", f"pair {number}")
                project.conversations.add_message("right", "user", f"pair {number}")
            self.recording.mark(("paired", number + 1))

    def _churn(self, project: Project) -> None:
        conversations = project.conversations

        def add(state: dict[int, str] | None) -> dict[int, str]:
            added = [{"role": "tool", "content": f"leaf {len(self.states)} {'y' * 500}"}] * 6
            return (state or {}) | {
                each.sequence: each.content for each in conversations.add_messages("churned", added)
            }

        def create(_: dict[int, str] | None) -> dict[int, str]:
            conversations.create(id="churned")
            return {}

        def prune(state: dict[int, str] | None) -> dict[int, str]:
            conversations.prune("churned", 5)
            return dict(sorted((state or {}).items())[-5:])

        def search(state: dict[int, str] | None) -> dict[int, str]:
            conversations.search("leaf", limit=3)
            return state or {}

        def delete(_: dict[int, str] | None) -> None:
            conversations.delete("churned")

        for _ in range(max(1, self.rounds // 4)):
            for step in (create, add, search, add, prune, search, delete):
                self.states.append(step(self.states[-1]))
                self.recording.mark(("churned", len(self.states) - 1))

    # --- after the cut ---

    def assert_survives(self, root: Path, moment: int, *, all_acknowledged: bool) -> None:
        """Check the project that a cut at *moment* has left at *root*, and that it can be used."""
        told: dict[str, Any] = {"appended": 0, "paired": 0, "churned": 0}
        created = set()
        for what, value in self.recording.told(moment):
            if what == "created":
                created.add(value)
            elif all_acknowledged or what == "copied":
                told[what] = max(value, told.get(what, 0))
        project = self._open(root)
        try:
            self._assert_rows(project, told, created if all_acknowledged else set())
        finally:
            project.dispose()
        if "copied" in told:
            assert_sound(root / "copy.db")
            assert rows(root / "copy.db", "SELECT count(*) FROM messages WHERE conversation = 1") == [(told["copied"],)]

    def _assert_rows(self, project: Project, told: dict[str, Any], created: set[str]) -> None:
        conversations = project.conversations
        found = {each.id: self._contents(project, each.id) for each in conversations.list()}
        assert project.check() == []
        assert created <= set(found), "an acknowledged conversation is lost"

        shared = found.get("shared", {})
        assert list(shared) == list(range(1, len(shared) + 1))
        assert len(shared) >= told["appended"], "an acknowledged message is lost"
        assert all(self.contents.get(sequence, content) == content for sequence, content in shared.items())

        left, right = found.get("left", {}), found.get("right", {})
        assert left == right, "half of a transaction is there"
        assert len(left) >= told["paired"], "an acknowledged transaction is lost"

        # What is acknowledged, and what was under way when the power failed; under "normal" anything before.
        possible = self.states[told["churned"] :]
        assert found.get("churned") in possible, "a change of a conversation is lost, or half there"
        if "shared" in found:
            assert conversations.add_message("shared", "user", "after the cut").sequence == len(shared) + 1

    def _contents(self, project: Project, id: str) -> dict[int, str]:
        return {message.sequence: message.content for message in project.conversations.iterate(id)}


def _checkpoint_often() -> None:
    assistant.database.execute_sql(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}").close()
