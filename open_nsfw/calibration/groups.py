"""Which of the labelled pictures are not independent of each other.

by the column `group` of LABELS   what the user knows: the film, the session, the original
by folder                         the pictures of a folder below sfw/ or nsfw/, such as the frames of a film
by content                        pictures that look alike; see looks.py
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.labels import Entry
from open_nsfw.calibration.looks import names_of_groups
from open_nsfw.calibration.sample import Floats, Ints, Sample
from open_nsfw.cores import default_jobs
from open_nsfw.errors import UsageError
from open_nsfw.rows.row import Row, label

AUTO, COLUMN, FOLDER, CONTENT, NONE = "auto", "column", "folder", "content", "none"
WAYS = (AUTO, COLUMN, FOLDER, CONTENT, NONE)
WORDS = {COLUMN: "by the column group", FOLDER: "by folder", CONTENT: "by content"}
FEW = 0.5  # of the pictures of a class; a sample that is worth less of them than that gets a warning


@dataclass(frozen=True)
class Grouping:
    """The groups of the pictures that count."""

    by: str
    """`column`, `folder`, `content` or `none`."""
    numbers: Ints | None
    """int64 (N,), from 0: the group of each picture. None where each stands for itself."""
    warning: str | None = None
    """Of pictures that could not be grouped."""


def by_column(examples: Sequence[Example]) -> Grouping:
    """By the column `group`; a picture without one stands for itself. Raises UsageError where no picture has one."""
    check_column(examples)
    return Grouping(COLUMN, numbered([example.group for example in examples]))


def check_column(labelled: Sequence[Example] | Sequence[Entry]) -> None:
    """Raises UsageError where none has a group."""
    if all(each.group is None for each in labelled):
        raise UsageError("--group-by column: LABELS has no column group")


def sample_of(examples: Sequence[Example], groups: Ints | None) -> Sample:
    """The scores, labels and weights of these pictures, in the groups that were found: int64 (N,), or None."""
    scores = np.array([each.score for each in examples], dtype=np.float64)
    nsfw = np.array([each.nsfw for each in examples], dtype=bool)
    return Sample(scores, nsfw, groups, weights_of(examples))


def weights_of(examples: Sequence[Example]) -> Floats | None:
    """float64 (N,), above 0: how many pictures each stands for; None where all stand for as many."""
    weights = np.array([1.0 if each.weight is None else each.weight for each in examples])
    return None if len(weights) == 0 or np.all(weights == weights[0]) else weights


def by_folder(examples: Sequence[Example], folders: Sequence[str]) -> Grouping:
    """By the folder that the picture is in; directly in one of `folders`, or without a path, it stands for itself. Raises
    UsageError where no picture has a path."""
    if all(example.path is None for example in examples):
        raise UsageError("--group-by folder: LABELS has no column path")
    own = {os.path.normpath(folder) for folder in folders}
    return Grouping(FOLDER, numbered([_folder_of(example, own) for example in examples]))


def by_content(examples: Sequence[Example], kept_in: str, jobs: int | None, quiet: bool) -> Grouping:
    """By how the pictures look; one that cannot be decoded any more stands for itself, and is counted in the warning. Raises
    UsageError where none can be."""
    if all(example.path is None for example in examples):
        raise UsageError("--group-by content: LABELS has no column path, so nobody can look at the pictures")
    names = names_of_groups(examples, kept_in, jobs or default_jobs(), quiet)
    unseen = sum(name is None for name in names)
    if unseen == len(names):
        raise UsageError(
            "--group-by content: none of the pictures can be looked at, the first one being "
            f"{_name_of(examples[0])}; relative paths in LABELS with scores start at the working directory"
        )
    return Grouping(CONTENT, numbered(names), _unseen_warning(unseen, len(names)))


def _unseen_warning(unseen: int, of: int) -> str | None:
    if not unseen:
        return None
    return f"{unseen:,} of the {of:,} pictures cannot be looked at any more: each of them is taken to stand for itself"


def _name_of(example: Example) -> str:
    return "one without a path" if example.path is None else label(Row(example.path, example.member))


def _folder_of(example: Example, own: set[str]) -> str | None:
    if example.path is None:
        return None
    if example.member is not None:
        return f"{example.path}\0{os.path.dirname(example.member)}"
    folder = os.path.dirname(os.path.normpath(example.path))
    return None if folder in own else folder


def numbered(names: Sequence[str | None]) -> Ints | None:
    """The number of the group that each name stands for; None names no group, so it gets a number of its own. None where no
    two pictures share a group."""
    numbers: dict[str, int] = {}
    found = np.arange(len(names))
    for index, name in enumerate(names):
        if name is not None:
            found[index] = numbers.setdefault(name, index)
    _, inverse = np.unique(found, return_inverse=True)
    return None if len(names) == inverse.max(initial=-1) + 1 else inverse


def warning(sample: Sample, by: str) -> str | None:
    """What is to be said of a sample that is worth far fewer pictures than it has."""
    counts = {False: sample.negatives, True: sample.positives}
    worth = {nsfw: count / sample.group_effect(nsfw) for nsfw, count in counts.items()}
    if all(worth[nsfw] >= FEW * count for nsfw, count in counts.items()):
        return None
    sfw, nsfw = (max(1, round(worth[each])) for each in (False, True))
    return (
        f"the {len(sample.nsfw):,} pictures come from {sample.group_count:,} groups ({WORDS[by]}): the {counts[False]:,} sfw "
        f"ones tell as much as {sfw:,} independent pictures, the {counts[True]:,} nsfw ones as {nsfw:,}; label pictures from "
        "more sources"
    )
