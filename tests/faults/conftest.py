"""Everything below this folder is a fault test: several processes, kills and broken files."""

from __future__ import annotations

from pathlib import Path

import pytest
from disk_errors import disk as disk  # the fixture, for every module here
from fault_tools import PATIENCE

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(2 * PATIENCE))  # a child that hangs ends before, and is named
