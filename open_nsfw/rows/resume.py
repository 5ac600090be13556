"""Going on where a run stopped: what a file of rows has, and the file without the rows that no longer count.

    resume_file    an open, locked file -> the same file without the rows that are dropped, and what is `Finished`

After a run that went on, the file holds what one run of now would have written. So dropped are
- the last row, if it is torn (a kill can tear only that one);
- all rows of a file (for an archive: of all its members) whose size or time of change is another now;
- the error of a folder or an archive, which is looked into anyway, and so has its error again unless that is mended;
- `not-found` where there is a file now, `no-match`, `no-pictures`, and a picture from stdin, which nobody can compare;
- scores that are not exact, unless this run would leave them so, too;
- rows that lack what this run asks for: a SHA-256, the same choice of frames, the same views, turned upright or not, frames
  or segments, the same score to end at;
- members of an archive under a name that may be one which older versions misread;
- frames and parts without the summary that ends them: that file was not finished;
- rows with an error, when asked to try those again;
- with any of these, all rows of the same names, because the names alone do not tell which of them is the one.

Verdicts, and the summaries' counts of frames above the threshold, are made anew. What a limit refused stays refused until
it is tried again (`--retry-failed`). The file changes only by appending, by cutting off its torn end, or by a whole new
one that takes its name in one step. A file that holds anything else is refused and left as it is.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Iterator
from functools import partial
from itertools import compress
from typing import Any

import numpy as np

from open_nsfw.errors import OutputError
from open_nsfw.progress import Progress
from open_nsfw.rows.files import JOURNAL, RowFile
from open_nsfw.rows.finished import KEY_BYTES, Finished, key_of
from open_nsfw.rows.lines import csv_header, csv_line, json_line
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.reader import CsvReader, not_ours, read_rows, reader_of
from open_nsfw.rows.row import Row, is_last
from open_nsfw.text import printable

# In place of a score: of a summary, whose frames have theirs, and of a part, which counts with its whole.
_UNCOUNTED = -1.0
_FRAME, _END, _STALE_END = 0, 1, 2  # a row: one that others follow; the last about a file, which counts or does not
# Errors of files whose bytes were not all read, so that a run that asks for hashes has none of them either.
NEVER_HASHED = {
    *("archive-bomb", "damaged-archive", "empty", "encrypted", "is-a-directory", "missing-library", "nested-archive"),
    *("no-match", "no-pictures", "not-found", "sparse-member", "too-many-bytes", "unreadable"),
    "unsupported-compression",
}
_TOO_MANY_FRAMES = "too-many-frames"


class RowReview:
    """Goes through the rows of a file once and decides which of them count. 26 bytes a row are kept."""

    def __init__(self, path: str, options: OutputOptions) -> None:
        self._path = path
        self._options = options
        self._wanted = options.wanted
        self._frames: dict[bytes, _Frames] = {}  # of files whose summary has not come
        self._looked_at: tuple[str | None, os.stat_result | None] = (None, None)
        self._keys = bytearray()  # of each row
        self._ends = bytearray()  # _FRAME, _END or _STALE_END
        self._scores = array("d")
        self._whole = 0  # the last row that is no part
        self._changed = False
        self.keep = bytearray()
        """1 for each row that counts; complete after `finish`."""
        self.above: dict[int, int] = {}
        """Number of a summary -> its count of frames above the threshold of now."""

    def add(self, row: dict[str, Any]) -> None:
        """Take the next row. Raises UsageError if it is of another model."""
        self._check_model(row["model"])
        key = key_of(row["path"], row["member"])
        number, is_summary = len(self.keep), row["kind"] == "summary"
        score = math.nan if row["score"] is None else row["score"]
        stale = self._is_stale(row)
        self._changed = self._changed or _verdict(row, self._options) != row["verdict"]
        self._keys += key
        self._note_score(row, number, score)
        self.keep.append(0)
        if not is_last(row["kind"], row["views"]):
            self._ends.append(_FRAME)
            self._frames.setdefault(key, _Frames()).add(number, score, stale, row)
            return
        frames = self._frames.pop(key, _NO_FRAMES)
        if is_summary:
            stale = stale or frames.stale or self._is_cut_elsewhere(row, frames) or self._ends_elsewhere(row, frames)
            self._count_above(number, row, frames)
        self._ends.append(_STALE_END if stale else _END)
        for each in (*frames.numbers, number):
            self.keep[each] = not stale

    def _note_score(self, row: dict[str, Any], number: int, score: float) -> None:
        """Keep a score for the count of pictures and frames, each of which has the highest of itself and its parts. A file
        with segments in place of frames counts once, with its summary."""
        kind, is_scored_part = row["kind"], row["kind"] == "part" and not math.isnan(score)
        if is_scored_part:
            self._scores[self._whole] = float(np.fmax(self._scores[self._whole], score))
        elif kind != "part":
            self._whole = number
        counts = not (is_scored_part or kind == "segment" or (kind == "summary" and row["segments"] is None))
        self._scores.append(score if counts else _UNCOUNTED)

    def finish(self) -> bytes:
        """Drops what has the names of something that does not count; the keys of all pictures that do."""
        keys = np.frombuffer(bytes(self._keys), dtype=f"S{KEY_BYTES}")
        ends = np.frombuffer(bytes(self._ends), dtype=np.uint8)
        keep = np.frombuffer(self.keep, dtype=np.uint8)  # a view: writes go through
        stale = np.unique(keys[ends == _STALE_END])
        if len(stale):
            keep &= ~np.isin(keys, stale)
        finished: bytes = keys[(ends == _END) & (keep == 1)].tobytes()
        return finished

    def is_changed(self) -> bool:
        """Whether a row that counts is to be written anew."""
        return self._changed or bool(self.above)

    def scores(self) -> array[float]:
        """Those of the pictures and frames that count, NaN where there is an error."""
        return array("d", (score for score in compress(self._scores, self.keep) if score != _UNCOUNTED))

    def restated(self, number: int, row: dict[str, Any]) -> dict[str, Any]:
        """The values of a row that counts, as this run would write them."""
        return {**row, "verdict": _verdict(row, self._options), "above": self.above.get(number, row["above"])}

    def _is_stale(self, row: dict[str, Any]) -> bool:
        code = (row["error"] or "").partition(":")[0]
        if row["path"] == "-" or code == "no-match" or (code and self._options.retry_failed):
            return True
        now = self._stat(row["path"])
        if now is None:  # gone since: its rows are the last word about it
            return False
        if row["exact"] is False and not self._wanted.keeps_inexact(row["score"] or 0.0, row["engine"]):
            return True
        if code == "not-found" or (code == "no-pictures" and row["kind"] == "picture"):
            return True
        if code and row["member"] is None and row["kind"] == "picture" and self._wanted.is_container(row["path"]):
            return True
        if row["member"] is not None and _may_be_misread(row["member"]):
            return True
        size = row["bytes"] if row["member"] is None else None
        changed = size not in (None, now.st_size) or row["modified"] not in (None, now.st_mtime)
        return changed or self._lacks_something(row, code)

    def _lacks_something(self, row: dict[str, Any], code: str) -> bool:
        """Whether this run would write more into the row, or look at other frames."""
        wanted = self._wanted
        if wanted.hash and row["sha256"] is None and code not in NEVER_HASHED:
            return True
        if wanted.cells and row["cells"] is None and row["score"] is not None and row["kind"] != "segment":
            return True
        if row["format"] is None:
            return False
        # What failed was not turned, and has no parts if it is a file's only picture.
        if row["views"] not in ((wanted.views, None) if code else (wanted.views,)):
            return True
        if not code and (row["upright"] is not None) != wanted.upright:
            return True
        choice: str | None = row["frame_choice"]
        return wanted.frame_choice is not None and choice != wanted.frame_choice(row["format"])

    def _is_cut_elsewhere(self, row: dict[str, Any], frames: _Frames) -> bool:
        """Whether this run would stop after another number of frames than those of this summary."""
        most = self._wanted.max_frames
        if most is None:
            return False
        in_segments = (row["frames"] or 0) if row["segments"] is not None else 0  # which have no rows of their own
        # Frames that failed may or may not have counted towards the limit; the row that says it was reached did not.
        return most < frames.scored + in_segments or (frames.cut and most > frames.count + in_segments - 1)

    def _ends_elsewhere(self, row: dict[str, Any], frames: _Frames) -> bool:
        """Whether this run would have segments where this summary's file has frames, or others, or would end it at another
        score."""
        if not frames.count and row["segments"] is None:  # a picture with its parts
            return False
        wanted = self._wanted
        stops = wanted.stop_above is not None and (row["max"] or 0.0) >= wanted.stop_above
        segments, stop_above = row["segments"], row["stop_above"]
        return bool(segments != wanted.segments or stop_above != (wanted.stop_above if stops else None))

    def _count_above(self, number: int, row: dict[str, Any], frames: _Frames) -> None:
        if self._wanted.above is None or row["segments"] is not None:  # the threshold of segments is that of the count
            return
        above = sum(score >= self._wanted.above for score in frames.scores)
        if above != row["above"]:
            self.above[number] = above

    def _stat(self, path: str) -> os.stat_result | None:
        """Of the file as it is now; asked once for all members of an archive."""
        if self._looked_at[0] != path:
            try:
                self._looked_at = (path, os.stat(path))
            except (OSError, ValueError):
                self._looked_at = (path, None)
        return self._looked_at[1]

    def _check_model(self, model: str) -> None:
        wanted = self._wanted.model
        if wanted and model and model != wanted:
            why = f"it has scores of the model {printable(model)}, this run is of {wanted}"
            raise not_ours(self._path, why)


def _may_be_misread(name: str) -> bool:
    """Whether the letters of MS-DOS in a member's name make UTF-8: older versions read the names in zips of Unix so. If it
    is the member's name after all, it is scored again for nothing."""
    if name.isascii():
        return False
    try:
        name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return False
    return True


class _Frames:
    """The frames of one file and the parts of its pictures, until its summary comes."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        """Of the rows."""
        self.scores: list[float] = []
        self.count = self.scored = 0
        """How many frames there are, and how many have a score."""
        self.stale = False
        self.cut = False
        """Whether the limit of frames ended it."""

    def add(self, number: int, score: float, stale: bool, row: dict[str, Any]) -> None:
        has_score, is_frame = not math.isnan(score), row["kind"] == "frame"
        self.numbers.append(number)
        self.count, self.scored = self.count + is_frame, self.scored + (is_frame and has_score)
        self.stale = self.stale or stale
        self.cut = self.cut or (row["error"] or "").startswith(f"{_TOO_MANY_FRAMES}:")
        if has_score and row["kind"] != "segment":
            self.scores.append(score)


_NO_FRAMES = _Frames()


def _verdict(row: dict[str, Any], options: OutputOptions) -> str | None:
    """The verdict that this run gives; the row's own if it gives none."""
    judge = options.wanted.verdict
    verdict: str | None = row["verdict"]
    if judge is None:
        return verdict
    return None if row["score"] is None else judge(row["score"])


def resume_file(file: RowFile, form: str, options: OutputOptions) -> Finished:
    """Drops from the open, locked file what does not count, and says what is finished.

    `form` is "jsonl", "csv", or "parquet" for its journal; a journal without rows begins with those of the Parquet file
    beside it. Raises UsageError if the file holds anything but rows, OutputError if it cannot be read or written.
    """
    try:
        if form == "parquet":
            _begin_journal(file)
        return _drop_rows(file, form, options)
    except OSError as error:
        raise OutputError(f"{file.name}: cannot be read: {error.strerror or error}") from error


def _begin_journal(file: RowFile) -> None:
    finished = file.path[: -len(JOURNAL)]
    if not file.size() and os.path.exists(finished) and os.path.getsize(finished):
        file.replace(map(json_line, read_rows(finished, "parquet")))


def _drop_rows(file: RowFile, form: str, options: OutputOptions) -> Finished:
    review = RowReview(file.path, options)
    what = os.path.basename(printable(file.name))
    with open(file.path, "rb") as opened, Progress(file.size(), shown=not options.quiet, reading=what) as progress:
        reader = reader_of(opened, file.path, form)
        for record in reader:
            review.add(record.values)
            progress.advance(count=len(record.raw))
    keys = review.finish()
    kept = sum(review.keep)
    is_older = isinstance(reader, CsvReader) and reader.header != csv_header()
    if kept < len(review.keep) or is_older or review.is_changed():
        file.replace(_lines_that_count(file.path, form, review))
    elif reader.whole < file.size():
        file.cut(reader.whole)
    rows = partial(read_rows, file.path, "csv" if form == "csv" else "jsonl")
    return Finished(keys, kept, len(review.keep) - kept, review.scores(), rows)


def _lines_that_count(path: str, form: str, review: RowReview) -> Iterator[bytes]:
    """The bytes of the new file. JSON lines stay as they were where nothing in them changes; an older version's CSV gets
    the columns of this one."""
    if form == "csv":
        yield csv_header()
    with open(path, "rb") as file:
        for number, (counts, record) in enumerate(zip(review.keep, reader_of(file, path, form))):
            if not counts:
                continue
            values = review.restated(number, record.values)
            if form == "csv":
                yield csv_line(Row(**values))
            else:
                yield record.raw if values == record.values else json_line(Row(**values))
