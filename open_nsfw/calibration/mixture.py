"""The mixture of a sample's two classes that is nearest to scores of another day, and how well any explains them.

All rows are float64 (B,): counts of pictures in B bins of the score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.sample import Floats, Ints

LEAST_EXPECTED = 5.0  # pictures in a bin before the chi-squared approximation holds (Cochran 1954)
HALF = 0.5  # picture that an empty bin has, so that no share is 0
COARSE = np.linspace(0, 1, 101)  # shares of nsfw that are tried
FINE = np.linspace(-0.01, 0.01, 41)  # and around the best of them
LEAST_EIGENVALUE = 1e-10  # of a correlation matrix; below lies only rounding


@dataclass(frozen=True)
class Classes:
    """How the scores of the sample's classes lie."""

    sfw: Floats
    nsfw: Floats

    def mixture(self, share: float) -> Floats:
        """The shares of the bins where `share` of the pictures, 0..1, are nsfw."""
        return (1 - share) * _shares(self.sfw) + share * _shares(self.nsfw)

    def grouped(self, groups: Ints) -> Classes:
        """The same in fewer bins: int64 (B,), the number of the group that each bin goes into."""
        return Classes(_added_up(groups, self.sfw), _added_up(groups, self.nsfw))


@dataclass(frozen=True)
class Fit:
    """The mixture that is nearest to the other scores, and how well any explains them."""

    shares: Floats
    """float64 (B,): the nearest mixture's share of each bin."""
    nsfw_share: float
    statistic: float
    """Of the mixture that explains them best, like all that follows."""
    freedom: int
    """Degrees of freedom of the test; 0 where there are too few pictures to test anything."""
    p_value: float


def fit(classes: Classes, today: Floats) -> Fit:
    """The mixture nearest to the row `today`, and the highest p-value of any.

    The distance is that of today's shares from the mixture's, by the covariance which both have from being counted on
    so many pictures. Each share of nsfw is tested in the bins that are known well enough under that share: in bins
    gathered for another one, those that tell against it may lie in one with those that do not. Which is the nearest is
    told in the same bins for all, since where none explains anything, the one with the fewest bins would seem to.
    """
    tests = [_tested(classes, today, share) for share in COARSE]
    around = max(tests, key=_rank).nsfw_share
    tests += [_tested(classes, today, share) for share in np.clip(around + FINE, 0, 1)]
    best, share = max(tests, key=_rank), _nearest(classes, today)
    return Fit(classes.mixture(share), share, best.statistic, best.freedom, best.p_value)


@dataclass(frozen=True)
class _Test:
    """How well the mixture with a share of nsfw explains the other scores."""

    nsfw_share: float
    statistic: float
    freedom: int
    p_value: float


def _tested(classes: Classes, today: Floats, share: float) -> _Test:
    """Two degrees of freedom less than there are bins, as the share is chosen; with two bins one, which makes the test
    milder."""
    from scipy.stats import chi2

    groups = gathered(_known_as(classes, today, share))
    statistic = distance(classes.grouped(groups), _added_up(groups, today), share)
    bins = int(groups.max()) + 1
    freedom = max(bins - 2, min(bins - 1, 1))
    p_value = float(chi2.sf(statistic, freedom)) if freedom else 1.0
    return _Test(float(share), statistic, freedom, p_value)


def _rank(found: _Test) -> tuple[bool, float, float]:
    """The higher, the better it explains: first what can be tested at all; of p-values that are 0, the nearest one."""
    return found.freedom > 0, found.p_value, -found.statistic


def _nearest(classes: Classes, today: Floats) -> float:
    """The share of nsfw whose mixture has the least distance, in bins that are known well enough under one near it."""
    first = _least(lambda share: distance(classes, today, share))
    groups = gathered(_known_as(classes, today, first))
    few, few_today = classes.grouped(groups), _added_up(groups, today)
    return _least(lambda share: distance(few, few_today, share))


def _least(function: Callable[[float], float]) -> float:
    """Where between 0 and 1 the function is least, both ends included, which the search itself only nears."""
    from scipy.optimize import minimize_scalar

    found = float(minimize_scalar(function, bounds=(0, 1), method="bounded", options={"xatol": 1e-6}).x)
    return min((0.0, found, 1.0), key=function)


def gathered(expected: Floats) -> Ints:
    """The number of the group that each bin belongs to: neighbours go together until `LEAST_EXPECTED` are expected."""
    groups, number, sum_of_group = [], 0, 0.0
    for value in expected:
        if sum_of_group >= LEAST_EXPECTED:
            number, sum_of_group = number + 1, 0.0
        groups.append(number)
        sum_of_group += value
    if sum_of_group < LEAST_EXPECTED and number:  # the last has too little for itself
        groups = [min(group, number - 1) for group in groups]
    return np.array(groups)


def _added_up(groups: Ints, row: Floats) -> Floats:
    return np.bincount(groups, row).astype(np.float64)


def _shares(row: Floats) -> Floats:
    shares: Floats = (row + HALF / len(row)) / (row.sum() + HALF)
    return shares


def _known_as(classes: Classes, today: Floats, share: float) -> Floats:
    """How many pictures each bin of the mixture is known by, in today's traffic or in the sample, whichever is less."""
    mixture = classes.mixture(share)
    variance = (1 - share) ** 2 * _shares(classes.sfw) / classes.sfw.sum()
    variance += share**2 * _shares(classes.nsfw) / classes.nsfw.sum()
    known: Floats = np.minimum(mixture * today.sum(), mixture**2 / variance)
    return known


def distance(classes: Classes, today: Floats, share: float) -> float:
    """Squared Mahalanobis distance of today's shares from the mixture's.

    The covariance is that of the counting, were both drawn from what they say together: by the sample alone, a bin in
    which it happens to have too few would seem to be known too well.
    """
    mixture, seen = classes.mixture(share), today / today.sum()
    if len(mixture) < 2:
        return 0.0
    weights = ((classes.sfw, (1 - share) ** 2), (classes.nsfw, share**2))
    worth = 1 / sum(weight / row.sum() for row, weight in weights)
    together = (worth * mixture + today) / (worth + today.sum())
    parts = [(together, 1 / today.sum())]
    for row, weight in weights:
        shares = _shares(row) * together / mixture
        parts.append((shares / shares.sum(), weight / row.sum()))
    covariance = np.sum([weight * (np.diag(p) - np.outer(p, p)) for p, weight in parts], axis=0)
    return _mahalanobis(seen - mixture, covariance)


def _mahalanobis(off: Floats, covariance: Floats) -> float:
    """Of differences, float64 (B,), that add up to 0, as the rows of their covariance, float64 (B, B), do: one direction has
    no variance. The pseudo-inverse of the correlations leaves it out, whatever the sizes of the bins are."""
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    along = vectors.T @ (off / scale)
    enough = values > LEAST_EIGENVALUE
    return float(np.sum(along[enough] ** 2 / values[enough]))
