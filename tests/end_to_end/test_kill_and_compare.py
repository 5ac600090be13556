"""Kills at any moment: of the command, of its decoding processes, or a pause of either. With --resume until it is done, the
rows are those of a run that nobody disturbed.

`FUZZ=20` does it twenty times as often.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools.helpers import DATA, FUZZ, ROOT
from tests.tools.processes import marked, wait_until

pytestmark = pytest.mark.once

SECONDS = 300
ROUNDS = 2 * int(FUZZ or 1)
MOST_DISTURBANCES = 4  # in a round, before a run is left in peace
WORKER_SHARE = 0.5  # of the disturbances strike a decoding process, of which the command must make the best


@dataclass(frozen=True)
class Scene:
    """Inputs, and what becomes of them undisturbed."""

    folder: Path
    rows: dict[str, list[str]]
    """Format -> rows."""
    seconds: float
    """That a run takes."""


def command(folder: Path, form: str, *options: str) -> list[str]:
    """A run over everything in `folder`."""
    line = [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", "--jobs", "2", "--frames", "all"]
    return [*line, "--format", form, "--output", str(folder / f"rows.{form}"), *options, str(folder / "in")]


def rows_of(folder: Path, form: str) -> list[str]:
    """The rows, in an order that does not depend on who was killed when."""
    text = (folder / f"rows.{form}").read_text()
    if form == "csv":
        return sorted(json.dumps(row) for row in csv.DictReader(text.splitlines()))
    return sorted(json.dumps(json.loads(line)) for line in text.splitlines())


@pytest.fixture(name="scene", scope="module")
def _scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Pictures, animations, broken files, an archive."""
    folder = tmp_path_factory.mktemp("undisturbed")
    inputs = folder / "in"
    inputs.mkdir()
    pictures = sorted((DATA / "pushed").glob("*.jpg"))
    for index in range(36):
        shutil.copy(pictures[index % len(pictures)], inputs / f"{index:02d}.jpg")
    for name in ("animated.gif", "animated.webp", "multi-page.tif"):
        shutil.copy(DATA / "pictures" / name, inputs / name)
    (inputs / "broken.jpg").write_bytes(pictures[0].read_bytes()[:500])
    (inputs / "empty.jpg").touch()
    with zipfile.ZipFile(inputs / "upload.zip", "w") as archive:
        for path in pictures[:12]:
            archive.write(path, path.name)
    rows, before = {}, time.monotonic()
    for form in ("jsonl", "csv"):
        done = subprocess.run(command(folder, form), capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 1, done.stderr  # for the broken ones
        rows[form] = rows_of(folder, form)
    return Scene(folder, rows, (time.monotonic() - before) / 2)


def disturb(process: subprocess.Popen[str], workers: list[int], chance: random.Random) -> str:
    """Do something bad to the command or to one of its processes; what it was, for the message of a failed test."""
    if workers and chance.random() < WORKER_SHARE:
        number = chance.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
        send(chance.choice(workers), number)
        return f"{number.name} for a decoding process"
    number = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP])
    process.send_signal(number)
    if number == signal.SIGSTOP:
        time.sleep(0.3)
        process.send_signal(signal.SIGCONT)
    return f"{number.name} for the command"


def send(pid: int, number: int) -> None:
    """A signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def run_disturbed(line: list[str], mark: Path, seconds: float, chance: random.Random) -> str:
    """A run, something bad at a random moment of it, and its end; what it was."""
    environment = {**os.environ, "OPEN_NSFW_MARK": str(mark)}
    process = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True)
    time.sleep(chance.uniform(0, seconds))
    what = disturb(process, [pid for pid in marked(mark) if pid != process.pid], chance)
    _, err = process.communicate(timeout=SECONDS)
    assert "Traceback" not in err, f"{what}: {err}"
    wait_until(lambda: not marked(mark), f"{what}: all of its processes have ended")
    return what


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_kill_and_compare(scene: Scene, tmp_path: Path, form: str, seed: int) -> None:
    """A failure that a kill left behind is retried, as a user would."""
    chance = random.Random(f"{form} {seed}" if FUZZ is None else None)
    (tmp_path / "in").symlink_to(scene.folder / "in")
    here: Callable[[str], str] = lambda row: row.replace(str(tmp_path), str(scene.folder))  # noqa: E731
    story = []
    for _ in range(chance.randint(1, MOST_DISTURBANCES)):
        story.append(run_disturbed(command(tmp_path, form, "--resume"), tmp_path, scene.seconds, chance))
    last = command(tmp_path, form, "--resume", "--retry-failed")
    done = subprocess.run(last, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1, f"{story}: {done.stderr}"
    assert sorted(map(here, rows_of(tmp_path, form))) == scene.rows[form], story
