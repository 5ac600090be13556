"""Labelled pictures: a folder, CSV or JSON lines -> paths or scores with labels, and the ground rules that sort them.

    read_labels      LABELS -> Labels: a folder to score, paths to score, or scores that are there already
    read_scores      a file of scores without labels, as `classify_nsfw.py` writes it -> scores
    LabelledSet      takes pictures one by one, counts each content once, and lists what does not count

The ground rules:

1. nsfw is the positive class. A score at or over a threshold counts as nsfw; equal scores are never parted.
2. A picture that is not there or cannot be read has no score and does not count; each is named.
3. The same content (SHA-256) under the same label counts once: the first. Without content, the same path does.
4. The same content under both labels counts not at all; each is named.
5. A video or animation scored frame by frame counts once, with its highest score; a member of an archive is a picture.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from open_nsfw.errors import UsageError

LONGEST_CELL = 1 << 20  # characters; csv's own limit is shorter than the longest path, escaped
POSITIVE_WORDS, NEGATIVE_WORDS = ("1", "true"), ("0", "false")  # understood beside the two names


@dataclass(frozen=True)
class LabelNames:
    """What the two classes are called: folders, or values of the column `label`."""

    positive: str = "nsfw"
    negative: str = "sfw"

    def __post_init__(self) -> None:
        if self.positive == self.negative:
            raise UsageError(f"--positive and --negative are both '{self.positive}'; two labels are needed")

    def is_nsfw(self, label: Any) -> bool | None:
        """Whether this value of the column means nsfw; None if it means nothing."""
        text = str(label).strip()
        if text in (self.positive, self.negative):
            return text == self.positive
        if text.lower() in POSITIVE_WORDS + NEGATIVE_WORDS:
            return text.lower() in POSITIVE_WORDS
        return None


@dataclass(frozen=True)
class Entry:
    """A labelled picture as a file of labels has it."""

    nsfw: bool
    path: str | None = None
    """For a file of paths: as the program opens it."""
    member: str | None = None
    score: float | None = None
    error: str | None = None
    """Why there is no score."""
    sha256: str | None = None
    model: str | None = None
    line: int = 0


@dataclass(frozen=True)
class Labels:
    """What LABELS holds: `folders` to score, or `entries` with paths to score or with scores."""

    folders: dict[str, bool] = field(default_factory=dict)
    """Folder -> whether its pictures are nsfw."""
    entries: list[Entry] = field(default_factory=list)
    scored: bool = False
    """The entries have scores; no picture is needed."""


def read_labels(path: str, names: LabelNames) -> Labels:
    """The labels in the folder or file `path`. Raises UsageError with the line at fault."""
    if os.path.isdir(path):
        return Labels(folders=_folders(path, names))
    rows = list(_rows(path))
    columns = set().union(*(row for _, row in rows)) if rows else set()
    if not rows:
        raise UsageError(f"{path}: there are no labels in it")
    if "label" not in columns or not columns & {"path", "score"}:
        raise UsageError(
            f"{path}: it has the columns {', '.join(sorted(map(str, columns))) or '(none)'}; "
            "path and label, or score and label, are needed"
        )
    scored = "score" in columns
    base = os.path.dirname(path)
    entries = [_entry(row, names, scored, base, f"{path} line {line}", line) for line, row in rows if _counts(row)]
    return Labels(entries=entries, scored=scored)


def _folders(path: str, names: LabelNames) -> dict[str, bool]:
    folders = {os.path.join(path, names.negative): False, os.path.join(path, names.positive): True}
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(
                f"{path}: has no folder '{os.path.basename(folder)}'; safe pictures are expected in "
                f"'{names.negative}', the others in '{names.positive}' (--negative NAME, --positive NAME)"
            )
    return folders


def _counts(row: dict[str, Any]) -> bool:
    """A frame does not: the summary of its video does."""
    return row.get("kind") != "frame"


def _entry(row: dict[str, Any], names: LabelNames, scored: bool, base: str, where: str, line: int) -> Entry:
    nsfw = names.is_nsfw(row.get("label"))
    if nsfw is None:
        raise UsageError(
            f"{where}: the label {row.get('label')!r} is neither '{names.positive}' nor '{names.negative}' "
            "(--positive NAME, --negative NAME)"
        )
    texts = {name: _text(row.get(name), name, where) for name in ("path", "member", "error", "sha256", "model")}
    if scored:
        score = _score(row.get("score"), where)
        error = None if score is not None else texts["error"] or "no-score: its score is empty"
        return Entry(nsfw, texts["path"], texts["member"], score, error, texts["sha256"], texts["model"], line)
    if not texts["path"]:
        raise UsageError(f"{where}: the path is empty")
    path = os.path.join(base, texts["path"])
    if os.path.isdir(path):
        raise UsageError(f"{where}: {texts['path']} is a folder; a line labels one file")
    return Entry(nsfw, "./-" if path == "-" else path, line=line)


def _text(value: Any, name: str, where: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise UsageError(f"{where}: the {name} {value!r} is no text")
    return value


def _score(value: Any, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        score = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        score = float("nan")
    if not 0 <= score <= 1:
        raise UsageError(f"{where}: the score {value!r} is no number from 0 to 1")
    return score


# --- scores without labels ---


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
    without, seen = 0, False
    models: set[str] = set()
    for line, row in _parquet_rows(path) if path.endswith(".parquet") else _rows(path):
        seen = seen or "score" in row
        if not seen:
            raise UsageError(f"{path}: it has no column score")
        if not _counts(row):
            continue
        score = _score(row.get("score"), f"{path} line {line}")
        if score is None:
            without += 1
            continue
        scores.append(score)
        if row.get("model"):
            models.add(str(row["model"]))
    return Scores(scores, without, frozenset(models))


def _parquet_rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    from open_nsfw.rows.reader import read_rows

    try:
        for number, row in enumerate(read_rows(path, "parquet"), 1):
            yield number, vars(row)
    except OSError as error:
        raise _cannot_read(path, error) from error


# --- files of rows ---


def _cannot_read(path: str, error: OSError) -> UsageError:
    if isinstance(error, FileNotFoundError):
        return UsageError(f"{path}: there is no such file or folder")
    return UsageError(f"{path}: cannot be read: {error.strerror or error}")


def _rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, values by column) of CSV with a header or of JSON lines; its first character tells which."""
    try:
        with open(path, "rb") as file:
            yield from _json_rows(file, path) if _first_character(file) == b"{" else _csv_rows(path)
    except OSError as error:
        raise _cannot_read(path, error) from error


def _first_character(file: BinaryIO) -> bytes:
    head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(0)
    return head[:1]


def _json_rows(file: BinaryIO, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UsageError(f"{path} line {number}: is no JSON object")
        yield number, row


def _csv_rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    import csv

    csv.field_size_limit(LONGEST_CELL)
    # Names that are not UTF-8 pass through, as they do in what this program writes; utf-8-sig drops Excel's mark.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, restkey="\0more", strict=True)
        try:
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            for row in reader:
                if "\0more" in row:
                    raise UsageError(f"{path} line {reader.reader.line_num}: has more cells than the header")
                yield reader.reader.line_num, row
        except csv.Error as error:
            raise UsageError(f"{path} line {reader.reader.line_num}: is no CSV: {error}") from error


# --- the ground rules ---


@dataclass(frozen=True)
class Example:
    """A labelled picture that counts."""

    score: float
    nsfw: bool
    path: str | None = None
    member: str | None = None


@dataclass
class LabelledSet:
    """Pictures in the order they came, and all that does not count, by name. Call `examples()` when all have come."""

    missing: list[str] = field(default_factory=list)
    """Names are for people, on one line: `outputs.label` makes them."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """(name, why)"""
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """(name, the name of the one that counts)"""
    conflicts: list[list[str]] = field(default_factory=list)
    """The names, with their labels, of each content that has both labels."""
    _found: list[tuple[Example, str, str | None]] = field(default_factory=list)

    def add(self, example: Example, name: str, identity: str | None) -> None:
        """A picture with a score. `identity` is its content's hash, or what else tells two of the same; None: nothing
        does."""
        self._found.append((example, name, identity))

    def add_failure(self, name: str, error: str) -> None:
        """A picture without a score; `error` is `code: sentence`, as rows have it."""
        code, _, reason = error.partition(": ")
        if code in ("not-found", "no-match"):
            self.missing.append(name)
        else:
            self.unreadable.append((name, reason or error))

    def examples(self) -> list[Example]:
        """Those that count. Fills `duplicates` and `conflicts`."""
        self.duplicates, self.conflicts = [], []
        groups: dict[str, list[tuple[Example, str]]] = {}
        result = []
        for example, name, identity in self._found:
            if identity is not None:
                groups.setdefault(identity, []).append((example, name))
        contested = {identity for identity, group in groups.items() if len({example.nsfw for example, _ in group}) == 2}
        for example, name, identity in self._found:
            if identity in contested:
                continue
            if identity is None or groups[identity][0][0] is example:
                result.append(example)
            else:
                self.duplicates.append((name, groups[identity][0][1]))
        for identity in groups:
            if identity in contested:
                self.conflicts.append([f"{name} ({'nsfw' if each.nsfw else 'sfw'})" for each, name in groups[identity]])
        return result


def identity_of(sha256: str | None, path: str | None, member: str | None) -> str | None:
    """What two entries of the same picture have in common."""
    if sha256:
        return f"sha256 {sha256}"
    return None if path is None else f"path {member or ''}\0{path}"


def require_both(names: LabelNames, sfw: int, nsfw: int, where: str) -> None:
    """Raises UsageError if one of the classes has no picture."""
    for count, name in ((sfw, names.negative), (nsfw, names.positive)):
        if not count:
            raise UsageError(f"{where}: no picture labelled '{name}' has a score; both labels are needed")
