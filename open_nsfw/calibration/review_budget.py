"""The two thresholds that leave a share of the pictures to people, and the fewest errors outside.

The share is a promise about pictures to come, so it is kept with the confidence asked for; see promises.py.
"""

from __future__ import annotations

import numpy as np

from open_nsfw.calibration.choices import Choice, Costs, Promise, Wishes
from open_nsfw.calibration.cut_points import at_or_over, distinct_scores, placed
from open_nsfw.calibration.least_error import class_weights, cost_of, held_out_errors, widened
from open_nsfw.calibration.promises import allowed_errors, needed_for_one
from open_nsfw.calibration.rates import Rate, class_rate, combined, mixed_rate, upper_limit
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.words import number, percent

ROUNDING = 1e-12  # of sums of shares
ROUNDING_OF_WORTH = 1e-9  # of a count that is made of such sums


def within_budget(sample: Sample, budget: float, wishes: Wishes) -> Choice:
    """The two thresholds that leave at most `budget` of all pictures to people, and the cheapest errors outside."""
    costs = wishes.cost or Costs()
    share = _affordable(sample, budget, wishes)

    def pick(part: Sample) -> tuple[float, float]:
        return _budget_thresholds(part, share, costs, wishes.prevalence)

    low, high = pick(sample)
    numbers = _budget_numbers(sample, low, high, wishes)
    errors = held_out_errors(sample, pick, wishes.confidence)
    if errors is not None:
        numbers["error"] = widened(numbers["error"], cost_of(sample, errors, Costs(), wishes))
    promise = _promise(sample, budget, wishes, numbers["review"])
    warnings: tuple[str, ...] = () if promise.warning is None else (promise.warning,)
    if low == high:
        warnings += (
            "one threshold parts the sample without an error that review could mend: nothing is left between two",
        )
    return Choice(
        "review-budget", f"--review-budget {number(budget)}", tuple(sorted({low, high})), warnings, numbers, (promise,)
    )


def _budget_thresholds(sample: Sample, share: float, costs: Costs, prevalence: float | None) -> tuple[float, float]:
    """The two thresholds (they may be one) that leave at most `share` of all pictures between them and errors of the
    least cost outside; of several, those that leave least between them."""
    levels = distinct_scores(sample)
    sfw, nsfw = class_weights(sample, prevalence)
    blocked = at_or_over(sample, False, levels)
    found = at_or_over(sample, True, levels)
    share_over = sfw * blocked + nsfw * found  # falls from 1 to 0
    last = len(levels) - (levels[-1] >= 1)  # where the upper threshold may be
    # For each lower threshold the highest upper one within the budget: it blocks the fewest sfw pictures.
    upper = np.searchsorted(-share_over, share + ROUNDING - share_over, side="right") - 1
    upper = np.minimum(upper, last)
    missed = sample.total(True) - found
    error = costs.false_negative * nsfw * missed + costs.false_positive * sfw * blocked[upper]
    error[upper < np.arange(len(upper))] = np.inf
    best = np.flatnonzero(error <= error.min() + ROUNDING)
    low = int(best[np.argmin((share_over - share_over[upper])[best])])
    return placed(levels, low), placed(levels, int(upper[low]))


def _worth(sample: Sample, wishes: Wishes) -> int:
    """How many pictures, drawn one by one from the traffic, tell as much about a share of it as the sample does: unequal
    weights of the classes (Kish, Survey Sampling 1965) and groups make it worth fewer than it has."""
    weights = class_weights(sample, wishes.prevalence)
    squares = [float((sample.each_weight[sample.nsfw == nsfw] ** 2).sum()) for nsfw in (False, True)]
    equal = 1 / (squares[0] * weights[0] ** 2 + squares[1] * weights[1] ** 2)
    everything = np.ones_like(sample.nsfw)
    of_groups = sample.mixed_effect(everything) / sample.weight_effect(everything)
    return max(1, int(equal / of_groups + ROUNDING_OF_WORTH))


def _affordable(sample: Sample, budget: float, wishes: Wishes) -> float:
    """The share of the sample that may lie between the thresholds for the true share to be within the budget."""
    if wishes.as_measured:
        return budget
    worth = _worth(sample, wishes)
    allowed = allowed_errors(worth, budget, wishes.confidence)
    return allowed / worth if allowed > 0 else budget


def _promise(sample: Sample, budget: float, wishes: Wishes, review: Rate) -> Promise:
    worth = _worth(sample, wishes)
    share = review.value or 0.0
    bound = upper_limit(share * worth, worth, wishes.confidence)
    kept = share <= budget * (1 + ROUNDING) if wishes.as_measured else bound <= budget * (1 + ROUNDING_OF_WORTH)
    warning = None
    if wishes.as_measured:
        warning = f"the share left to people is within the budget on this sample (--as-measured); {_true_share(bound)}"
    elif not kept:
        warning = (
            f"the sample is too small to support a review share of at most {percent(budget)}: its own share is within it, "
            f"but {_true_share(bound)}; it takes at least {needed_for_one(budget, wishes.confidence):,} independent "
            f"pictures, this sample is worth {worth:,}"
        )
    return Promise("review", budget, review, bound, kept, wishes.as_measured, warning)


def _true_share(bound: float) -> str:
    return f"the true one may be up to {percent(bound)}"


def _budget_numbers(sample: Sample, low: float, high: float, wishes: Wishes) -> dict[str, Rate]:
    confidence, share = wishes.confidence, sample.share(wishes.prevalence)
    inside = (sample.scores >= low) & (sample.scores < high)
    if wishes.prevalence is None:
        review = mixed_rate(sample, np.ones_like(inside), inside, confidence)
    else:
        sfw, nsfw = (class_rate(sample, each, inside, confidence) for each in (False, True))
        review = combined(lambda s, n: (1 - share) * s + share * n, sfw, nsfw, confidence)
    blocked = class_rate(sample, False, sample.scores >= high, confidence)
    missed = class_rate(sample, True, sample.scores < low, confidence)
    error = cost_of(sample, (blocked, missed), Costs(), wishes)
    return {"review": review, "error": error, "false_positive_rate": blocked, "miss_rate": missed}
