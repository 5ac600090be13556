"""The two thresholds that leave a share of the pictures to people, and the fewest errors outside.

The share is a promise about pictures to come, so it is kept with the confidence asked for; see promises.py.
"""

from __future__ import annotations

import math

import numpy as np

from open_nsfw.calibration.choices import Choice, Costs, Wishes
from open_nsfw.calibration.cut_points import at_or_over, distinct_scores, placed
from open_nsfw.calibration.least_error import class_weights, cost_of, held_out_errors, widened
from open_nsfw.calibration.promises import allowed_errors, needed
from open_nsfw.calibration.rates import Rate, combined, rate, upper_limit
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.words import number, percent

ROUNDING = 1e-12  # of sums of shares


def within_budget(sample: Sample, budget: float, wishes: Wishes) -> Choice:
    """The two thresholds that leave at most `budget` of all pictures to people, and the cheapest errors outside."""
    costs = wishes.cost or Costs()
    share, warnings = _affordable(sample, budget, wishes)

    def pick(part: Sample) -> tuple[float, float]:
        return _budget_thresholds(part, share, costs, wishes.prevalence)

    low, high = pick(sample)
    numbers = _budget_numbers(sample, low, high, wishes)
    errors = held_out_errors(sample, pick, wishes.confidence)
    if errors is not None:
        numbers["error"] = widened(numbers["error"], cost_of(sample, errors, Costs(), wishes))
    if low == high:
        warnings += (
            "one threshold parts the sample without an error that review could mend: nothing is left between two",
        )
    return Choice("review-budget", f"--review-budget {number(budget)}", tuple(sorted({low, high})), warnings, numbers)


def _budget_thresholds(sample: Sample, share: float, costs: Costs, prevalence: float | None) -> tuple[float, float]:
    """The two thresholds (they may be one) that leave at most `share` of all pictures between them and errors of the
    least cost outside; of several, those that leave least between them."""
    levels = distinct_scores(sample)
    sfw, nsfw = class_weights(sample, prevalence)
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
    weights = class_weights(sample, wishes.prevalence)
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
    error = cost_of(sample, (blocked, missed), Costs(), wishes)
    return {"review": review, "error": error, "false_positive_rate": blocked, "miss_rate": missed}
