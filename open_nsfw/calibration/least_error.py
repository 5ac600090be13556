"""Thresholds that make errors least: by what they cost, or with a share of the pictures left to people.

What makes errors least on a sample makes fewer there than it will elsewhere; the intervals of such errors reach as high
as those of thresholds chosen without the pictures they are measured on (tenfold cross-validation).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Callable

import numpy as np

from open_nsfw.calibration.rates import Rate, Sample, combined, confusion, rate, upper_limit
from open_nsfw.calibration.thresholds import (
    Choice,
    Costs,
    Wishes,
    allowed_errors,
    at_or_over,
    distinct_scores,
    needed,
    number,
    percent,
    placed,
)

FOLDS = 10  # of the sample, to measure what was chosen on the others; the usual number (Kohavi, IJCAI 1995)
ROUNDING = 1e-12  # of sums of shares
GOOD_ENOUGH = 0.2  # a cost known to within a fifth needs no warning


def _class_weights(sample: Sample, prevalence: float | None) -> tuple[float, float]:
    """What one sfw and one nsfw picture of the sample stand for, as shares of all pictures."""
    share = sample.share(prevalence)
    return (1 - share) / sample.negatives, share / sample.positives


def cheapest(sample: Sample, costs: Costs, wishes: Wishes) -> Choice:
    """The threshold whose errors cost least."""

    def pick(part: Sample) -> float:
        return _cheapest_threshold(part, costs, wishes.prevalence)

    threshold = pick(sample)
    measured = expected_cost(sample, threshold, costs, wishes)
    errors = _held_out_errors(sample, lambda part: (pick(part),) * 2, wishes.confidence)
    if errors is not None:
        measured = _widened(measured, _cost_of(sample, errors, costs, wishes))
    option = f"--cost fp={number(costs.false_positive)},fn={number(costs.false_negative)}"
    return Choice("cost", option, (threshold,), _cost_warnings(sample, measured), {"cost": measured})


def _cheapest_threshold(sample: Sample, costs: Costs, prevalence: float | None) -> float:
    """The threshold whose errors cost least; of several, the highest."""
    levels = distinct_scores(sample)
    sfw, nsfw = _class_weights(sample, prevalence)
    blocked = at_or_over(sample.scores[~sample.nsfw], levels)
    missed = sample.positives - at_or_over(sample.scores[sample.nsfw], levels)
    cost = costs.false_positive * sfw * blocked + costs.false_negative * nsfw * missed
    if levels[-1] >= 1:
        cost = cost[:-1]  # no threshold is over 1
    return placed(levels, int(np.flatnonzero(cost <= cost.min() * (1 + 1e-12))[-1]))


def expected_cost(sample: Sample, threshold: float, costs: Costs, wishes: Wishes) -> Rate:
    """What the errors at `threshold` cost for each picture of the traffic."""
    table = confusion(sample, threshold, wishes.confidence)
    misses = rate(table.false_negatives, sample.positives, wishes.confidence)
    return _cost_of(sample, (table.false_positive_rate, misses), costs, wishes)


def _cost_of(sample: Sample, errors: tuple[Rate, Rate], costs: Costs, wishes: Wishes) -> Rate:
    """Of a false-positive rate and a miss rate."""
    share = sample.share(wishes.prevalence)
    return combined(
        lambda blocked, missed: costs.false_positive * (1 - share) * blocked + costs.false_negative * share * missed,
        *errors,
        wishes.confidence,
    )


Pick = Callable[[Sample], "tuple[float, float]"]


def _held_out_errors(sample: Sample, pick: Pick, confidence: float) -> tuple[Rate, Rate] | None:
    """(false-positive rate, miss rate) of thresholds that `pick` chose without the pictures they are measured on.

    Thresholds that make errors least on a sample make fewer there than elsewhere. None for a sample that cannot be
    divided.
    """
    from sklearn.model_selection import StratifiedKFold

    folds = min(FOLDS, sample.positives, sample.negatives)
    if folds < 2:
        return None
    blocked = missed = 0
    for rest, part in StratifiedKFold(folds, shuffle=True, random_state=0).split(sample.scores, sample.nsfw):
        low, high = pick(Sample(sample.scores[rest], sample.nsfw[rest]))
        scores, nsfw = sample.scores[part], sample.nsfw[part]
        blocked += int((scores[~nsfw] >= high).sum())
        missed += int((scores[nsfw] < low).sum())
    return rate(blocked, sample.negatives, confidence), rate(missed, sample.positives, confidence)


def _widened(measured: Rate, held_out: Rate) -> Rate:
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


# --- a budget of review ---


def within_budget(sample: Sample, budget: float, wishes: Wishes) -> Choice:
    """The two thresholds that leave at most `budget` of all pictures to people, and the cheapest errors outside."""
    costs = wishes.cost or Costs()
    share, warnings = _affordable(sample, budget, wishes)

    def pick(part: Sample) -> tuple[float, float]:
        return _budget_thresholds(part, share, costs, wishes.prevalence)

    low, high = pick(sample)
    numbers = _budget_numbers(sample, low, high, wishes)
    errors = _held_out_errors(sample, pick, wishes.confidence)
    if errors is not None:
        numbers["error"] = _widened(numbers["error"], _cost_of(sample, errors, Costs(), wishes))
    if low == high:
        warnings += (
            "one threshold parts the sample without an error that review could mend: nothing is left between two",
        )
    return Choice("review-budget", f"--review-budget {number(budget)}", tuple(sorted({low, high})), warnings, numbers)


def _budget_thresholds(sample: Sample, share: float, costs: Costs, prevalence: float | None) -> tuple[float, float]:
    """The two thresholds (they may be one) that leave at most `share` of all pictures between them and errors of the
    least cost outside; of several, those that leave least between them."""
    levels = distinct_scores(sample)
    sfw, nsfw = _class_weights(sample, prevalence)
    blocked = at_or_over(sample.scores[~sample.nsfw], levels)
    found = at_or_over(sample.scores[sample.nsfw], levels)
    share_over = sfw * blocked + nsfw * found  # falls from 1 to 0
    last = len(levels) - (levels[-1] >= 1)  # where the upper threshold may be
    # For each lower threshold the highest upper one within the budget: it blocks the fewest sfw pictures.
    upper = np.searchsorted(-share_over, share + ROUNDING - share_over, side="right") - 1
    upper = np.minimum(upper, last)
    missed = sample.positives - found
    error = costs.false_negative * nsfw * missed + costs.false_positive * sfw * blocked[upper]
    error[upper < np.arange(len(upper))] = np.inf
    best = np.flatnonzero(error <= error.min() + ROUNDING)
    low = int(best[np.argmin((share_over - share_over[upper])[best])])
    return placed(levels, low), placed(levels, int(upper[low]))


def _affordable(sample: Sample, budget: float, wishes: Wishes) -> tuple[float, tuple[str, ...]]:
    """The share of the sample that may lie between the thresholds for the true share to be within the budget."""
    weights = _class_weights(sample, wishes.prevalence)
    # Unequal weights make a sample worth fewer pictures (Kish, Survey Sampling 1965).
    worth = int(1 / (sample.negatives * weights[0] ** 2 + sample.positives * weights[1] ** 2) + 1e-9)
    possible = percent(upper_limit(math.floor(budget * worth), worth, wishes.confidence))
    own = f"the sample's own share is within it, the true one may be up to {possible}"
    if wishes.as_measured:
        return budget, (f"taken at the sample's word: {own}",)
    allowed = allowed_errors(worth, budget, wishes.confidence)
    if allowed > 0:
        return allowed / worth, ()
    least = needed(budget, wishes.confidence)
    return budget, (
        f"the sample is too small to support a review share of at most {percent(budget)}: {own}; it takes more than "
        f"{least:,} pictures, this sample is worth {worth:,}",
    )


def _budget_numbers(sample: Sample, low: float, high: float, wishes: Wishes) -> dict[str, Rate]:
    confidence, share = wishes.confidence, sample.share(wishes.prevalence)
    inside = (sample.scores >= low) & (sample.scores < high)
    if wishes.prevalence is None:
        review = rate(int(inside.sum()), len(inside), confidence)
    else:
        sfw = rate(int((inside & ~sample.nsfw).sum()), sample.negatives, confidence)
        nsfw = rate(int((inside & sample.nsfw).sum()), sample.positives, confidence)
        review = combined(lambda s, n: (1 - share) * s + share * n, sfw, nsfw, confidence)
    blocked = rate(int((sample.scores[~sample.nsfw] >= high).sum()), sample.negatives, confidence)
    missed = rate(int((sample.scores[sample.nsfw] < low).sum()), sample.positives, confidence)
    error = _cost_of(sample, (blocked, missed), Costs(), wishes)
    return {"review": review, "error": error, "false_positive_rate": blocked, "miss_rate": missed}
