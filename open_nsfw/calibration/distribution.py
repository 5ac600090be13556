"""How the scores of a sample lie: what a policy keeps of them, to compare other scores with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.sample import Floats, Sample
from open_nsfw.errors import UsageError

BINS = 10
MOST_BINS = 1000  # in a policy that somebody else wrote
MOST_PICTURES = 1e12  # in one of its bins: sums, squares and ratios of such numbers are exact enough
EDGE_DIGITS = 6  # significant
ROUNDING_OF_WORTH = 1 + 1e-6  # a policy keeps three decimals of it


@dataclass(frozen=True)
class Distribution:
    """How many pictures of each class lie in each of B bins of the score."""

    edges: Floats
    """float64 (B - 1,), rising within 0..1: between the bins; a score on an edge belongs to the bin above."""
    sfw: Floats
    """float64 (B,), like `nsfw`: pictures, not negative, and at least one in all."""
    nsfw: Floats
    sfw_worth: float
    """How many independent pictures those of the class are worth, like `nsfw_worth`."""
    nsfw_worth: float

    def counts(self, scores: Sequence[float] | Floats, weights: Floats | None = None) -> Floats:
        """How many of `scores` lie in each bin: float64 (B,). With `weights`, float64 (N,), as many in all, in proportion to
        their weights, each bin rounded to a whole number."""
        bins = np.searchsorted(self.edges, scores, side="right")
        counts = np.bincount(bins, weights, minlength=len(self.edges) + 1).astype(np.float64)
        return counts if weights is None else np.maximum(np.round(counts / weights.sum() * len(bins)), counts > 0)

    def as_json(self) -> dict[str, object]:
        """As a policy keeps it."""
        rows = {name: [int(count) for count in getattr(self, name)] for name in ("sfw", "nsfw")}
        return {"edges": self.edges.tolist(), **rows, "sfw_worth": self.sfw_worth, "nsfw_worth": self.nsfw_worth}


def distribution_of(sample: Sample) -> Distribution:
    """At most `BINS` bins that hold about as much of both classes together, each class counting the same."""
    steps = np.linspace(0, 1, 1001)
    members = (~sample.nsfw, sample.nsfw)
    classes = [sample.scores[chosen] for chosen in members]
    weights = [None if sample.weights is None else sample.weights[chosen] for chosen in members]
    pooled = np.concatenate([_quantiles(*each, steps) for each in zip(classes, weights)])
    inner = np.quantile(pooled, np.linspace(0, 1, BINS + 1)[1:-1])
    edges = np.array(sorted({float(f"{edge:.{EDGE_DIGITS}g}") for edge in inner if edge > 0}), dtype=np.float64)
    empty = np.zeros(len(edges) + 1)
    sfw, nsfw = (Distribution(edges, empty, empty, 0, 0).counts(*each) for each in zip(classes, weights))
    worth = (min(sample.class_worth(each), counts.sum()) for each, counts in ((False, sfw), (True, nsfw)))
    return Distribution(edges, sfw, nsfw, *(round(each, 3) for each in worth))


def _quantiles(scores: Floats, weights: Floats | None, at: Floats) -> Floats:
    """The quantiles of scores; of weighted ones, the lowest score that so much of the weight does not exceed."""
    if weights is None:
        return np.quantile(scores, at)
    order = np.argsort(scores)
    shares = np.cumsum(weights[order]) / weights.sum()
    found: Floats = scores[order][np.minimum(np.searchsorted(shares, at), len(scores) - 1)]
    return found


def distribution_in(policy: Policy) -> Distribution:
    """The one that a policy keeps. Raises UsageError if it keeps none that makes sense."""
    kept = policy.scores
    edges, sfw, nsfw = (_row(policy, kept.get(name)) for name in ("edges", "sfw", "nsfw"))
    in_order = bool(np.all(np.diff(edges) > 0)) and bool(np.all(edges <= 1))
    counted = all(row.sum() >= 1 and np.array_equal(row, np.floor(row)) for row in (sfw, nsfw))
    if not len(sfw) == len(nsfw) == len(edges) + 1 or not counted or not in_order:
        raise _none_kept(policy)
    worth = (_worth(policy, kept.get("sfw_worth"), sfw.sum()), _worth(policy, kept.get("nsfw_worth"), nsfw.sum()))
    return Distribution(edges, sfw, nsfw, *worth)


def _row(policy: Policy, values: object) -> Floats:
    if not isinstance(values, list) or len(values) > MOST_BINS:
        raise _none_kept(policy)
    return np.array([_number(policy, value) for value in values], dtype=np.float64)


def _number(policy: Policy, value: object) -> float:
    """A number that is neither negative nor too large to reckon with."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST_PICTURES:
        raise _none_kept(policy)
    return float(value)


def _worth(policy: Policy, value: object, total: float) -> float:
    """What is kept of a class; in a policy of a version that knew no groups, each picture is worth one."""
    worth = float(total) if value is None else _number(policy, value)
    if not 1 <= worth <= total * ROUNDING_OF_WORTH:
        raise _none_kept(policy)
    return worth


def _none_kept(policy: Policy) -> UsageError:
    return UsageError(f"{policy.path}: keeps no distribution of scores to compare with; calibrate again")
