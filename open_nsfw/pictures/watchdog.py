"""Deadlines of other processes, in time that these could use."""

from __future__ import annotations

import threading
import time
from typing import Protocol

WATCH_SECONDS = 0.05  # between two looks at the deadlines
# A look that comes later than this was itself held up: the machine slept, the container or this process was paused, or
# every processor was busy. No more than this counts of the time until then.
LONGEST_STEP = 0.2
# The time that a process waits for a processor is no fault of its own, unless it has started a hundred others.
MOST_STRETCH = 10.0


class Process(Protocol):
    """What can be watched."""

    pid: int

    def has_ended(self) -> bool:
        """Whether it has, of itself or not."""

    def resume(self) -> None:
        """Make it go on, if it was stopped."""

    def kill(self) -> None:
        """End it at once."""


class Deadline:
    """A process must do one thing within some seconds. Use as a context manager, around the wait for that thing.

    What does not count: the time in which this process could not look, and nine tenths at most of the time, while the
    process waited for a processor. When the time is up, it is killed, once, and `missed` is true. After the context
    `missed` does not change any more: no kill comes later.
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
        self._steps += seconds
        queued = _queued_seconds(self.process.pid)
        if self._queued_before is None:
            self._queued_before = queued
        could_run = self._steps - max(queued - self._queued_before, 0)
        self.spent = max(self.spent, could_run, self._steps / MOST_STRETCH)
        self.missed = self.spent > self.seconds
        return self.missed


class Watchdog:
    """Kills processes that miss a deadline: one thread for all of them.

    Also what a process leaves behind that ends before its deadline: as long as that holds a pipe, whoever reads there
    waits. A process that is stopped, by itself or from outside, is made to go on: its time would not pass otherwise, or
    pass unused.
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
                for deadline in list(self._running):
                    if deadline.step(step) or deadline.process.has_ended():
                        self._running.discard(deadline)
                        deadline.process.kill()
                    else:
                        deadline.process.resume()


def _queued_seconds(pid: int) -> float:
    """How long a process has waited for a processor in its life; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read(128).split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
