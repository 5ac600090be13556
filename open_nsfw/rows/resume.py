"""Going on where a run stopped: what a file of rows has, and the file without the rows that no longer count.

    take_up       an open, locked file -> the same file without the rows that are dropped, and what is `Finished`

Dropped are
- the last row, if it is torn (a kill can tear only that one);
- all rows of a file (for an archive: of all its members) whose size or time of change is another now;
- `not-found` where there is a file now, `no-match`, and a picture from stdin, which nobody can compare;
- scores that are not exact, unless this run would leave them so, too;
- frames without the summary that ends them: that video or animation was not finished;
- rows with an error, when asked to try those again.

The file changes only by appending, by cutting off its torn end, or by a whole new one that takes its name in one step.
A file that holds anything else is refused and left as it is.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Iterator
from functools import partial
from itertools import compress
from typing import Any

from open_nsfw.errors import OutputError
from open_nsfw.rows.files import JOURNAL, RowFile
from open_nsfw.rows.finished import Finished, key_of
from open_nsfw.rows.lines import csv_header, csv_line, json_line
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.reader import CsvReader, not_ours, read_rows, reader_of
from open_nsfw.rows.row import Row
from open_nsfw.text import printable

_SUMMARY = -1.0  # in place of a score: of a file whose frames have theirs


class _Judge:
    """Goes through the rows once; `keep[i]` is then 1 if row i counts, and `keys` holds what is done."""

    def __init__(self, path: str, options: OutputOptions) -> None:
        self._path = path
        self._options = options
        self._pending: dict[bytes, list[int]] = {}  # frames whose summary has not come
        self._spoiled: set[bytes] = set()  # what has a frame that does not count
        self._looked_at: tuple[str | None, os.stat_result | None] = (None, None)
        self.keep = bytearray()
        self.keys = bytearray()
        self._scores = array("d")

    def add(self, row: dict[str, Any]) -> None:
        self._check_model(row["model"])
        key = key_of(row["path"], row["member"])
        stale = self._is_stale(row)
        self.keep.append(0)
        score = math.nan if row["score"] is None else row["score"]
        self._scores.append(_SUMMARY if row["kind"] == "summary" else score)
        if row["kind"] != "frame":
            self._end(key, stale)
            return
        self._pending.setdefault(key, []).append(len(self.keep) - 1)
        if stale:
            self._spoiled.add(key)

    def scores(self) -> array[float]:
        """Those of the pictures and frames that count, NaN where there is an error."""
        return array("d", (score for score in compress(self._scores, self.keep) if score != _SUMMARY))

    def _end(self, key: bytes, stale: bool) -> None:
        """A picture's only row, or the summary after the frames."""
        frames = self._pending.pop(key, [])
        if stale or key in self._spoiled:
            self._spoiled.discard(key)
            return
        for number in (*frames, len(self.keep) - 1):
            self.keep[number] = 1
        self.keys += key

    def _is_stale(self, row: dict[str, Any]) -> bool:
        code = (row["error"] or "").partition(":")[0]
        if row["path"] == "-" or code == "no-match" or (code and self._options.retry_failed):
            return True
        now = self._stat(row["path"])
        if now is None:  # gone since: its rows are the last word about it
            return False
        if row["exact"] is False and not self._options.keeps_inexact(row["score"] or 0.0, row["engine"]):
            return True
        size = row["bytes"] if row["member"] is None else None
        return code == "not-found" or size not in (None, now.st_size) or row["modified"] not in (None, now.st_mtime)

    def _stat(self, path: str) -> os.stat_result | None:
        """Of the file as it is now; asked once for all members of an archive."""
        if self._looked_at[0] != path:
            try:
                self._looked_at = (path, os.stat(path))
            except (OSError, ValueError):
                self._looked_at = (path, None)
        return self._looked_at[1]

    def _check_model(self, model: str) -> None:
        wanted = self._options.model
        if wanted and model and model != wanted:
            why = f"it has scores of the model {printable(model)}, this run is of {wanted}"
            raise not_ours(self._path, why)


def take_up(file: RowFile, form: str, options: OutputOptions) -> Finished:
    """Drops from the open, locked file what does not count, and says what is finished.

    `form` is "jsonl", "csv", or "parquet" for its journal; a journal without rows begins with those of the Parquet file
    beside it. Raises UsageError if the file holds anything but rows, OutputError if it cannot be read or written.
    """
    try:
        if form == "parquet":
            _begin_journal(file)
        return _take_up(file, form, options)
    except OSError as error:
        raise OutputError(f"{file.name}: cannot be read: {error.strerror or error}") from error


def _begin_journal(file: RowFile) -> None:
    finished = file.path[: -len(JOURNAL)]
    if not file.size() and os.path.exists(finished) and os.path.getsize(finished):
        file.replace(map(json_line, read_rows(finished, "parquet")))


def _take_up(file: RowFile, form: str, options: OutputOptions) -> Finished:
    judge = _Judge(file.path, options)
    with open(file.path, "rb") as opened:
        reader = reader_of(opened, file.path, form)
        for record in reader:
            judge.add(record.values)
    kept = sum(judge.keep)
    if kept < len(judge.keep) or (isinstance(reader, CsvReader) and reader.header != csv_header()):
        file.replace(_kept(file.path, form, judge.keep))
    elif reader.whole < file.size():
        file.cut(reader.whole)
    rows = partial(read_rows, file.path, "csv" if form == "csv" else "jsonl")
    return Finished(judge.keys, kept, len(judge.keep) - kept, judge.scores(), rows)


def _kept(path: str, form: str, keep: bytearray) -> Iterator[bytes]:
    """The bytes of the new file. JSON lines stay as they were; an older version's CSV gets the columns of this one."""
    if form == "csv":
        yield csv_header()
    with open(path, "rb") as file:
        for counts, record in zip(keep, reader_of(file, path, form)):
            if counts:
                yield csv_line(Row(**record.values)) if form == "csv" else record.raw
