"""The example that was written for ChatDF's services does what it did there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import peewee_conv

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "chatdf_app.py"


def run(folder: Path, question: str) -> list[str]:
    """Run the example, which must leave nothing open, and return the lines that it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), question],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(peewee_conv.__file__).parent.parent)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_example_lets_a_user_in_loads_data_answers_and_goes_on_later(tmp_path: Path) -> None:
    first = run(tmp_path, "How many rows?")
    second = run(tmp_path, "And now?")

    assert first == [
        "the key works once: True",
        "load: Not a valid parquet file",
        "load: This dataset is already loaded",
        "load: table1",
        "> How many rows?",
        "  (11 tokens, SELECT count(*) FROM table1)",
        "< table1 has 1200 rows of 1 column.",
        "  (21 tokens, SELECT count(*) FROM table1)",
        "at once: ['Generation already in progress for this conversation']",
        "32 of 5000000 tokens used, warning: False",
    ]
    assert second[0] == "'How many rows?' goes on with 1 dataset"
    assert second[-1] == "103 of 5000000 tokens used, warning: False"
    assert [entry.name for entry in tmp_path.iterdir()] == ["chatdf.db.project"]
