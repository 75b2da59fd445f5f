"""Tests under real servers and in a real browser: the environment ``servers`` runs them, on one interpreter."""

from __future__ import annotations

import os
import shutil

# Who has no browser leaves these tests out; where one is expected they fail without it.
if not (os.environ.get("EXPECT_BROWSER") or (shutil.which("chromium") and shutil.which("chromedriver"))):
    collect_ignore = ["test_viewer_browser.py"]
