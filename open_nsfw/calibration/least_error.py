"""The threshold whose errors cost least.

What makes errors least on a sample makes fewer there than it will elsewhere; the intervals of such errors reach as high
as those of thresholds chosen without the pictures they are measured on (tenfold cross-validation).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Callable

import numpy as np

from open_nsfw.calibration.choices import Choice, Costs, Wishes
from open_nsfw.calibration.cut_points import at_or_over, distinct_scores, placed
from open_nsfw.calibration.rates import Rate, class_rate, combined
from open_nsfw.calibration.sample import Ints, Sample
from open_nsfw.calibration.words import number

FOLDS = 10  # of the sample, to measure what was chosen on the others; the usual number (Kohavi, IJCAI 1995)
MOST_STRATIFIED = 2000  # groups; dividing them evenly takes a thousandth of a second for each
GOOD_ENOUGH = 0.2  # a cost known to within a fifth needs no warning


def class_weights(sample: Sample, prevalence: float | None) -> tuple[float, float]:
    """What a weight of 1 of the sample's sfw pictures, and of its nsfw ones, stands for, as shares of all pictures."""
    share = sample.share(prevalence)
    return (1 - share) / sample.total(False), share / sample.total(True)


def cheapest(sample: Sample, costs: Costs, wishes: Wishes) -> Choice:
    """The threshold whose errors cost least."""

    def pick(part: Sample) -> float:
        return _cheapest_threshold(part, costs, wishes.prevalence)

    threshold = pick(sample)
    measured = expected_cost(sample, threshold, costs, wishes)
    errors = held_out_errors(sample, lambda part: (pick(part),) * 2, wishes.confidence)
    if errors is not None:
        measured = widened(measured, cost_of(sample, errors, costs, wishes))
    option = f"--cost fp={number(costs.false_positive)},fn={number(costs.false_negative)}"
    return Choice("cost", option, (threshold,), _cost_warnings(sample, measured), {"cost": measured})


def _cheapest_threshold(sample: Sample, costs: Costs, prevalence: float | None) -> float:
    """The threshold whose errors cost least; of several, the highest."""
    levels = distinct_scores(sample)
    sfw, nsfw = class_weights(sample, prevalence)
    blocked = at_or_over(sample, False, levels)
    missed = sample.total(True) - at_or_over(sample, True, levels)
    cost = costs.false_positive * sfw * blocked + costs.false_negative * nsfw * missed
    if levels[-1] >= 1:
        cost = cost[:-1]  # no threshold is over 1
    return placed(levels, int(np.flatnonzero(cost <= cost.min() * (1 + 1e-12))[-1]))


def expected_cost(sample: Sample, threshold: float, costs: Costs, wishes: Wishes) -> Rate:
    """What the errors at `threshold` cost for each picture of the traffic."""
    flagged = sample.scores >= threshold
    errors = (
        class_rate(sample, False, flagged, wishes.confidence),
        class_rate(sample, True, ~flagged, wishes.confidence),
    )
    return cost_of(sample, errors, costs, wishes)


def cost_of(sample: Sample, errors: tuple[Rate, Rate], costs: Costs, wishes: Wishes) -> Rate:
    """Of a false-positive rate and a miss rate."""
    share = sample.share(wishes.prevalence)
    return combined(
        lambda blocked, missed: costs.false_positive * (1 - share) * blocked + costs.false_negative * share * missed,
        *errors,
        wishes.confidence,
    )


Pick = Callable[[Sample], "tuple[float, float]"]


def held_out_errors(sample: Sample, pick: Pick, confidence: float) -> tuple[Rate, Rate] | None:
    """(false-positive rate, miss rate) of thresholds that `pick` chose without the pictures they are measured on.

    Thresholds that make errors least on a sample make fewer there than elsewhere. None for a sample that cannot be
    divided.
    """
    blocked, missed = np.zeros_like(sample.nsfw), np.zeros_like(sample.nsfw)
    folds = _folds(sample)
    for rest, part in folds:
        low, high = pick(sample.part(rest))
        blocked[part] = sample.scores[part] >= high
        missed[part] = sample.scores[part] < low
    if not folds:
        return None
    return class_rate(sample, False, blocked, confidence), class_rate(sample, True, missed, confidence)


def _folds(sample: Sample) -> list[tuple[Ints, Ints]]:
    """(the indices of the other pictures, those of its own) for each fold, no group being parted; none where the sample is
    too small."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

    units = np.arange(len(sample.nsfw)) if sample.groups is None else sample.groups
    counts = [len(np.unique(units[each])) for each in (sample.nsfw, ~sample.nsfw)]
    folds = min(FOLDS, *counts)
    if folds < 2:
        return []
    if sample.groups is None:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    elif sum(counts) <= MOST_STRATIFIED:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    else:
        splitter = GroupKFold(folds)  # of so many groups, each fold has about as many of either class
    found = list(splitter.split(sample.scores, sample.nsfw, sample.groups))
    return found if all(0 < sample.nsfw[rest].sum() < len(rest) for rest, _ in found) else []


def widened(measured: Rate, held_out: Rate) -> Rate:
    """The value as measured; the interval reaches as far up as without the sample's optimism."""
    return replace(measured, high=max(measured.high, held_out.high))


def _cost_warnings(sample: Sample, cost: Rate) -> tuple[str, ...]:
    """The interval's width falls with the root of the sample's size."""
    middle = (cost.low + cost.high) / 2
    spread = (cost.high - cost.low) / 2 / middle if middle else 0.0
    if spread <= GOOD_ENOUGH:
        return ()
    total = len(sample.scores)
    enough = math.ceil(total * (spread / GOOD_ENOUGH) ** 2)
    return (
        f"the cost for each picture is known only to lie between {cost.low:.3g} and {cost.high:.3g}; knowing it to "
        f"within a fifth would take about {_rounded(enough):,} labelled pictures instead of {total:,}",
    )


def _rounded(count: int) -> int:
    """Two digits: it is an estimate."""
    scale = int(10 ** max(len(str(count)) - 2, 0))
    return math.ceil(count / scale) * scale
