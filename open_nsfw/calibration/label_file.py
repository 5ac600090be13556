"""Labels from a file: CSV or JSON lines with the columns path and label, or score and label."""

from __future__ import annotations

import math
import os

from open_nsfw.calibration.labels import Entry, LabelNames, Labels
from open_nsfw.calibration.tables import Cells, quoted, read_table
from open_nsfw.errors import UsageError
from open_nsfw.rows.reader import KINDS
from open_nsfw.rows.row import is_last
from open_nsfw.text import number

LIGHTEST, HEAVIEST = 1e-12, 1e12  # pictures that one stands for; squares and sums of such weights are exact enough
TEXTS = ("path", "member", "error", "sha256", "model", "engine")  # columns beside label and score


def read_label_file(path: str, names: LabelNames) -> Labels:
    """The labels in the file `path`. Raises UsageError with the line at fault."""
    rows = list(read_table(path))
    columns = set().union(*(row for _, row in rows)) if rows else set()
    if not rows:
        raise UsageError(f"{path}: there are no labels in it")
    if "label" not in columns or not columns & {"path", "score"}:
        raise UsageError(
            f"{path}: it has the columns {', '.join(sorted(map(str, columns))) or '(none)'}; "
            "path and label, or score and label, are needed"
        )
    scored = "score" in columns
    reader = _EntryReader(names, scored, os.path.dirname(path))
    entries = [reader.entry(row, f"{path} line {line}", line) for line, row in rows if is_counted(row)]
    _check_weights(entries, path)
    return Labels(entries=entries, scored=scored)


def _check_weights(entries: list[Entry], path: str) -> None:
    """Raises UsageError where some have a weight and others none."""
    without = [entry.line for entry in entries if entry.weight is None]
    if without and len(without) < len(entries):
        raise UsageError(f"{path} line {without[0]}: the weight is empty; give all lines one, or none")


def is_counted(row: Cells) -> bool:
    """Whether the row counts: a frame or a part does not, since the summary of its file does."""
    kind, views = row.get("kind"), row.get("views")
    return kind not in KINDS or is_last(str(kind), str(views or ""))


def score_of(value: object, where: str) -> float | None:
    """The score in a cell; None where it is empty. Raises UsageError for anything but a number from 0 to 1."""
    if value is None or value == "":
        return None
    score = _number(value)
    if not 0 <= score <= 1:
        raise UsageError(f"{where}: the score {quoted(value)} is no number from 0 to 1")
    return score


def weight_of(value: object, where: str) -> float | None:
    """The weight in a cell; None where it is empty. Raises UsageError for anything but a number that can be reckoned with."""
    if value is None or value == "":
        return None
    weight = _number(value)
    if not LIGHTEST <= weight <= HEAVIEST:
        raise UsageError(f"{where}: the weight {quoted(value)} is no number from {LIGHTEST:g} to {HEAVIEST:g}")
    return weight


def _number(value: object) -> float:
    """What a cell of CSV or JSON has; NaN for anything but a number that a float holds."""
    if isinstance(value, str):
        return number(value)
    try:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan


class _EntryReader:
    """Makes an Entry of each row of one file."""

    def __init__(self, names: LabelNames, scored: bool, base: str) -> None:
        """Relative paths start at the folder `base`."""
        self._names, self._scored, self._base = names, scored, base

    def entry(self, row: Cells, where: str, line: int) -> Entry:
        """The row as an Entry. Raises UsageError."""
        nsfw = self._names.is_nsfw(row.get("label"))
        if nsfw is None:
            raise UsageError(
                f"{where}: the label {quoted(row.get('label'))} is neither '{self._names.positive}' nor "
                f"'{self._names.negative}' (--positive NAME, --negative NAME)"
            )
        texts = {name: text_of(row.get(name), name, where) for name in TEXTS}
        group = row.get("group")
        texts["group"] = str(group) if type(group) is int else text_of(group, "group", where)
        weight = weight_of(row.get("weight"), where)
        if not self._scored:
            path, member, group = self._path(texts["path"], where), texts["member"], texts["group"]
            return Entry(nsfw, path, member, group=group, weight=weight, line=line)
        score = score_of(row.get("score"), where)
        if score is None and texts["error"] is None:
            texts["error"] = "no-score: its score is empty"
        texts["error"] = texts["error"] if score is None else None
        return Entry(nsfw, score=score, weight=weight, line=line, **texts)

    def _path(self, given: str | None, where: str) -> str:
        if not given:
            raise UsageError(f"{where}: the path is empty")
        path = os.path.join(self._base, given)
        if os.path.isdir(path):
            raise UsageError(f"{where}: {given} is a folder; a line labels one file")
        return "./-" if path == "-" else path  # a file of that name, not standard input


def text_of(value: object, name: str, where: str) -> str | None:
    """The text in a cell; None where it is empty. Raises UsageError for anything else."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise UsageError(f"{where}: the {name} {quoted(value)} is no text")
    return value
