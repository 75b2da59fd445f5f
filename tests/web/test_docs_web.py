"""The samples of the pages on the web side run, where their extras are installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_docs import WEB_PAGES, run_page


@pytest.mark.parametrize("page", WEB_PAGES, ids=lambda page: page.name)
def test_samples_of_a_web_page_run_in_their_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # a sample may be a file that the next one imports
    known = set(sys.modules)

    run_page(page, {"__name__": "sample", "folder": str(tmp_path)})

    for name in set(sys.modules) - known:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]
