"""The example that was written for AutoForge's feature database does what it did there."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "autoforge_features.py"

PRINTED = """\
imported: True
imported again: False
ready: ['Log in']
claimed: True False
added: 4
left: [1]
night: {'saturday': False, 'monday': True, 'agents': 2, 'stopped': True}
overrides left: 0
exported: ['Log in', 'Log out', 'Search', 'Reset password']
disposed: True
"""


def test_the_example_runs_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(EXAMPLE)])

    runpy.run_path(str(EXAMPLE), run_name="__main__")

    assert capsys.readouterr().out == PRINTED
    assert (tmp_path / "aurora" / ".peewee_conv" / "features.db").is_file()
