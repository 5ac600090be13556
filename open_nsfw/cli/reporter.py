"""What people are told of a scan on stderr: failures as they come, the progress, and a summary at the end."""

from __future__ import annotations

import math
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from open_nsfw.progress import Progress
from open_nsfw.rows.row import Row, label
from open_nsfw.scoring.fast import THRESHOLDS


@dataclass(frozen=True)
class Bands:
    """What the summary sorts scores into: `names[i]` are the scores from `thresholds[i - 1]` up to `thresholds[i]`."""

    thresholds: tuple[float, ...]
    """Rising."""
    names: tuple[str, ...]

    @classmethod
    def between(cls, thresholds: tuple[float, ...] = THRESHOLDS) -> Bands:
        """Bands that are named after their thresholds."""
        if len(thresholds) == 2:
            middle = ["in the middle"]
        else:
            middle = [f"from {low:g} to {high:g}" for low, high in zip(thresholds, thresholds[1:])]
        return cls(thresholds, (f"below {thresholds[0]:g}", *middle, f"at {thresholds[-1]:g} or above"))


class Tally:
    """What came of the pictures so far. Summary rows do not count: their frames do. A picture or frame of which parts were
    scored as well counts once, by the highest of these scores."""

    def __init__(self, bands: Bands, fail_above: float | None = None, fast: bool = False) -> None:
        self.failed = 0
        self.too_high = 0
        """Scores at or above --fail-above."""
        self._bands, self._fail_above, self._fast = bands, fail_above, fast
        self._counts = [0] * len(bands.names)
        self._scored_twice = 0
        self._earlier = 0
        self._started = time.monotonic()

    @property
    def scored(self) -> int:
        """How many have a score."""
        return sum(self._counts)

    def add(self, rows: Sequence[Row]) -> None:
        """Count the rows of one item; of one with segments in place of frames the summary."""
        wholes: list[list[Row]] = []
        for row in rows:
            if row.kind == "part" and row.score is not None:
                wholes[-1].append(row)
            elif row.kind not in ("segment", "summary") or (row.kind == "summary" and row.segments is not None):
                wholes.append([row])
        for scored in wholes:
            self._count(max((row.score for row in scored if row.score is not None), default=math.nan))
            self._scored_twice += self._fast and any(row.score is not None and row.exact for row in scored)

    def add_earlier(self, scores: Sequence[float]) -> None:
        """Count the rows that earlier runs left in the file; NaN is an error."""
        self._earlier += len(scores)
        for score in scores:
            self._count(score)

    def _count(self, score: float) -> None:
        if math.isnan(score):
            self.failed += 1
            return
        self._counts[bisect_right(self._bands.thresholds, score)] += 1
        self.too_high += self._fail_above is not None and score >= self._fail_above

    def summary(self, passed_over: int = 0, sorted_out: str = "", found: int = 0) -> str:
        """One line for people. `sorted_out`: what became of the files that were moved or copied; `found`: how many files
        had their scores without being scored."""
        rate = (self.scored + self.failed - self._earlier) / max(time.monotonic() - self._started, 1e-9)
        counts = ", ".join(f"{count:,} {name}" for count, name in zip(self._counts, self._bands.names))
        parts = [
            f"{self.scored:,} scored ({counts})",
            f"{self._scored_twice:,} scored twice" if self._fast else "",
            f"{self.too_high:,} at or above --fail-above {self._fail_above:g}" if self._fail_above is not None else "",
            sorted_out,
            f"{self.failed:,} failed",
        ]
        earlier = f"; {self._earlier:,} of them by earlier runs" if self._earlier else ""
        cached = f"; {found:,} known by content" if found else ""
        rest = f"; {passed_over:,} other files passed over" if passed_over else ""
        return f"{', '.join(filter(None, parts))}{earlier}{cached}; {rate:.1f} pictures/s{rest}"


class Reporter:
    """Tells people on stderr: failures as they come, the progress where someone watches, and a summary at the end."""

    def __init__(self, program: str, tally: Tally, quiet: bool, single: bool, count: Callable[[], int | None]) -> None:
        """`program` begins every line. `single`: one picture alone, which needs no bar and no summary. `count` gives the
        number of items to come, None if only going through them would tell; it is called in a thread, and only if
        somebody watches."""
        self.tally = tally
        self._program, self._quiet, self._single = program, quiet, single
        self._passed_over = 0
        self._progress = Progress(count, shown=not (quiet or single))

    def add(self, rows: list[Row]) -> None:
        """Take note of an item's rows; an item without any was passed over."""
        self._passed_over += not rows
        self.tally.add(rows)
        for row in rows:
            if row.error is not None:
                self.tell(f"{label(row)}: {row.error.split(': ', 1)[1]}")
        self._progress.advance(f"{self.tally.failed} failed")

    def tell(self, line: str) -> None:
        """A line that leaves the bar whole, unless people want quiet."""
        if not self._quiet:
            self._progress.say(f"{self._program}: {line}")

    def close(self, passed_over: int, sorted_out: str = "", found: int = 0) -> None:
        """End the bar and sum up."""
        self._progress.close()
        if not self._quiet and not self._single:
            line = self.tally.summary(passed_over + self._passed_over, sorted_out, found)
            print(f"{self._program}: {line}", file=sys.stderr)
