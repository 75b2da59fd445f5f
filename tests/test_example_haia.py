"""The example that was written for HAIA's database does what it did there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import peewee_conv
from peewee_conv import Project

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "haia_chat.py"


def run(folder: Path, *questions: str) -> list[str]:
    """Run the example in *folder*, which must leave nothing open, and return the lines that it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment["PYTHONPATH"] = str(Path(peewee_conv.__file__).parent.parent)
    command = [sys.executable, "-W", "error::ResourceWarning", str(EXAMPLE), *questions]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_example_asks_at_once_and_shows_what_it_remembers(tmp_path: Path) -> None:
    printed = run(tmp_path)

    assert printed[:2] == [
        "refused: Invalid role: robot. Must be one of: assistant, system, user",
        "refused: Conversation with ID 10000 not found",
    ]
    assert sorted(re.sub(r"^#\d+ ", "", line) for line in printed[2:]) == [
        "How full is the pool? (5 messages)",
        "When was the last backup? (5 messages)",
        "Which container is unhealthy? (5 messages)",
    ]


def test_the_example_remembers_ten_conversations_of_runs_before(tmp_path: Path) -> None:
    for number in range(4):
        printed = run(tmp_path, *(f"Is disk {number}.{disk} well?" for disk in range(3)))

    assert len(printed) == 2 + 10
    project = Project(tmp_path / "haia.db.project")
    assert sorted(talk.message_count for talk in project.conversations.list()) == [5] * 10
    assert project.check() == []


def test_only_the_import_line_is_another() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")

    assert re.findall(r"^.*peewee_conv.*$", text, re.MULTILINE) == [
        "from peewee_conv.compat.repository import ConversationRepository, Message, close_db, get_db, init_db"
    ]
