"""Blobs of many pictures as a Parquet table: a row for every picture and frame, errors included.

The columns of a blob are lists of float32 of one length, in Caffe's order; the blob's shape stands in the column's
metadata. Rows are written as they come, so memory does not grow with the number of pictures, and the file has its name
when it is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import UsageError
from open_nsfw.files import written_beside
from open_nsfw.rows.parquet import schema, spell
from open_nsfw.rows.row import FIELDS, Row, cells, label
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.run import run
from open_nsfw.scoring.blobs import BlobClassifier, BlobScore
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import Item

# Columns of a row that are about a score, which a table of blobs has only if `prob` is among them.
ABOUT_SCORES = ("score", "verdict", "exact", "frames", "max", "mean", "above", "bias", "cells")
GROUP_BYTES = 32 * 2**20  # of a row group, which is in memory at once


@dataclass(frozen=True)
class Counts:
    """What became of the pictures."""

    rows: int
    failed: int
    ended_by: int | None
    """The signal that cut it short; there is no file then."""


def write_features(
    items: Iterable[Item],
    files: ModelFiles,
    blobs: Sequence[str],
    path: str,
    options: PipelineOptions,
    tell: Callable[[str], None] = lambda line: None,
    advance: Callable[[], None] = lambda: None,
) -> Counts:
    """Write the blobs of all items to `path`, replacing it. `tell` takes a line for each picture that has none, `advance` is
    called for each item. Raises UsageError for a blob that is called like a column, SetupError, and OSError."""
    clash = sorted(set(blobs) & {one.name for one in FIELDS})
    if clash:
        raise UsageError(f"--blobs {clash[0]}: a column of the table has this name")
    classifier = BlobClassifier(files, blobs)
    try:
        with written_beside(os.path.realpath(path)) as file:  # a link stays a link
            table = _Table(file, classifier.engine.shapes)

            def write(rows: list[Row]) -> None:
                for row in rows:
                    if row.kind == "summary":
                        continue
                    if row.error is not None:
                        tell(f"{label(row)}: {row.error.partition(': ')[2]}")
                    table.add(row)
                advance()

            ended_by = run(items, lambda: Models(classifier), options, write)
            table.close()
            if ended_by is not None:
                raise _Stopped(ended_by)
    except _Stopped as stopped:
        return Counts(table.rows, table.failed, stopped.signal)
    return Counts(table.rows, table.failed, None)


class _Stopped(Exception):
    """Ends the block of the file, so that nothing of it is left."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


def table_schema(shapes: dict[str, tuple[int, ...]], with_scores: bool = False) -> Any:
    """The columns of a table with blobs of these shapes, as a pyarrow.Schema; `with_scores`: also those about scores."""
    arrow, rows = import_module("pyarrow"), schema()
    # Not of a fixed size, in which pyarrow before 22 cannot write a row without the blob.
    kind = arrow.list_(arrow.float32())
    blobs = [
        arrow.field(name, kind, nullable=True, metadata={"shape": json.dumps(list(shape))})
        for name, shape in shapes.items()
    ]
    names = [one.name for one in FIELDS if with_scores or one.name not in ABOUT_SCORES]
    return arrow.schema([*map(rows.field, names), *blobs])


def table(rows: Sequence[Row], columns: Any) -> Any:
    """Rows whose scores carry blobs, as a pyarrow.Table with the columns of `table_schema`."""
    arrow, known = import_module("pyarrow"), {one.name for one in FIELDS}
    values = [cells(row) for row in rows]

    def column(name: str) -> list[Any]:
        return [_spelled(each[name]) for each in values] if name in known else [_blob_of(row, name) for row in rows]

    return arrow.Table.from_arrays([arrow.array(column(one.name), one.type) for one in columns], schema=columns)


def rows_at_once(shapes: dict[str, tuple[int, ...]]) -> int:
    """At least 1: so many rows with their blobs take `GROUP_BYTES`."""
    return max(1, GROUP_BYTES // (4 * sum(map(_size, shapes.values())) + 200))


class _Table:
    """Collects rows and writes them in groups."""

    def __init__(self, file: Any, shapes: dict[str, tuple[int, ...]]) -> None:
        self._schema = table_schema(shapes)
        self._writer = import_module("pyarrow.parquet").ParquetWriter(file, self._schema)
        self._most = rows_at_once(shapes)
        self._waiting: list[Row] = []
        self.rows = self.failed = 0

    def add(self, row: Row) -> None:
        """Take a row; its score carries the blobs."""
        self._waiting.append(row)
        self.rows += 1
        self.failed += row.error is not None
        if len(self._waiting) >= self._most:
            self._write()

    def close(self) -> None:
        """Write what waits, and the file's end."""
        self._write()
        self._writer.close()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(table(self._waiting, self._schema))
            self._waiting.clear()


def _blob_of(row: Row, name: str) -> NDArray[np.float32] | None:
    return row.score.blobs[name].reshape(-1) if isinstance(row.score, BlobScore) else None


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def _spelled(value: Any) -> Any:
    return spell(value) if isinstance(value, str) else value
