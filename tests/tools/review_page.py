"""A review of the command, started for a test, and Chromium that opens it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from open_nsfw.rows.row import Row
from tests.tools.browser import ENVIRONMENT, FOLDER
from tests.tools.helpers import ROOT, SECONDS
from tests.tools.review import write_rows


class Page:
    """A review that runs."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log

    def addresses(self, count: int = 1) -> list[str]:
        """The addresses that were printed so far, once there are so many."""
        deadline = time.monotonic() + SECONDS
        while len(found := re.findall(r"http://\S+", self.log.read_text())) < count:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return found


@contextmanager
def review(folder: Path, *arguments: str, cwd: Path = ROOT, plugin: Path = ROOT) -> Iterator[Page]:
    """`open-nsfw review ARGUMENTS` on a port that is free, with the store `review.sqlite` in `folder`, started in `cwd`, with
    the modules in `plugin`."""
    log = folder / "review.log"
    line = [
        sys.executable,
        "-m",
        "open_nsfw",
        "review",
        *arguments,
        "--port",
        "0",
        "--store",
        str(folder / "review.sqlite"),
    ]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(plugin), str(ROOT)))}
    with (
        open(log, "w", encoding="utf-8") as file,
        subprocess.Popen(line, cwd=cwd, env=env, stderr=file, text=True) as process,
    ):
        try:
            page = Page(process, log)
            page.addresses()
            yield page
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0, log.read_text()


def drive(scenario: str, page: Page, seconds: float = 4 * SECONDS) -> Any:
    """What Chromium did; no error on its console, and nothing asked of anybody else."""
    line = ["node", str(ROOT / "tests" / "tools" / "drive_review.mjs"), FOLDER, scenario, str(page.log)]
    done = subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["troubles"] == [], found["troubles"]
    return found


def pictures(folder: Path, count: int) -> Path:
    """Rows about so many pictures, which are there: noise of two colours, `0000.jpg` and so on."""
    random = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        path = folder / f"{number:04}.jpg"
        pixels = random.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((160, 120), Image.Resampling.NEAREST).save(path, "JPEG")
        rows.append(Row(str(path), score=0.2 + 0.59 * number / count, exact=True, engine="onnxruntime", model="m"))
    return write_rows(folder / "rows.jsonl", rows)
