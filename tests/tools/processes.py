"""Looking after processes that the tests have started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.tools.helpers import ROOT


def marked(mark: Path) -> list[int]:
    """The processes, without dead ones, that have `mark` as OPEN_NSFW_MARK in the environment that they were started with."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"OPEN_NSFW_MARK={mark}\0".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # gone, or not ours
    return found


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for a condition; fail with what it was if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are still there."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue  # the thread, or the process, is gone
    return found


def killed_at_change(line: list[str], folder: Path, number: int) -> bool:
    """Run a command, and kill it and all that it started when `folder` has changed for the `number`th time: a moment that
    is in the middle of the work on a slow machine and on a fast one. False if it ended before."""
    with subprocess.Popen(line, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        seen, changes = _state(folder), 0
        while process.poll() is None:
            now = _state(folder)
            changes += now != seen
            seen = now
            if changes == number:
                os.killpg(process.pid, signal.SIGKILL)
                return process.wait() == -signal.SIGKILL
            time.sleep(0.002)
    return False


def _state(folder: Path) -> set[tuple[str, int, int]]:
    """(path, size, time of the last change) of all files below a folder."""
    found = set()
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(parent, name))
            except FileNotFoundError:
                continue  # renamed or removed in the meantime
            found.add((os.path.join(parent, name), status.st_size, status.st_mtime_ns))
    return found
