"""`Sample`: the scores and labels that everything is measured on, and how many independent pictures they are worth.

Frames of a film, or versions of one picture, score alike: 800 of them tell less than 800 pictures that have nothing to do
with each other. Where pictures come in groups, the variance of a rate is larger by the design effect
1 + (m - 1) ICC (Kish, Survey Sampling, 1965), m being the mean size of the group that a picture is in and ICC the
intraclass correlation, estimated by one-way analysis of variance (Donner and Koval, Biometrics 1980) of the scores'
ranks within a class. As few groups tell little about the ICC, the effect is multiplied by the squared ratio of Student's
quantiles for groups and for pictures (Korn and Graubard, Survey Methodology 1998), but it never exceeds that of an ICC of
1, where the pictures of a group count as one. A rate over pictures of both classes takes the ICC to be 1.

Where pictures were not all as likely to be labelled, each has a weight, one over its probability. The variance is then
larger by the design effect n sum(w^2) / sum(w)^2, too (Kish, 1965), and both effects together by their product (Gabler,
Haeder and Lahiri, Survey Methodology 1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

QUANTILE = 0.975  # of Student's distribution: the upper end of a 95 % interval


@dataclass(frozen=True, eq=False)
class Sample:
    """Scores of labelled pictures: `scores` float64 (N,), 0..1; `nsfw` bool (N,). Both classes are there."""

    scores: Floats
    nsfw: Flags
    groups: Ints | None = None
    """int64 (N,), from 0: which pictures come from the same source. None: each stands for itself."""
    weights: Floats | None = None
    """float64 (N,), above 0: how many pictures each stands for, such as one over the probability with which it was chosen to
    be labelled. None: all stand for as many."""

    def part(self, chosen: Ints) -> Sample:
        """The pictures of these indices, each standing for itself."""
        weights = None if self.weights is None else self.weights[chosen]
        return Sample(self.scores[chosen], self.nsfw[chosen], weights=weights)

    @property
    def each_weight(self) -> Floats:
        """float64 (N,): the weights, 1 where there are none."""
        return np.ones(len(self.nsfw)) if self.weights is None else self.weights

    def total(self, nsfw: bool) -> float:
        """The weight of one class's pictures together: how many there are, where there are no weights."""
        return float(self.each_weight[self.nsfw == nsfw].sum())

    @property
    def positives(self) -> int:
        """How many are nsfw."""
        return int(self.nsfw.sum())

    @property
    def negatives(self) -> int:
        """How many are sfw."""
        return len(self.nsfw) - self.positives

    def share(self, prevalence: float | None) -> float:
        """The share of nsfw to reckon with: `prevalence`, or where that is None the sample's own."""
        if prevalence is not None:
            return prevalence
        return self.total(True) / (self.total(False) + self.total(True))

    @property
    def group_count(self) -> int:
        """How many groups there are; a picture that stands for itself is one."""
        return len(self.nsfw) if self.groups is None else len(np.unique(self.groups))

    def class_effect(self, nsfw: bool) -> float:
        """The design effect of a rate of one class's pictures; 1 where each stands for itself and all weigh the same."""
        return self.group_effect(nsfw) * self.weight_effect(self.nsfw == nsfw)

    def group_effect(self, nsfw: bool) -> float:
        """That part of the design effect which comes from groups."""
        return self._group_effects[int(nsfw)]

    def weight_effect(self, chosen: Flags) -> float:
        """That part of the design effect of the `chosen` pictures, bool (N,), which comes from unequal weights."""
        if self.weights is None or not chosen.any():
            return 1.0
        weights = self.weights[chosen]
        return float(len(weights) * (weights**2).sum() / weights.sum() ** 2)

    def mixed_effect(self, chosen: Flags) -> float:
        """The design effect of a rate of the `chosen` pictures, bool (N,), of both classes."""
        of_groups = 1.0 if self.groups is None or not chosen.any() else _mean_group_size(self.groups[chosen])
        return of_groups * self.weight_effect(chosen)

    def class_worth(self, nsfw: bool) -> float:
        """How many independent pictures tell as much as those of one class do."""
        return (self.positives if nsfw else self.negatives) / self.class_effect(nsfw)

    @cached_property
    def _group_effects(self) -> tuple[float, float]:
        if self.groups is None:
            return 1.0, 1.0
        sfw, nsfw = (_design_effect(self.scores[each], self.groups[each]) for each in (~self.nsfw, self.nsfw))
        return sfw, nsfw


def _mean_group_size(groups: Ints) -> float:
    """The mean, over the pictures, of how many pictures their group has."""
    sizes = np.unique(groups, return_counts=True)[1]
    return float((sizes**2).sum() / sizes.sum())


def _design_effect(scores: Floats, groups: Ints) -> float:
    from scipy.special import stdtrit
    from scipy.stats import rankdata

    size, count = _mean_group_size(groups), len(np.unique(groups))
    if count in (1, len(groups)):
        return size
    effect = 1 + (size - 1) * intraclass_correlation(rankdata(scores), groups)
    few = (stdtrit(count - 1, QUANTILE) / stdtrit(len(groups) - 1, QUANTILE)) ** 2
    return float(min(effect * few, size))


def intraclass_correlation(values: Floats, groups: Ints) -> float:
    """The share of the variance of `values`, float64 (N,), that lies between their `groups`, int64 (N,); 0..1. One where
    there is a single group, of which nobody can tell."""
    number, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    total, count = len(values), len(sizes)
    if count == total:
        return 0.0
    if count == 1:
        return 1.0
    means = np.bincount(number, values) / sizes
    between = float(sizes @ (means - values.mean()) ** 2) / (count - 1)
    within = float(((values - means[number]) ** 2).sum()) / (total - count)
    typical_size = (total - float((sizes**2).sum()) / total) / (count - 1)
    variance = between + (typical_size - 1) * within
    return min(max((between - within) / variance, 0.0), 1.0) if variance > 0 else 1.0
