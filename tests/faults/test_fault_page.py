"""The page about reliability names no test that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "reliability.md"


def test_each_module_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_fault_\w+\.py)", PAGE.read_text(encoding="utf-8")))

    assert named
    assert named <= {path.name for path in HERE.glob("test_*.py")}
