"""The example programs for older applications run as they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import peewee_conv

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def run(example: str, folder: Path, *args: str) -> list[str]:
    """Run an example in *folder*, which must leave nothing open, and return the lines that it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment["PYTHONPATH"] = str(Path(peewee_conv.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", str(EXAMPLES / f"{example}.py"), *args],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_assistant_of_autoforge_remembers_between_runs(tmp_path: Path) -> None:
    run("autoforge_assistant", tmp_path, "aurora", "What is left to do?")

    printed = run("autoforge_assistant", tmp_path, "aurora", "And then?")

    assert printed == ["That was question 2: And then?", "#1 What is left to do? (4 messages)"]
    assert (tmp_path / "aurora" / ".peewee_conv" / "assistant.db").is_file()


def test_the_sovereign_assistant_remembers_between_runs_and_keeps_its_window(tmp_path: Path) -> None:
    run("sovereign_assistant", tmp_path, "One?", "Two?")

    printed = run("sovereign_assistant", tmp_path, "Three?", "Four?")

    assert printed == [
        "Aurora Trading Bot has read 5 messages.",
        "Aurora Trading Bot has read 7 messages.",
        "> Two? (1 tokens)",
        "< Aurora Trading Bot has read 3 messages. (9 tokens)",
        "> Three? (1 tokens)",
        "< Aurora Trading Bot has read 5 messages. (9 tokens)",
        "> Four? (1 tokens)",
        "< Aurora Trading Bot has read 7 messages. (9 tokens)",
        "{'desk': 1, 'questions': 2}",
    ]
    assert (tmp_path / "data" / "sovereign_assistant.db.project").is_dir()


@pytest.mark.parametrize(
    ("example", "module"),
    [("autoforge_assistant", "server.services.assistant_database"), ("sovereign_assistant", "database")],
)
def test_an_example_has_one_import_of_this_package_and_names_the_one_that_it_replaces(
    example: str, module: str
) -> None:
    text = (EXAMPLES / f"{example}.py").read_text(encoding="utf-8")

    assert len(re.findall(r"^(?:from|import) peewee_conv", text, re.MULTILINE)) == 1
    assert f"    from {module} import " in text
