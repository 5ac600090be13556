"""Rows as Parquet: types, groups, and any name survives."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from open_nsfw.errors import UsageError
from open_nsfw.rows import parquet as parquet_rows
from open_nsfw.rows import reader as row_reader
from open_nsfw.rows.row import FIELDS, Row
from tests.tools.helpers import examples, peak_of
from tests.tools.rows import (
    any_row,
    many,
    names,
    needs_pyarrow,
    write,
)


@needs_pyarrow
@settings(many, max_examples=examples(60))
@given(rows=st.lists(any_row, max_size=5))
def test_rows_round_trip_in_parquet(rows: list[Row], tmp_path: Path) -> None:
    write(tmp_path / "rows", rows, "parquet", overwrite=True)
    assert list(row_reader.read_rows(str(tmp_path / "rows"), "parquet")) == rows
    assert os.listdir(tmp_path) == ["rows"]


@many
@given(name=names)
def test_parquet_spelling_is_utf_8_and_reversible(name: str) -> None:
    spelled = parquet_rows.spell(name)
    assert spelled is not None
    spelled.encode("utf-8")
    assert parquet_rows.unspell(spelled) == name


def test_parquet_spelling_of_names() -> None:
    assert parquet_rows.spell(os.fsdecode(b"photos/caf\xe9 1%.jpg")) == "bytes:photos/caf%E9 1%25.jpg"
    assert parquet_rows.spell("photos/café 1%.jpg") == "photos/café 1%.jpg"
    assert parquet_rows.spell("bytes:x") == "bytes:bytes%3Ax"
    assert parquet_rows.spell(None) is None


@needs_pyarrow
def test_parquet_types_are_those_of_the_fields(tmp_path: Path) -> None:
    import pyarrow.parquet

    write(tmp_path / "rows.parquet", [], "parquet")
    schema = pyarrow.parquet.read_schema(tmp_path / "rows.parquet")
    types = {
        "string": "str",
        "int64": "int",
        "double": "float",
        "bool": "bool",
        "list<element: list<element: double>>": "Grid",
    }
    assert [(one.name, types[str(one.type)], one.nullable) for one in schema] == [one[:3] for one in FIELDS]


@needs_pyarrow
def test_parquet_of_several_groups_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet

    monkeypatch.setattr(parquet_rows, "ROWS_AT_ONCE", 10)
    rows = [Row(f"{number}.jpg", score=number / 64) for number in range(35)]
    write(tmp_path / "rows.parquet", rows, "parquet")
    assert list(row_reader.read_rows(str(tmp_path / "rows.parquet"), "parquet")) == rows
    assert pyarrow.parquet.ParquetFile(tmp_path / "rows.parquet").num_row_groups == 4


@needs_pyarrow
@pytest.mark.parametrize("long", ["path", "error"])
def test_a_long_text_that_a_small_file_repeats_takes_no_memory(long: str, tmp_path: Path) -> None:
    """Two megabytes in a thousand rows are two gigabytes, and a few kilobytes on disk."""
    import pyarrow
    import pyarrow.parquet

    for size in (1_500_000, 3_000_000):
        columns = {"path": ["a"] * 1000, "error": ["x: y"] * 1000, "kind": ["picture"] * 1000}
        columns[long] = ["x" * size] * 1000
        pyarrow.parquet.write_table(
            pyarrow.table({name: pyarrow.array(values).dictionary_encode() for name, values in columns.items()}),
            tmp_path / "rows",
            compression="zstd",
        )
        assert (tmp_path / "rows").stat().st_size < 100_000
        peak, output = peak_of(READ, str(tmp_path / "rows"))
        assert output == (b"1000" if size < 2**21 else b"it is no Parquet file that this command wrote")
        assert peak < 400 * 1024


READ = """
import sys
from open_nsfw.errors import UsageError
from open_nsfw.rows.reader import read_rows
try:
    print(sum(1 for _ in read_rows(sys.argv[1], "parquet")))
except UsageError as error:
    print(str(error).split(": ")[1].split(";")[0])
"""


def test_cells_of_absurd_number_are_refused(tmp_path: Path) -> None:
    """A long list of zeros takes next to nothing in the file, and gigabytes when it is read."""
    arrow = pytest.importorskip("pyarrow")
    file = tmp_path / "scores.parquet"
    zeros = arrow.ListArray.from_arrays([0, 1_000_000], arrow.array(np.zeros(1_000_000)))
    cells = arrow.ListArray.from_arrays([0, 1], zeros)
    table = arrow.table({"path": ["a.jpg"], "cells": cells})
    importlib.import_module("pyarrow.parquet").write_table(table, file)
    assert file.stat().st_size < 20_000
    with pytest.raises(UsageError, match="it is no Parquet file that this command wrote"):
        list(row_reader.read_rows(str(file), "parquet"))
