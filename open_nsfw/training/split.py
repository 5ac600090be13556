"""Which pictures are learnt from and which are only measured on: a group is never on both sides.

A group is what is linked by any of these: the column `group` of LABELS or the folder, as the user says; the same archive;
features that differ from the mean in almost the same way, as those of two versions of one picture or of neighbouring frames of
a film do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from open_nsfw.calibration import groups
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.sample import Flags, Ints
from open_nsfw.errors import UsageError
from open_nsfw.training.feature_file import Float32
from open_nsfw.training.logistic import Standard

WAYS = (groups.AUTO, groups.COLUMN, groups.FOLDER, groups.NONE)

# Cosine of two pictures' features, each feature brought to mean 0 and standard deviation 1 over all pictures: nets whose
# features are large and all positive would otherwise find everything alike. Of 69 photographs with Yahoo's net, each with six
# versions (compressed again at quality 40, half the size, a fifth brighter, less contrast, mirrored, a tenth cropped off), nine
# of ten have 0.85 or more, but 0.68 at half the size; two different photographs have at most 0.757.
ALIKE = 0.8
ROWS_AT_ONCE = 512  # compared with all others
FOLDS = 5  # the first is the test fold; and again as many among the rest
LEAST_OF_A_CLASS = 2  # pictures, wherever something is learnt or tested: of one, nothing can be said


@dataclass(frozen=True, eq=False)
class Split:
    """Index arrays over the pictures."""

    groups: Ints
    """int64 (N,), from 0"""
    test: Ints
    """int64: only measured on, once."""
    rest: Ints
    """int64: learnt from."""
    folds: tuple[tuple[Ints, Ints], ...]
    """Of the rest: (learnt from, held out), indices into `rest`; each picture is held out once."""


def split(
    examples: Sequence[Example], features: Float32, nsfw: Flags, folders: Sequence[str], group_by: str, seed: int
) -> Split:
    """Raises UsageError where the pictures come from too few groups to be split."""
    numbers = find_groups(examples, features, folders, group_by)
    too_few = UsageError(
        f"the {len(nsfw):,} pictures come from {len(np.unique(numbers)):,} groups, too few or too unequal to be split so that "
        "no group is on both sides; label pictures from more sources"
    )
    rest, test = next(_folds(nsfw, numbers, seed, too_few))
    folds = tuple(_folds(nsfw[rest], numbers[rest], seed, too_few))
    sides = (test, rest, *(rest[learnt] for learnt, _ in folds))
    if any(np.bincount(nsfw[part], minlength=2).min() < LEAST_OF_A_CLASS for part in sides):
        raise too_few
    return Split(numbers, test, rest, folds)


def find_groups(examples: Sequence[Example], features: Float32, folders: Sequence[str], group_by: str) -> Ints:
    """int64 (N,): the number of each picture's group."""
    numbers = np.arange(len(examples))
    for links in chain(_named_links(examples, folders, group_by), [_archive_links(examples)], _alike(features)):
        numbers = _merged(numbers, links)
    return numbers


def _merged(numbers: Ints, links: Ints) -> Ints:
    """The groups when the pictures of `links`, int64 (2, pairs), are linked, too. Only what comes at once is in memory: the
    frames of one long film make more pairs than there is room for."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = np.concatenate((_links(numbers), links), axis=1)
    size = (len(numbers), len(numbers))
    _, merged = connected_components(coo_array((np.ones(len(rows), bool), (rows, columns)), size), directed=False)
    found: Ints = merged.astype(np.int64)
    return found


def _named_links(examples: Sequence[Example], folders: Sequence[str], group_by: str) -> Iterator[Ints]:
    if group_by == groups.COLUMN or (group_by == groups.AUTO and any(each.group is not None for each in examples)):
        grouping = groups.by_column(examples)
    elif group_by == groups.FOLDER:
        grouping = groups.by_folder(examples, folders)
    else:
        return
    if grouping.numbers is not None:
        yield _links(grouping.numbers)


def _archive_links(examples: Sequence[Example]) -> Ints:
    """Members of one archive."""
    names = [None if each.member is None else each.path for each in examples]
    numbers = groups.numbered(names)
    return np.empty((2, 0), np.int64) if numbers is None else _links(numbers)


def _links(numbers: Ints) -> Ints:
    """int64 (2, N): each picture with the first of its group."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return np.stack((np.arange(len(numbers)), first[inverse]))


def _alike(features: Float32) -> Iterator[Ints]:
    """The pairs whose cosine is at least `ALIKE`: int64 (2, pairs), some at a time."""
    scaled = Standard.of(features)(features).astype(np.float32)
    unit = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    for start in range(0, len(unit), ROWS_AT_ONCE):
        rows, columns = np.nonzero(unit[start : start + ROWS_AT_ONCE] @ unit.T >= ALIKE)
        yield np.stack((rows + start, columns))


def _folds(nsfw: NDArray[np.bool_], numbers: Ints, seed: int, too_few: UsageError) -> Iterator[tuple[Ints, Ints]]:
    """scikit-learn's folds: groups whole, classes as evenly as that allows."""
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    count = min(FOLDS, *(len(np.unique(numbers[nsfw == each])) for each in (False, True)))
    if count < 2:
        raise too_few
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class that a fold has few of; checked above
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        for learnt, held_out in folds.split(np.zeros(len(nsfw)), nsfw, numbers):
            yield learnt.astype(np.int64), held_out.astype(np.int64)
