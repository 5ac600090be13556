"""Files of rows that something happened to: refused with the line, in bounded time and memory, and never cut short."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from open_nsfw.errors import UsageError
from open_nsfw.rows.lines import csv_header, csv_line, json_line
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.reader import LONGEST_ROW, read_rows
from open_nsfw.rows.row import Row
from open_nsfw.rows.writer import open_writer
from tests.tools.helpers import examples

LEFT = "it was left as it is, choose another --output or --overwrite it"
KINDS = {"jsonl": "JSON lines", "csv": "CSV"}
HEADER = csv_header()


@contextmanager
def quickly(seconds: float = 15) -> Iterator[None]:
    """Far more than it takes on a busy machine, and far less than anything quadratic."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def refused(file: Path, form: str, line: int) -> None:
    """A run that would go on says which line, and leaves the file as it is."""
    before = file.read_bytes()
    with pytest.raises(UsageError) as caught, quickly():
        open_writer(OutputOptions(form, str(file), resume=True))
    assert str(caught.value) == f"{file}: line {line:,} is no row that this command wrote as {KINDS[form]}; {LEFT}"
    assert file.read_bytes() == before


def resumed(file: Path, form: str) -> bytes:
    """What a run that goes on and finds nothing to do leaves."""
    open_writer(OutputOptions(form, str(file), resume=True)).close()
    return file.read_bytes()


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "rows"


@pytest.mark.parametrize("stray", [b'"', b'a"', b'"a"b'])
@pytest.mark.parametrize("behind", [0, 1, 10, 30_000])
def test_csv_with_one_stray_quote(stray: bytes, behind: int, file: Path) -> None:
    """All that stands behind it is not one torn row."""
    row = csv_line(Row("photos/a.jpg", score=0.5, model="x"))
    file.write_bytes(HEADER + row * 2 + stray + row + row * behind)
    if stray == b'"' and not behind:  # as a kill may leave it, in a name with a line's end
        assert resumed(file, "csv") == HEADER + row * 2
    else:
        refused(file, "csv", 4)


def test_a_name_of_400_000_line_breaks(file: Path) -> None:
    row = Row("\n" * 400_000 + ".jpg", score=0.5)
    for form, content in (("csv", HEADER + csv_line(row)), ("jsonl", json_line(row))):
        file.write_bytes(content)
        with quickly():
            assert list(read_rows(str(file), form)) == [row]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("score", value) for value in ("1" * 400, "1.5", "-0.1", "1e400", "nan", "1e999", "-1" + "0" * 50)),
        *(("frame", value) for value in ("1" * 400, "-1", "9223372036854775808", "1.5")),
        *((name, "1.01") for name in ("max", "mean")),
        *((name, "-1") for name in ("track", "width", "height", "bytes", "frames", "above")),
    ],
)
def test_numbers_that_no_row_has(column: str, value: str, file: Path) -> None:
    file.write_bytes(b"path,%s\r\na,\r\nb,%s\r\n" % (column.encode(), value.encode()))
    refused(file, "csv", 3)
    file.write_bytes(b'{"path": "a"}\n{"path": "b", "%s": %s}\n' % (column.encode(), value.encode()))
    refused(file, "jsonl", 2)


@pytest.mark.parametrize("zeros", [1, 4096])
def test_zeros_that_a_power_failure_left(zeros: int, file: Path) -> None:
    """In place of the end of the header, of a row, or behind either."""
    row = csv_line(Row('a"\n', score=0.5))
    for cut in range(len(HEADER)):
        file.write_bytes(HEADER[:cut] + b"\0" * zeros)
        assert resumed(file, "csv") == HEADER
    for cut in range(len(row)):
        file.write_bytes(HEADER + row + row[:cut] + b"\0" * zeros)
        assert resumed(file, "csv") == HEADER + row, cut
    line = json_line(Row("a", score=0.5))
    for cut in (0, 1, 5, 30):
        file.write_bytes(line[:cut] + b"\0" * zeros)
        assert resumed(file, "jsonl") == b""


@pytest.mark.parametrize(
    ("form", "start", "piece"),
    [
        ("jsonl", b'{"path": "a", "later": [', b"[],"),
        ("jsonl", b'{"path": "', b"a"),
        ("jsonl", b"", b"\0"),
        ("csv", HEADER + b'"', b'""'),
        ("csv", HEADER + b'"', b"\n"),
        ("csv", HEADER, b","),
        ("csv", HEADER + b'"a', b"x"),
    ],
)
def test_a_row_without_end_is_not_gathered(form: str, start: bytes, piece: bytes, file: Path) -> None:
    file.write_bytes(start + piece * (40_000_000 // len(piece)))
    tracemalloc.start()
    try:
        refused_at = start.count(b"\n") + 1
        with pytest.raises(UsageError, match=f": line {refused_at} is no row"), quickly(90):
            list(read_rows(str(file), form))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * LONGEST_ROW


ROWS = [Row("a", score=0.5), Row('b"\r\n,', member="x", score=0.25), Row("c", error="truncated: x")]
MODEST = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@MODEST
@given(data=st.data())
def test_damaged_files_give_rows_or_are_refused(form: str, data: st.DataObject, file: Path) -> None:
    """Bytes changed, taken out, doubled, put in: whatever comes, reading gives rows or one error, and a row that stood
    whole before the damage is never lost to a run that goes on."""
    whole = [json_line(row) for row in ROWS] if form == "jsonl" else [csv_line(row) for row in ROWS]
    head = b"" if form == "jsonl" else HEADER
    content = head + b"".join(whole)
    at = data.draw(st.integers(0, len(content)))
    to = data.draw(st.integers(at, min(len(content), at + 20)))
    put_in = data.draw(st.one_of(st.binary(max_size=20), st.sampled_from([b'"', b"\n", b",", b"\0" * 9, b'"\r\n'])))
    damaged = content[:at] + put_in + content[to:]
    file.write_bytes(damaged)
    try:
        list(read_rows(str(file), form))
        after = resumed(file, form)
    except UsageError:
        assert file.read_bytes() == damaged
        return
    end = len(head)
    for line in whole:
        end += len(line)
        if end <= at:
            assert line in after


GRIDS = [
    "[[1, 2], [3]]",
    "[1, 2]",
    "[[1, NaN]]",
    "[[1e999]]",
    '[["1"]]',
    "[[true]]",
    "{}",
    "[[1]",
    "[[9223372036854775808]]",
]


@pytest.mark.parametrize("cells", GRIDS)
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_cells_that_are_no_rows_of_numbers(tmp_path: Path, form: str, cells: str) -> None:
    """Are refused with the number of the line."""
    file = tmp_path / "scores"
    text = f'{{"path": "a.jpg", "cells": {cells}}}\n' if form == "jsonl" else f'path,cells\r\na.jpg,"{cells}"\r\n'
    file.write_bytes(text.replace('""1""', '"1"').encode())
    with pytest.raises(UsageError, match=f"line {1 if form == 'jsonl' else 2} is no row that this command wrote"):
        list(read_rows(str(file), form))


def read(tmp_path: Path, *rows: dict[str, Any]) -> list[Row]:
    """The rows of a file of these JSON lines."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(read_rows(str(path), "jsonl"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 1.5},
        {"score": -0.1},
        {"width": -1},
        {"width": 2**63},
        {"kind": "film"},
        {"bytes": 10**30},
        {"modified": 1e999},
        {"score": True},
        {"width": 640.0},
        {"format": 5},
    ],
)
def test_a_row_like_the_one_before_it_is_checked_as_well(wrong: dict[str, Any], tmp_path: Path) -> None:
    """Where names and types are those of a row that was right, its values may still be none of a row's."""
    right = json.loads(json_line(Row("a", score=0.5, exact=True, width=640, bytes=9, modified=1.5, format="JPEG")))
    assert read(tmp_path, right, {**right, "score": 0.25}) == [Row(**right), Row(**{**right, "score": 0.25})]
    with pytest.raises(UsageError, match="line 3 is no row that this command wrote as JSON lines"):
        read(tmp_path, right, right, {**right, **wrong})


def test_rows_of_an_older_version_one_after_the_other(tmp_path: Path) -> None:
    """What they lack is null in all of them, and other columns are left out."""
    old = {"path": "a", "score": 0.5}
    assert read(tmp_path, old, {**old, "path": "b"}, {**old, "other": 1}, {**old, "other": 2}) == [
        *(Row("a", score=0.5), Row("b", score=0.5), Row("a", score=0.5), Row("a", score=0.5))
    ]
