"""Running the command line inside a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from peewee_conv import cli


class Outcome(NamedTuple):
    """What one run of the command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer of ``--json``."""
        return json.loads(self.out)


Run = Callable[..., Outcome]


def make_run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return ``run("list", "--json")``, which runs the command line in this process."""

    def run(*argv: str | Path) -> Outcome:
        capsys.readouterr()
        status = cli.main([str(argument) for argument in argv])
        return Outcome(status, *capsys.readouterr())

    return run
