"""What the batches of an epoch are made of."""

from __future__ import annotations

import numpy as np
import pytest

from open_nsfw.training.sampling import BATCH, draw_epoch, prior_shift, steps_an_epoch


@pytest.mark.parametrize(("sfw", "nsfw"), [(100, 20), (20, 100), (50, 51), (1, 3)])
def test_as_many_of_each_class(sfw: int, nsfw: int) -> None:
    """In every batch; none of a class comes again before all have come; views are never the middle."""
    labels = np.arange(sfw + nsfw) >= sfw
    epoch = draw_epoch(labels, 5, (7, 0, 3))
    assert epoch.batches == steps_an_epoch(len(labels))
    drawn = []
    for number in range(epoch.batches):
        pictures, views = epoch.batch(number)
        assert len(pictures) == len(views) <= BATCH
        assert labels[pictures].sum() * 2 == len(pictures)
        assert set(views.tolist()) <= {1, 2, 3, 4}
        drawn += pictures.tolist()
    assert len(drawn) in (len(labels), len(labels) + 1)
    counts = np.bincount(drawn, minlength=len(labels))
    for each in (False, True):
        assert np.ptp(counts[labels == each]) <= 1


def test_it_hangs_on_the_seed_alone() -> None:
    """And every epoch and training has its own."""
    labels = np.arange(60) % 3 == 0
    first = draw_epoch(labels, 5, (7, 0, 3))
    assert np.array_equal(first.pictures, draw_epoch(labels, 5, (7, 0, 3)).pictures)
    for seed in ((7, 0, 4), (7, 1, 3), (8, 0, 3)):
        assert not np.array_equal(first.pictures, draw_epoch(labels, 5, seed).pictures)


def test_the_prior_goes_back() -> None:
    """The log odds of the labels."""
    assert prior_shift(np.arange(100) < 20) == pytest.approx(np.log(0.2 / 0.8))
