"""Deadlines: who is killed, when, and what does not count."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from open_nsfw.pictures import watchdog as module
from open_nsfw.pictures.watchdog import LONGEST_STEP, MOST_STRETCH, Deadline, Watchdog


class Process:
    """Notes what is done to it."""

    def __init__(self, pid: int = -1) -> None:
        self.pid = pid
        self.kills = self.resumed = 0
        self.ended = False

    def has_ended(self) -> bool:
        """As told."""
        return self.ended

    def resume(self) -> None:
        """Note it."""
        self.resumed += 1

    def kill(self) -> None:
        """Note it."""
        self.kills += 1


@pytest.fixture(name="watchdog")
def _watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


def test_whoever_is_late_is_killed_once(watchdog: Watchdog) -> None:
    late, early = Process(), Process()
    with watchdog.deadline(late, 0.1) as missed, watchdog.deadline(early, 60) as kept:
        time.sleep(1)
    assert (missed.missed, late.kills) == (True, 1)
    assert (kept.missed, early.kills) == (False, 0)
    assert 0.1 < missed.spent < 1 and 0 < kept.spent < 2
    assert early.resumed > 0


def test_no_kill_comes_when_the_wait_is_over(watchdog: Watchdog) -> None:
    """However near to the deadline: after the context a process is killed only if `missed` says so."""
    for _ in range(40):
        process = Process()
        with watchdog.deadline(process, 0.04) as deadline:
            time.sleep(0.05)
        kills = process.kills
        assert kills == deadline.missed
        time.sleep(0.02)
        assert process.kills == kills and deadline.missed == bool(kills)


def test_what_a_process_leaves_behind_is_ended(watchdog: Watchdog) -> None:
    """It has not missed its deadline."""
    process = Process()
    process.ended = True
    with watchdog.deadline(process, 60) as deadline:
        time.sleep(0.5)
    assert (process.kills, deadline.missed) == (1, False)


def test_a_pause_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the machine, the container or this process: the watchdog could not look, and nobody could run."""
    clock = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    watchdog, process = Watchdog(), Process()
    with watchdog.deadline(process, 60) as deadline:
        for _ in range(20):
            clock[0] += 10_000
            time.sleep(0.06)
    watchdog.close()
    assert process.kills == 0
    assert 0 < deadline.spent < 21 * LONGEST_STEP


def test_waiting_for_a_processor_counts_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that neither a busy machine ends an honest picture nor a hundred processes of its own keep a hostile one."""
    queued = [100.0]
    monkeypatch.setattr(module, "_queued_seconds", lambda pid: queued[0])
    deadline = Deadline(None, Process(), 1)  # type: ignore[arg-type]
    steps = 0
    while not deadline.step(0.2):
        queued[0] += 0.2
        steps += 1
    assert steps * 0.2 == pytest.approx(MOST_STRETCH, abs=1)
    deadline = Deadline(None, Process(), 1)  # type: ignore[arg-type]
    assert [deadline.step(0.3) for _ in range(4)] == [False, False, False, True]


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="the system does not tell")
def test_the_system_tells_how_long_a_process_waited() -> None:
    """Three processes on one processor: each waits most of the time."""
    cpu = min(os.sched_getaffinity(0))
    line = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{cpu}])\nwhile True: pass"]
    spinning = [subprocess.Popen(line) for _ in range(3)]
    try:
        time.sleep(0.5)
        before = module._queued_seconds(spinning[0].pid)
        time.sleep(1.5)
        assert module._queued_seconds(spinning[0].pid) - before > 0.4
    finally:
        for each in spinning:
            each.send_signal(signal.SIGKILL)
            each.wait()
    assert module._queued_seconds(2**22 + 1) == 0
