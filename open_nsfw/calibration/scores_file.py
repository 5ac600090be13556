"""Scores without labels, as `classify_nsfw` writes them: those of today's traffic, to check a policy on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from open_nsfw.calibration.label_file import is_counted, score_of, text_of
from open_nsfw.calibration.tables import Cells, cannot_read, read_table
from open_nsfw.errors import UsageError
from open_nsfw.rows.reader import read_rows


@dataclass(frozen=True)
class Scores:
    """The scores of today's traffic."""

    scores: list[float]
    without: int
    """Rows that have none."""
    models: frozenset[str]
    """The hashes of the models that gave them, where the rows say so."""


def read_scores(path: str) -> Scores:
    """The scores in CSV, JSON lines or Parquet with a column `score`; frames do not count, their summary does.

    Raises UsageError with the line at fault.
    """
    scores: list[float] = []
    without, has_column = 0, False
    models: set[str] = set()
    for line, row in _parquet_rows(path) if path.endswith(".parquet") else read_table(path):
        has_column = has_column or "score" in row
        if not has_column:
            raise UsageError(f"{path}: it has no column score")
        if not is_counted(row):
            continue
        score = score_of(row.get("score"), f"{path} line {line}")
        if score is None:
            without += 1
            continue
        scores.append(score)
        model = text_of(row.get("model"), "model", f"{path} line {line}")
        models |= {model} if model else set()
    return Scores(scores, without, frozenset(models))


def _parquet_rows(path: str) -> Iterator[tuple[int, Cells]]:
    try:
        for number, row in enumerate(read_rows(path, "parquet", "; `classify_nsfw --format parquet` writes such"), 1):
            yield number, vars(row)
    except OSError as error:
        raise cannot_read(path, error) from error
