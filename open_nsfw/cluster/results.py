"""Rows as Spark takes them: Arrow batches whose columns are those that pass through, and then those of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from open_nsfw.cluster.entries import ENTRY
from open_nsfw.cluster.options import Work
from open_nsfw.rows import parquet
from open_nsfw.rows.row import Row
from open_nsfw.scan import feature_table

PIXELS = "pixels"  # a column, by the name that PixelScore has for them
PIXEL_ROWS = 64  # of scores with their pixels: 12 MiB
ROWS_AT_ONCE = 1000  # of scores; a batch that is large enough to cost little, and small beside the pictures


def columns(work: Work) -> Any:
    """The columns of the rows, with their prefix, as a pyarrow.Schema."""
    return import_module("pyarrow").schema([one.with_name(work.prefix + one.name) for one in _plain(work)])


def _plain(work: Work) -> Any:
    if not work.shapes:
        return parquet.schema()
    arrow, found = import_module("pyarrow"), feature_table.table_schema(dict(work.shapes), work.with_scores)
    return found.append(arrow.field(PIXELS, arrow.binary())) if work.with_pixels else found


class Results:
    """Collects the rows of a partition, and gives them in batches."""

    def __init__(self, work: Work, given: Any) -> None:
        """`given`: the schema of the batches that came, a pyarrow.Schema."""
        self._work, self._columns = work, columns(work)
        self._passing = [one.name for one in given if one.name != ENTRY]
        shapes = dict(work.shapes)
        self._plain = _plain(work)
        self._most = feature_table.rows_at_once(shapes) if shapes else ROWS_AT_ONCE
        if work.with_pixels:
            self._most = min(self._most, PIXEL_ROWS)
        self._rows: list[Row] = []
        self._origins: list[tuple[Any, int]] = []

    def add(self, origin: tuple[Any, int], rows: list[Row]) -> Iterator[Any]:
        """Take the rows of an Item; a batch where there are enough for one."""
        for row in self._wanted(rows):
            self._rows.append(row)
            self._origins.append(origin)
        if len(self._rows) >= self._most:
            yield from self.rest()

    def rest(self) -> Iterator[Any]:
        """What waits, as a batch."""
        if not self._rows:
            return
        arrow = import_module("pyarrow")
        found = [column.combine_chunks() for column in self._table().columns]
        passing = self._passed()
        self._rows, self._origins = [], []
        yield arrow.RecordBatch.from_arrays([*passing, *found], names=[*self._passing, *self._columns.names])

    def _table(self) -> Any:
        """The rows as a pyarrow.Table."""
        if not self._work.shapes:
            return parquet.table(self._rows)
        if not self._work.with_pixels:
            return feature_table.table(self._rows, self._plain)
        pixels = [getattr(row.score, PIXELS, None) for row in self._rows]
        content = [None if each is None else each.tobytes() for each in pixels]
        table = feature_table.table(self._rows, self._plain.remove(len(self._plain) - 1))
        return table.append_column(self._plain.field(PIXELS), [import_module("pyarrow").array(content, "binary")])

    def _wanted(self, rows: list[Row]) -> list[Row]:
        if self._work.one_row:
            return [next((row for row in rows if row.kind == "summary"), rows[0])] if rows else []
        if self._work.shapes and not self._work.with_scores:
            return [row for row in rows if row.kind != "summary"]
        return rows

    def _passed(self) -> list[Any]:
        """The columns that pass through, a value for each row."""
        arrow = import_module("pyarrow")
        if not self._passing:
            return []
        runs: list[tuple[Any, list[int]]] = []
        for batch, index in self._origins:
            if not runs or runs[-1][0] is not batch:
                runs.append((batch, []))
            runs[-1][1].append(index)
        parts = [batch.take(arrow.array(indices, arrow.int32())) for batch, indices in runs]
        return [column.combine_chunks() for column in arrow.Table.from_batches(parts).columns]
