"""Which views of which pictures make the batches of an epoch: as many nsfw pictures as sfw ones in each.

Of the rarer class pictures come more often than they are there, of the other less often; what that adds to the logits is
taken away again by `prior_shift`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.sample import Flags, Ints
from open_nsfw.training.views import MIDDLE

BATCH = 32  # pictures a step


@dataclass(frozen=True, eq=False)
class Epoch:
    """What is learnt from once, in order."""

    pictures: Ints
    """int64 (N,): indices."""
    views: Ints
    """int64 (N,): numbers of views."""

    @property
    def batches(self) -> int:
        """How many steps it takes."""
        return -(-len(self.pictures) // BATCH)

    def batch(self, number: int) -> tuple[Ints, Ints]:
        """(pictures, views) of one step."""
        at = slice(number * BATCH, (number + 1) * BATCH)
        return self.pictures[at], self.views[at]


def draw_epoch(nsfw: Flags, views: int, seed: tuple[int, ...]) -> Epoch:
    """About as many pictures as there are, half of each class, at most one more than all of the other's before any comes
    again; each in a view that is not the middle."""
    random = np.random.default_rng(seed)
    half = (len(nsfw) + 1) // 2
    classes = [_repeated(np.flatnonzero(nsfw == each), half, random) for each in (False, True)]
    pictures = np.stack(classes, axis=1).reshape(-1)
    return Epoch(pictures, random.integers(MIDDLE + 1, views, len(pictures)))


def steps_an_epoch(pictures: int) -> int:
    """How many batches an epoch has."""
    return -(-2 * ((pictures + 1) // 2) // BATCH)


def prior_shift(nsfw: Flags) -> float:
    """What is added to a logit that was learnt from as many nsfw pictures as sfw ones, to be right at the share that these
    labels have."""
    share = float(nsfw.mean())
    return float(np.log(share) - np.log1p(-share))


def _repeated(members: Ints, count: int, random: np.random.Generator) -> Ints:
    """So many of the members, in a random order, none again before all have come."""

    def rounds() -> Iterator[Ints]:
        for _ in range(-(-count // len(members))):
            yield random.permutation(members)

    found: Ints = np.concatenate(list(rounds()))[:count].astype(np.int64)
    return found
