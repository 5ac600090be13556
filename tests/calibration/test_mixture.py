"""Bins that hold enough, and the distance of a mixture."""

from __future__ import annotations

import numpy as np
import pytest

from open_nsfw.calibration.mixture import Classes, distance, fit, gathered


def test_neighbours_go_together_until_there_is_enough() -> None:
    """Also at the end."""
    assert gathered(np.array([9.0, 1, 2, 3, 9, 1])).tolist() == [0, 1, 1, 1, 2, 2]
    assert gathered(np.array([1.0, 1])).tolist() == [0, 0]


def test_the_distance_is_mahalanobis() -> None:
    """By the inverse of the covariance without the last bin, which follows from the others."""
    classes, today, share = (
        Classes(np.array([40.0, 30, 20, 10]), np.array([5.0, 10, 20, 65])),
        np.array([30.0, 30, 25, 15]),
        0.2,
    )
    mixture, seen = classes.mixture(share), today / today.sum()
    weights = ((classes.sfw, 0.8**2), (classes.nsfw, 0.2**2))
    worth = 1 / sum(weight / row.sum() for row, weight in weights)
    together = (worth * mixture + today) / (worth + today.sum())
    parts = [(together, 1 / today.sum())]
    for row, weight in weights:
        shares = (row + 0.5 / 4) / (row.sum() + 0.5) * together / mixture
        parts.append((shares / shares.sum(), weight / row.sum()))
    covariance = sum(weight * (np.diag(p) - np.outer(p, p)) for p, weight in parts)[:-1, :-1]
    off = (seen - mixture)[:-1]
    expected = off @ np.linalg.solve(covariance, off)
    assert distance(classes, today, share) == pytest.approx(expected, rel=1e-9)


def test_bins_of_any_size_have_a_distance() -> None:
    """Where a matrix would be singular to a computer."""
    classes = Classes(np.array([1e12, 1, 0, 1]), np.array([1, 1e12, 1, 0]))
    for share in (0.0, 1e-9, 0.5, 1.0):
        found = distance(classes, np.array([1.0, 1, 1, 1e12]), share)
        assert np.isfinite(found)
        assert found > 0


@pytest.mark.parametrize(
    ("sfw", "nsfw", "pictures", "share", "bins"),
    [(2000, 40, 1000, 0.02, 1), (2000, 200, 1000, 0.05, 1), (2000, 200, 2000, 0.05, 2), (500, 500, 1000, 0.5, 2)],
)
def test_the_share_is_told_though_nothing_explains_the_scores(
    sfw: int, nsfw: int, pictures: int, share: float, bins: int
) -> None:
    """Safe pictures score some bins higher than they did; not the mixture with the fewest bins to be tested in is the nearest."""
    low = np.exp(-np.arange(20) / 3)
    low /= low.sum()
    higher = np.concatenate((np.zeros(bins), low[:-bins])) / low[:-bins].sum()
    today = np.round(pictures * ((1 - share) * higher + share * low[::-1]))
    found = fit(Classes(np.round(sfw * low), np.round(nsfw * low[::-1])), today)
    assert found.nsfw_share == pytest.approx(share, abs=0.03)
    assert found.p_value < 1e-30
