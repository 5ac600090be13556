"""Rows for tests, any rows at all, and files of them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from open_nsfw.rows import parquet as parquet_rows
from open_nsfw.rows import reader as row_reader
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.row import Row
from open_nsfw.rows.writer import Writer, open_writer
from tests.tools.helpers import examples

PICTURE = Row(
    path="photos/a.jpg",
    score=0.0129502080381,
    width=640,
    height=480,
    format="JPEG",
    bytes=12345,
    modified=1700000000.25,
    engine="onnxruntime",
    model="1f2e3d4c",
)
FAILED = Row(path="b.jpg", error="truncated: the picture ends early, at byte 512", engine="caffe", model="1f2e3d4c")
SUMMARY = Row("clip.mp4", kind="summary", score=0.75, frames=120, max=0.75, mean=0.25, above=0)

# What os.fsdecode gives for any bytes that can be a name, and strings as other sources have them.
names = st.one_of(
    st.binary(min_size=1, max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40),
    st.sampled_from(
        ["-", "bytes:x", "bytes:%41", "$'x'", "a,b", 'say "hi"', "\r", "a\r\nb", '"', "\\", "😀.jpg", " ", "\0"]
    ),
)
counts = st.one_of(st.none(), st.integers(0, 2**63 - 1))
reals = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
texts = st.one_of(st.none(), st.just(""), names)
truths = st.one_of(st.none(), st.booleans())
grids = st.integers(0, 3).flatmap(
    lambda width: st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * width), max_size=3).map(tuple)
)
columns = {
    "Grid | None": st.one_of(st.none(), grids),
    "str | None": texts,
    "int | None": counts,
    "float | None": reals,
    "bool | None": truths,
    "str": names,
}
own = {
    "kind": st.sampled_from(row_reader.KINDS),
    **dict.fromkeys(("score", "max", "mean", "segments", "stop_above"), st.one_of(st.none(), st.floats(0, 1))),
}
any_row = st.builds(Row, **{one.name: own.get(one.name, columns[str(one.type)]) for one in dataclasses.fields(Row)})
many = settings(
    deadline=None,
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

needs_pyarrow = pytest.mark.skipif(not parquet_rows.find_spec("pyarrow"), reason="no pyarrow here")
every_form = pytest.mark.parametrize("form", ["jsonl", "csv", pytest.param("parquet", marks=needs_pyarrow)])
LEFT = "it was left as it is, choose another --output or --overwrite it"


def unprinted(text: str) -> str:
    """What a shell makes of a word that `printable` gave."""
    if not text.startswith("$'"):
        return text
    raw = re.sub(
        rb"\\(x[0-9a-f]{2}|.)",
        lambda match: bytes([int(match[1][1:], 16)]) if len(match[1]) == 3 else match[1],
        text[2:-1].encode("utf-8"),
        flags=re.DOTALL,
    )
    return raw.decode("utf-8", "surrogateescape")


def write(file: Path, rows: list[Row], form: str, **options: Any) -> None:
    """A run that writes `rows` into `file`."""
    with open_writer(OutputOptions(form, str(file), **options)) as writer:
        writer.write(rows)


def read(file: Path, form: str) -> list[Row]:
    """The rows in `file`."""
    return list(row_reader.read_rows(str(file), form))


def resumed(file: Path, form: str, **options: Any) -> Writer:
    """A run that goes on with `file`."""
    return open_writer(OutputOptions(form, str(file), resume=True, **options))


def picture(path: Path, **values: Any) -> Row:
    """A row as the run before would have written it about the file as it is."""
    found = path.stat()
    return Row(**{"path": str(path), "score": 0.5, "bytes": found.st_size, "modified": found.st_mtime, **values})


def frames_of(path: Path, count: int) -> list[Row]:
    """The rows of a file of several frames, its summary last."""
    rows = [picture(path, kind="frame", frame=number, seconds=number / 8) for number in range(count)]
    return [*rows, picture(path, kind="summary", frames=count, max=0.5, mean=0.5, above=0)]
