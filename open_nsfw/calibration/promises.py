"""Thresholds that keep a promise about a rate: "block at most 1 % of safe pictures", "find at least 95 % of nsfw ones".

A promise is kept with the confidence asked for (95 % unless told otherwise), not only on the sample: the threshold
leaves so few errors that the one-sided exact limit on the true rate is within the promise. Since the threshold depends
on the order of one class's scores alone, that limit holds although it was chosen on the same sample (Wilks, Annals of
Mathematical Statistics 1941). Of weighted pictures, it is the one-sided limit of the weighted rate, as rates.py has it,
at every threshold on the promise's side. Where the sample is too small for that at any threshold, the sample's own rate
is taken, and the promise counts as not kept; a warning says how many pictures it would take.
"""

from __future__ import annotations

import math

import numpy as np

from open_nsfw.calibration.choices import Choice, Promise, Wishes
from open_nsfw.calibration.cut_points import at_or_over, between, distinct_scores, placed
from open_nsfw.calibration.rates import class_rate, linearized_effect, upper_limit
from open_nsfw.calibration.sample import Flags, Floats, Sample
from open_nsfw.calibration.words import number, percent

ROUNDING = 1e-12  # of a share times a count


def keep_promises(sample: Sample, wishes: Wishes) -> Choice:
    """The thresholds for `wishes.max_fpr`, for `wishes.min_recall`, or for both."""
    thresholds, options = [], []
    if wishes.max_fpr is not None:
        thresholds.append(_lowest_threshold(sample, wishes.max_fpr, wishes))
        options.append(f"--max-fpr {number(wishes.max_fpr)}")
    if wishes.min_recall is not None:
        thresholds.append(_highest_threshold(sample, wishes.min_recall, wishes))
        options.append(f"--min-recall {number(wishes.min_recall)}")
    if len(thresholds) == 2 and thresholds[0] <= thresholds[1]:
        # Any threshold between the two keeps both promises, and nothing is left for people to look at.
        thresholds = [between(*thresholds) if thresholds[0] < thresholds[1] else thresholds[0]]
    promises = _promises(sample, wishes, thresholds)
    warnings = tuple(promise.warning for promise in promises if promise.warning is not None)
    if wishes.max_fpr is not None and thresholds[0] > sample.scores.max():
        warnings += ("the threshold is over every picture of the sample, nsfw or not",)
    numbers = {promise.about: promise.measured for promise in promises}
    return Choice("promises", " ".join(options), tuple(sorted(thresholds)), warnings, numbers, promises)


def _lowest_threshold(sample: Sample, most: float, wishes: Wishes) -> float:
    """The lowest threshold that few enough sfw pictures reach for a false-positive rate of at most `most`."""
    levels = distinct_scores(sample)
    if sample.weights is not None:
        within = _within(sample, False, levels, most, wishes)
        return placed(levels, int(np.flatnonzero(~np.append(False, within))[-1]))
    reached = at_or_over(sample, False, levels)
    # The first that has few enough: counts fall along the levels.
    return placed(levels, int(np.argmax(reached <= _errors(sample, False, most, wishes))))


def _highest_threshold(sample: Sample, least: float, wishes: Wishes) -> float:
    """The highest threshold that few enough nsfw pictures stay under for a recall of at least `least`."""
    levels = distinct_scores(sample)
    if sample.weights is not None:
        within = _within(sample, True, levels, 1 - least, wishes)
        return placed(levels, int(np.flatnonzero(~np.append(within, False))[0]) - 1)
    missed = sample.positives - at_or_over(sample, True, levels)
    # The last that has few enough: misses rise along the levels.
    return placed(levels, int(np.searchsorted(missed, _errors(sample, True, 1 - least, wishes), side="right")) - 1)


def _within(sample: Sample, nsfw: bool, levels: Floats, most: float, wishes: Wishes) -> Flags:
    """Whether a weighted class's rate of errors is within `most` at each of L levels and over all, bool (L + 1,): by its
    one-sided limit, or, where no level keeps that, as measured."""
    total, count = sample.total(nsfw), sample.positives if nsfw else sample.negatives
    squares = at_or_over(sample, nsfw, levels, power=2)
    wrong, wrong_squares = at_or_over(sample, nsfw, levels), squares
    if nsfw:
        wrong, wrong_squares = total - wrong, squares[0] - squares
    value = np.clip(wrong / total, 0.0, 1.0)
    own: Flags = value <= most * (1 + ROUNDING)
    if wishes.as_measured:
        return own
    of_weights = sample.weight_effect(sample.nsfw == nsfw)
    effect = np.maximum(of_weights, linearized_effect(value, wrong_squares, squares[0], total, count))
    worth = count / (effect * sample.group_effect(nsfw))
    within: Flags = np.array(
        [upper_limit(v * n, n, wishes.confidence) <= most for v, n in zip(value, worth)], dtype=bool
    )
    return within if within.any() else own


def needed(promise: float, confidence: float) -> int:
    """Pictures it takes before a rate of at most `promise` can be told from a higher one: as many as make seeing no
    error among them unlikely enough."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-promise))


def needed_for_one(promise: float, confidence: float) -> int:
    """Pictures it takes before a rate of at most `promise` can be told from a higher one though one error is among them."""
    low = needed(promise, confidence)
    high = 4 * low  # with it, the limit is well within: one error takes 1.6 times as many pictures as none
    while low < high:
        middle = (low + high) // 2
        if upper_limit(1, middle, confidence) <= promise:
            high = middle
        else:
            low = middle + 1
    return low


def allowed_errors(total: int, promise: float, confidence: float, effect: float = 1.0) -> int:
    """The most errors among `total` that keep the upper limit of their rate within `promise`; -1 if not even 0 do.
    `effect` is the design effect."""
    low, high = -1, total
    while low < high:
        middle = (low + high + 1) // 2
        if upper_limit(middle / effect, total / effect, confidence) <= promise:
            low = middle
        else:
            high = middle - 1
    return low


def _errors(sample: Sample, nsfw: bool, most: float, wishes: Wishes) -> int:
    """How many errors among the pictures of a class leave the rate of errors at `most`."""
    total = sample.positives if nsfw else sample.negatives
    own = math.floor(most * total * (1 + ROUNDING))
    if wishes.as_measured:
        return own
    allowed = allowed_errors(total, most, wishes.confidence, sample.class_effect(nsfw))
    return allowed if allowed >= 0 else own


# --- whether they are kept ---


def _promises(sample: Sample, wishes: Wishes, thresholds: list[float]) -> tuple[Promise, ...]:
    """What was promised, and what came of it; the first threshold is the one for the false-positive rate."""
    found = []
    if wishes.max_fpr is not None:
        claim = f"a false-positive rate of at most {percent(wishes.max_fpr)}"
        over = sample.scores >= thresholds[0]
        found.append(_checked(sample, wishes, "false_positive_rate", claim, wishes.max_fpr, over))
    if wishes.min_recall is not None:
        claim = f"a recall of at least {percent(wishes.min_recall)}"
        under = sample.scores < thresholds[-1]
        found.append(_checked(sample, wishes, "recall", claim, wishes.min_recall, under))
    return tuple(found)


def _checked(sample: Sample, wishes: Wishes, about: str, claim: str, limit: float, errors: Flags) -> Promise:
    """`errors`, bool (N,): the pictures that are on the wrong side, if they are of the class that the promise is about."""
    nsfw = about == "recall"
    confidence = wishes.confidence
    wrong = class_rate(sample, nsfw, errors, confidence)
    measured = class_rate(sample, nsfw, ~errors, confidence) if nsfw else wrong
    bound = upper_limit(wrong.hits, wrong.worth, confidence)
    most = 1 - limit if nsfw else limit
    return Promise(
        about=about,
        limit=limit,
        measured=measured,
        bound=1 - bound if nsfw else bound,
        kept=(wrong.value or 0) <= most * (1 + ROUNDING) if wishes.as_measured else bound <= most,
        as_measured=wishes.as_measured,
        warning=_warning(sample, nsfw, claim, most, bound, wishes),
    )


def _warning(sample: Sample, nsfw: bool, claim: str, most: float, bound: float, wishes: Wishes) -> str | None:
    def possible(limit: float) -> str:
        return percent(1 - limit if nsfw else limit)

    if wishes.as_measured:
        return f"{claim} holds for this sample (--as-measured); the true one may be {possible(bound)}"
    if bound <= most:
        return None
    total = sample.positives if nsfw else sample.negatives
    alike, ones = "", "of them"
    if sample.groups is not None or sample.weights is not None:
        alike = f", which are worth {max(1, round(sample.class_worth(nsfw))):,} independent ones,"
        ones = "independent ones"
    return (
        f"the sample is too small to support {claim}: even without an error among its {total:,} pictures of that "
        f"class{alike} the true one may be {possible(upper_limit(0, sample.class_worth(nsfw), wishes.confidence))}; "
        f"it takes at least {needed(most, wishes.confidence):,} {ones}"
    )
