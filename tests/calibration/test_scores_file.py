"""Scores without labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.calibration.scores_file import read_scores
from open_nsfw.errors import UsageError
from open_nsfw.rows.lines import csv_header, csv_line, json_line
from open_nsfw.rows.row import Row


def test_scores_of_today(tmp_path: Path) -> None:
    """Whatever the command wrote; frames are left to their summary."""
    rows = [
        Row("a.jpg", score=0.25, model="m"),
        Row("v.mp4", kind="frame", frame=0, score=0.5, model="m"),
        Row("v.mp4", kind="summary", score=0.5, frames=1, max=0.5, mean=0.5, above=0, model="m"),
        Row("b.jpg", error="truncated: it ends too early", model="m"),
    ]
    (tmp_path / "today.jsonl").write_bytes(b"".join(map(json_line, rows)))
    (tmp_path / "today.csv").write_bytes(csv_header() + b"".join(map(csv_line, rows)))
    for name in ("today.jsonl", "today.csv"):
        found = read_scores(str(tmp_path / name))
        assert (found.scores, found.without, found.models) == ([0.25, 0.5], 1, {"m"})


def test_scores_from_parquet(tmp_path: Path) -> None:
    """The third format of the command."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed in this interpreter")
    from open_nsfw.rows import parquet as parquet_rows

    parquet_rows.write(str(tmp_path / "today.parquet"), iter([Row("a.jpg", score=0.25, model="m")]))
    found = read_scores(str(tmp_path / "today.parquet"))
    assert (found.scores, found.models) == ([0.25], {"m"})


def test_a_file_without_scores(tmp_path: Path) -> None:
    """Is none to check a policy on."""
    (tmp_path / "today.csv").write_text("path\na.jpg\n")
    with pytest.raises(UsageError) as caught:
        read_scores(str(tmp_path / "today.csv"))
    assert str(caught.value) == f"{tmp_path}/today.csv: it has no column score"


def test_what_is_no_parquet(tmp_path: Path) -> None:
    """Is told so, without a word of files to be written."""
    path = tmp_path / "today.parquet"
    path.write_text("hello")
    pytest.importorskip("pyarrow", reason="no pyarrow here")
    with pytest.raises(UsageError) as caught:
        read_scores(str(path))
    assert str(caught.value) == (
        f"{path}: it is no Parquet file that this command wrote; `classify_nsfw --format parquet` writes such"
    )
