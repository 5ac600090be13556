"""What a benchmark ran on, and whole processes timed in pairs."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One finished process: wall and processor time in seconds, the peak memory of its largest process in MiB."""

    wall: float
    cpu: float
    peak: float
    stdout: str


def describe() -> str:
    """The machine in one line."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = named[0] if named else model
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Run:
    """Run a command to its end and account for it and its children. Raises CalledProcessError if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    assert process.stdout is not None and process.stderr is not None
    stdout = process.stdout.read()
    stderr = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command, stdout, stderr)
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, stdout.decode())


def pairs(count: int, first: Callable[[], Run], second: Callable[[], Run]) -> list[tuple[Run, Run]]:
    """Run both in turn, after one uncounted run of each, so that a machine that speeds up or slows down does so for
    both."""
    first(), second()
    return [(first(), second()) for _ in range(count)]


def median_ratio(pairs_of_runs: list[tuple[Run, Run]], figure: str) -> float:
    """The median, over the pairs, of the first run's figure to the second's."""
    return statistics.median(getattr(a, figure) / getattr(b, figure) for a, b in pairs_of_runs)


def median(runs: list[Run], figure: str) -> float:
    """The median of one figure."""
    return statistics.median(getattr(run, figure) for run in runs)
