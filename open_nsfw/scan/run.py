"""One run of the command: sources -> pipeline -> writer, with a count, a progress bar, and an orderly end on a signal."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import FrameType

from open_nsfw.cli.classify_options import COMMAND
from open_nsfw.progress import Progress
from open_nsfw.rows.row import Row, label
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pipeline import Pipeline
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import STDIN, Item, SourceOptions
from open_nsfw.sources.walk import Sources

SIGNAL_STATUS = 128  # a shell's exit status for a command ended by signal N is 128 + N


@dataclass(frozen=True)
class Bands:
    """What the summary sorts scores into: `names[i]` are the scores from `thresholds[i - 1]` up to `thresholds[i]`."""

    thresholds: tuple[float, ...] = (0.2, 0.8)
    """The bands that the network's authors suggest, unless a policy has others."""
    names: tuple[str, ...] = ("below 0.2", "in the middle", "at 0.8 or above")

    @classmethod
    def between(cls, thresholds: tuple[float, ...]) -> Bands:
        """Those of other thresholds, ascending."""
        if len(thresholds) == 2:
            middle = ["in the middle"]
        else:
            middle = [f"from {low:g} to {high:g}" for low, high in zip(thresholds, thresholds[1:])]
        return cls(thresholds, (f"below {thresholds[0]:g}", *middle, f"at {thresholds[-1]:g} or above"))


class Tally:
    """What came of the pictures so far. Summary rows do not count: their frames do."""

    def __init__(self, bands: Bands = Bands(), fast: bool = False) -> None:
        self.failed = 0
        self._fast, self._twice = fast, 0
        self._earlier = 0
        self.highest = -1.0
        self._bands = bands
        self._counts = [0] * len(bands.names)
        self._started = time.monotonic()

    @property
    def scored(self) -> int:
        """How many have a score."""
        return sum(self._counts)

    def add(self, row: Row) -> None:
        """Count one row."""
        if row.kind == "summary":
            return
        self._count(math.nan if row.score is None else row.score)
        self._twice += self._fast and row.score is not None and bool(row.exact)

    def add_earlier(self, scores: Sequence[float]) -> None:
        """Count the rows that earlier runs left in the file; NaN is an error."""
        self._earlier += len(scores)
        for score in scores:
            self._count(score)

    def _count(self, score: float) -> None:
        if math.isnan(score):
            self.failed += 1
            return
        self.highest = max(self.highest, score)
        self._counts[bisect_right(self._bands.thresholds, score)] += 1

    def summary(self, passed_over: int = 0) -> str:
        """One line for people."""
        rate = (self.scored + self.failed - self._earlier) / max(time.monotonic() - self._started, 1e-9)
        counts = ", ".join(f"{count:,} {name}" for count, name in zip(self._counts, self._bands.names))
        rest = f"; {passed_over:,} other files passed over" if passed_over else ""
        twice = f", {self._twice:,} scored twice" if self._fast else ""
        earlier = f"; {self._earlier:,} of them by earlier runs" if self._earlier else ""
        return f"{self.scored:,} scored ({counts}){twice}, {self.failed:,} failed{earlier}; {rate:.1f} pictures/s{rest}"


class Interruption:
    """SIGINT and SIGTERM as a request to finish what is under way; a second one ends at once.

    Only a process's main thread can listen for signals; in another, they stay whose they were. One that the process was
    started to ignore, as a shell does with Ctrl-C for what it runs in the background, stays ignored.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.signal: int | None = None
        self._stop = stop

    def __enter__(self) -> Interruption:
        can_listen = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGINT, signal.SIGTERM) if can_listen else ()
        heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        self._stop()


def run(
    items: Iterable[Item],
    load: Callable[[], Models],
    options: PipelineOptions,
    write: Callable[[list[Row]], None],
) -> int | None:
    """Score `items` and hand the rows of each to `write`. The signal that cut it short, or None.

    Decoding begins while `load` brings up the model. Raises SetupError, and OutputError from `write`.
    """
    with Pipeline(options) as pipeline, Interruption(pipeline.stop) as interruption:
        pipeline.start(items)
        pipeline.use(load())
        for rows in pipeline.rows():
            write(rows)
    return interruption.signal


def count_ahead(
    arguments: list[str],
    options: SourceOptions = SourceOptions(),
    skip: Callable[[str, str | None], bool] | None = None,
) -> int | None:
    """How many items `arguments` will give beside those that `skip` knows; None where an archive is among them, whose
    members cannot be counted without unpacking it, or standard input."""
    if STDIN in arguments or any(os.path.exists(each) and not _is_plain(each) for each in arguments):
        return None  # to be read once
    total = 0

    def note(path: str, member: str | None) -> bool:
        nonlocal total
        if member is not None:
            raise _Uncountable
        total += skip is None or not skip(path, member)
        return True  # counted is all that is wanted: nothing is read or given

    try:
        for _ in Sources(arguments, options, note):
            pass
    except _Uncountable:
        return None
    return total


def _is_plain(path: str) -> bool:
    return os.path.isfile(path) or os.path.isdir(path)


class _Uncountable(Exception):
    """An archive is among the sources."""


class Reporter:
    """Tells people on stderr: failures as they come, the progress where someone watches, and a summary at the end."""

    def __init__(
        self, quiet: bool, single: bool, count: Callable[[], int | None], bands: Bands = Bands(), fast: bool = False
    ) -> None:
        """`count` gives the number of items to come, None if only going through them would tell; it is called in a
        thread, and only if somebody watches."""
        self.tally = Tally(bands, fast)
        self._quiet, self._single = quiet, single
        self._passed_over = 0
        self._progress = Progress(count, shown=not (quiet or single))

    def add(self, rows: list[Row]) -> None:
        """Take note of an item's rows; an item without any was passed over."""
        self._passed_over += not rows
        for row in rows:
            self.tally.add(row)
            if row.error is not None and not self._quiet:
                self.say(f"{COMMAND}: {label(row)}: {row.error.split(': ', 1)[1]}")
        self._progress.advance(f"{self.tally.failed} failed")

    def tell(self, line: str) -> None:
        """What was done about a file, as a line of the command's."""
        if not self._quiet:
            self.say(f"{COMMAND}: {line}")

    def say(self, line: str) -> None:
        """A line on stderr that leaves the bar whole."""
        self._progress.say(line)

    def close(self, passed_over: int) -> None:
        """End the bar and sum up."""
        self._progress.close()
        if not self._quiet and not self._single:
            print(f"{COMMAND}: {self.tally.summary(passed_over + self._passed_over)}", file=sys.stderr)
