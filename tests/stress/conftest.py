"""Everything below this folder takes minutes and runs on demand; the work itself is that of the fault tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "faults"))

from disk_errors import disk as disk  # noqa: E402 - the fixture, found only now


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.stress)
