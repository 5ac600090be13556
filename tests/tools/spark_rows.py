"""Rows of Spark's files and of the command, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.rows.parquet import read
from tests.tools.helpers import run_command

CLOSE = 1e-6  # of two scores of one picture
SCORES = ("score", "max", "mean")


def written(folder: Path) -> list[dict[str, Any]]:
    """The rows that a job has left, in the order of their names."""
    return in_order(row for path in folder.glob("part-*.parquet") for row in read(str(path)))


def by_command(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The rows that `classify_nsfw --format parquet` gives, in the order of their names."""
    target = folder / "by-command.parquet"
    options = ["--format", "parquet", "--output", str(target), "--engine", "onnxruntime", "--overwrite", "--quiet"]
    result = run_command(*arguments, *options)
    assert result.status in (0, 1), result.err
    return in_order(read(str(target)))


def in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """By file, member and frame."""
    return sorted(rows, key=lambda row: (row["path"], row["member"] or "", row["kind"], row["frame"] or 0))


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Every column alike, scores to 1e-6."""
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    for row, other in zip(found, expected):
        for name, value in other.items():
            if name in SCORES and value is not None:
                assert row[name] == pytest.approx(value, abs=CLOSE), (row["path"], name)
            else:
                assert row[name] == value, (row["path"], name)
