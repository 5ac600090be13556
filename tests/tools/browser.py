"""The browser that tests look at pages with, and what this machine lacks for it.

Node.js, Chromium, and the packages playwright-core and axe-core, whose folder OPEN_NSFW_AXE names:

    npm install --prefix FOLDER playwright-core axe-core
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

FOLDER = os.environ.get("OPEN_NSFW_AXE", "")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LACKING = [
    name
    for name, is_there in (
        ("node", shutil.which("node")),
        ("chromium", CHROMIUM),
        (
            "OPEN_NSFW_AXE, a folder with playwright-core and axe-core",
            Path(FOLDER, "node_modules", "axe-core").is_dir(),
        ),
    )
    if not is_there
]
in_a_browser = pytest.mark.skipif(bool(LACKING), reason=f"missing on this machine: {'; '.join(LACKING)}")
ENVIRONMENT = {**os.environ, "CHROMIUM": CHROMIUM or ""}  # of the programs in this folder that drive it
