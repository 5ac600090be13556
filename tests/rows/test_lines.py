"""Rows as lines of JSON, CSV and text: literal bytes, and any name survives."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_nsfw import text
from open_nsfw.rows import finished, lines
from open_nsfw.rows import parquet as parquet_rows
from open_nsfw.rows import reader as row_reader
from open_nsfw.rows.row import Row
from tests.tools.rows import (
    FAILED,
    PICTURE,
    SUMMARY,
    many,
    names,
    unprinted,
    write,
)


def test_json_line_is_these_bytes() -> None:
    assert lines.json_line(PICTURE) == (
        b'{"path": "photos/a.jpg", "member": null, "kind": "picture", "frame": null, "seconds": null, "track": null, '
        b'"until": null, "last_frame": null, '
        b'"part": null, "found_as": null, "left": null, "top": null, "right": null, "bottom": null, '
        b'"score": 0.0129502080381, "exact": null, "verdict": null, "error": null, '
        b'"width": 640, "height": 480, "format": "JPEG", "bytes": 12345, '
        b'"modified": 1700000000.25, "sha256": null, "frames": null, "parts": null, "max": null, "mean": null, "above": null, '
        b'"frame_choice": null, "segments": null, "stop_above": null, "bias": null, "cells": null, '
        b'"views": null, "upright": null, '
        b'"engine": "onnxruntime", "model": "1f2e3d4c"}\n'
    )


def test_json_of_a_name_that_is_not_utf_8_is_ascii_and_gives_the_bytes_back() -> None:
    line = lines.json_line(Row(os.fsdecode(b"caf\xe9 \xf0\x9f\x98\x80.jpg")))
    assert line.startswith(b'{"path": "caf\\udce9 \\ud83d\\ude00.jpg", ')
    assert os.fsencode(json.loads(line)["path"]) == b"caf\xe9 \xf0\x9f\x98\x80.jpg"


def test_csv_lines_are_these_bytes() -> None:
    assert lines.csv_header() == (
        b"path,member,kind,frame,seconds,track,until,last_frame,part,found_as,left,top,right,bottom,score,exact,verdict,"
        b"error,width,height,format,bytes,modified,sha256,frames,parts,max,mean,above,frame_choice,segments,stop_above,"
        b"bias,cells,views,upright,engine,model\r\n"
    )
    assert lines.csv_line(FAILED) == (
        b'b.jpg,,picture,,,,,,,,,,,,,,,"truncated: the picture ends early, at byte 512",,,,,,,,,,,,,,,,,,,caffe,1f2e3d4c\r\n'
    )
    assert (
        lines.csv_line(Row(os.fsdecode(b'\xe9"\n'), member=""))
        == b'"\xe9""\n","",picture,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"",""\r\n'
    )


def test_csv_is_read_by_the_standard_library(tmp_path: Path) -> None:
    hostile = Row(os.fsdecode(b'caf\xe9, "x"\r\n\x1b[2J.jpg'), member="m\n", score=1e-7)
    write(tmp_path / "rows.csv", [PICTURE, hostile, FAILED], "csv")
    with open(tmp_path / "rows.csv", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [PICTURE.path, hostile.path, FAILED.path]
    assert [row["score"] for row in rows] == ["0.0129502080381", "1e-07", ""]
    assert rows[1]["member"] == "m\n"
    assert os.fsencode(rows[1]["path"]) == b'caf\xe9, "x"\r\n\x1b[2J.jpg'


def test_text_of_one_picture_is_what_yahoos_script_prints() -> None:
    assert lines.text_line(PICTURE, single=True) == b"NSFW score: 0.0129502080381\n"
    assert lines.text_line(Row("x", score=0.012950208038091660), single=True) == b"NSFW score: 0.0129502080381\n"


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (PICTURE, "NSFW score: 0.0129502080381 photos/a.jpg\n"),
        (Row("u.zip", "a/ü😀.jpg", score=0.5), "NSFW score: 0.5 u.zip!a/ü😀.jpg\n"),
        (Row("loop.gif", kind="frame", frame=12, score=1.0), "NSFW score: 1 loop.gif #12\n"),
        (Row("c.mp4", kind="frame", frame=84, seconds=3.5, score=0.25), "NSFW score: 0.25 c.mp4 #84 @3.5s\n"),
        (Row("c.mp4", kind="frame", frame=2, track=1, score=0.25), "NSFW score: 0.25 c.mp4 track 1 #2\n"),
        (
            SUMMARY,
            "NSFW score: 0.75 clip.mp4 (highest of 120 frames, mean 0.25, 0 at or over the threshold)\n",
        ),
        (Row("a\nb\x1b[2J.jpg", score=0.5), "NSFW score: 0.5 $'a\\x0ab\\x1b[2J.jpg'\n"),
        (Row(os.fsdecode(b"it's\\caf\xe9"), score=0.5), "NSFW score: 0.5 $'it\\'s\\\\caf\\xe9'\n"),
        (Row("\u202egpj.exe\u2028", score=0.5), "NSFW score: 0.5 $'\\xe2\\x80\\xaegpj.exe\\xe2\\x80\\xa8'\n"),
        (Row("C:\\it's.jpg", score=0.5), "NSFW score: 0.5 C:\\it's.jpg\n"),
        (Row("👩\u200d👧.jpg", score=0.5), "NSFW score: 0.5 👩\u200d👧.jpg\n"),
        (FAILED, ""),
    ],
)
def test_text_lines(row: Row, line: str) -> None:
    assert lines.text_line(row) == line.encode()


def test_a_shell_reads_a_printed_name_back() -> None:
    name = b"it's \\ caf\xe9 \xf0\x9f\x98\x80\n\x1b[2J\x7f\xc2\x85.jpg"
    printed = text.printable(os.fsdecode(name))
    shell = subprocess.run(["bash", "-c", f"printf %s {printed}"], stdout=subprocess.PIPE, check=True)
    assert shell.stdout == name


@many
@given(name=names)
def test_names_round_trip_in_text_on_one_line(name: str) -> None:
    line = lines.text_line(Row(name, score=0.5)).decode("utf-8")
    assert line.endswith("\n")
    assert line.splitlines() == [line[:-1]]
    assert line[:-1].isprintable() or not name.isprintable() or " " in name
    assert unprinted(line[len("NSFW score: 0.5 ") : -1]) == name


@given(name=st.text(st.characters(), max_size=20))
def test_strings_that_stand_for_no_bytes_are_written_all_the_same(name: str) -> None:
    """Lone surrogates as Windows has them: nothing raises, and --resume knows the row again."""
    row = Row(name, score=0.5)
    read = next(iter(row_reader.CsvReader(io.BytesIO(lines.csv_header() + lines.csv_line(row)), "x")))
    assert finished.key_of(read.values["path"], None) == finished.key_of(name, None)
    assert json.loads(lines.json_line(row))["path"] == json.loads(json.dumps(name))
    assert lines.text_line(row).endswith(b"\n")
    assert parquet_rows.spell(name) is not None


def test_cells_as_json_and_in_csv() -> None:
    """Rows of numbers; in CSV the same text, quoted for its commas."""
    row = Row("a.jpg", bias=2.0, cells=((0.5, -1.25), (3e-07, 0.0)))
    assert b'"bias": 2.0, "cells": [[0.5, -1.25], [3e-07, 0.0]], ' in lines.json_line(row)
    assert b',2.0,"[[0.5, -1.25], [3e-07, 0.0]]",' in lines.csv_line(row)
