"""Deadlines of other processes, in time that these could use."""

from __future__ import annotations

import threading
import time
from typing import Protocol

WATCH_SECONDS = 0.05  # between two looks at the deadlines
# A look that comes later than this was itself held up: the machine slept, or the container or this process was paused. No
# more than this counts of the time until then. Threads that hold Python's lock for long delay a look by some tenths.
LONGEST_STEP = 1.0


class Process(Protocol):
    """What can be watched."""

    pid: int

    def has_ended(self) -> bool:
        """Whether it has, of itself or not."""

    def kill(self) -> None:
        """End it at once."""


class Deadline:
    """A process must do one thing within some seconds. Use as a context manager, around the wait for that thing.

    What does not count: the time in which the process was stopped, or waited for a processor (both as Linux tells it), and
    in which this process could not look. When the time is up, the process is killed, once, and `missed` is true. After the
    context `missed` does not change any more: no kill comes later.
    """

    def __init__(self, watchdog: Watchdog, process: Process, seconds: float) -> None:
        self.process, self.seconds = process, seconds
        self.spent = 0.0
        """Seconds that count so far."""
        self.missed = False
        self._watchdog = watchdog
        self._steps = 0.0
        self._queued_before: float | None = None

    def __enter__(self) -> Deadline:
        self._watchdog.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.remove(self)

    def step(self, seconds: float) -> bool:
        """Count so much; whether the time is up."""
        if not _is_stopped(self.process.pid):
            self._steps += seconds
        queued = _queued_seconds(self.process.pid)
        if self._queued_before is None:
            self._queued_before = queued
        self.spent = max(self.spent, self._steps - max(queued - self._queued_before, 0))
        self.missed = self.spent > self.seconds
        return self.missed


class Watchdog:
    """Kills processes that miss a deadline: one thread for all of them.

    Also what a process leaves behind that ends before its deadline: as long as that holds a pipe, whoever reads there
    waits.
    """

    def __init__(self) -> None:
        self._running: set[Deadline] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def deadline(self, process: Process, seconds: float) -> Deadline:
        """`process` must do its next thing within `seconds`."""
        return Deadline(self, process, seconds)

    def add(self, deadline: Deadline) -> None:
        """Begin to count its time."""
        with self._lock:
            self._running.add(deadline)

    def remove(self, deadline: Deadline) -> None:
        """Count its time no longer."""
        with self._lock:
            self._running.discard(deadline)

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._closed.wait(WATCH_SECONDS):
            now = time.monotonic()
            step, before = min(now - before, LONGEST_STEP), now
            with self._lock:
                over = [each for each in self._running if each.step(step) or each.process.has_ended()]
                for deadline in over:
                    self._running.discard(deadline)
                    deadline.process.kill()


def _is_stopped(pid: int) -> bool:
    """Whether a signal or a debugger has stopped a process; False where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read(512).rpartition(b") ")[2][:1] in (b"T", b"t")
    except OSError:
        return False


def _queued_seconds(pid: int) -> float:
    """How long a process has waited for a processor in its life; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read(128).split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
