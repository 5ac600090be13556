"""ROWS or FOLDER -> the pictures and videos in it, each with its score; a folder is scored through the one pipeline."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from open_nsfw.calibration.labels import Labels
from open_nsfw.calibration.scored import ScoringOptions, score
from open_nsfw.calibration.tables import cannot_read
from open_nsfw.errors import UsageError
from open_nsfw.review.item import MOST_FRAMES
from open_nsfw.rows.reader import read_rows
from open_nsfw.rows.row import Row, is_last, label
from open_nsfw.text import printable

FORMS = {".csv": "csv", ".parquet": "parquet"}  # by the end of the name; everything else is JSON lines
ADVICE = "; rows that `classify_nsfw --output` wrote are needed, as .jsonl, .csv or .parquet"


class Found(NamedTuple):
    """A picture, or a video or animation with its frames that score highest."""

    row: Row
    frames: list[Row]


@dataclass(frozen=True)
class Rows:
    """A file of rows, and the folders that relative paths in it may start at."""

    path: str
    bases: tuple[str, ...]

    def __iter__(self) -> Iterator[Found]:
        """Raises UsageError if the file holds anything else."""
        form = FORMS.get(os.path.splitext(self.path)[1].lower(), "jsonl")
        try:
            for found in _gathered(read_rows(self.path, form, ADVICE)):
                if not _is_hash(found.row.sha256):  # by which pictures are chosen, and found again
                    raise UsageError(
                        f"{printable(self.path)}: the row of {label(found.row)} has a wrong sha256{ADVICE}"
                    )
                yield found
        except OSError as error:
            raise cannot_read(printable(self.path), error) from error


def _is_hash(value: str | None) -> bool:
    return value is None or re.fullmatch("[0-9a-f]{64}", value) is not None


def rows_at(source: str, scoring: ScoringOptions) -> Rows | int:
    """The rows of ROWS; of FOLDER those that its pictures get now, in `scoring.scores_file`, from which a later run goes on.
    The signal that cut the scoring short.

    Raises UsageError, OutputError and SetupError.
    """
    if os.path.isdir(source):
        scored = score(Labels(folders={source: False}), scoring)
        return Rows(scoring.scores_file, (os.getcwd(),)) if scored.ended_by is None else scored.ended_by
    if not os.path.exists(source):
        raise UsageError(f"{printable(source)}: there is no such file or folder")
    return Rows(source, (os.getcwd(), os.path.dirname(os.path.abspath(source))))


def _gathered(rows: Iterable[Row]) -> Iterator[Found]:
    """Frames, or segments in their place, go with the summary behind them; parts of pictures are in it."""
    frames: list[Row] = []
    for row in rows:
        if is_last(row.kind, row.views):
            same = [each for each in frames if (each.path, each.member) == (row.path, row.member)]
            yield Found(row, same if row.kind == "summary" else [])
            frames = []
        elif row.kind in ("frame", "segment") and row.score is not None:  # a segment's frame is its first
            if frames and (frames[0].path, frames[0].member) != (row.path, row.member):
                frames = []  # of a file whose summary was cut off
            frames.append(row)
            if len(frames) > 100 * MOST_FRAMES:
                frames = _highest(frames)


def _highest(frames: list[Row]) -> list[Row]:
    return sorted(frames, key=lambda each: -(each.score or 0.0))[:MOST_FRAMES]
