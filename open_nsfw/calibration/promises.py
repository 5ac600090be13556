"""Thresholds that keep a promise about a rate: "block at most 1 % of safe pictures", "find at least 95 % of nsfw ones".

A promise is kept with the confidence asked for (95 % unless told otherwise), not only on the sample: the threshold
leaves so few errors that the one-sided exact limit on the true rate is within the promise. Since the threshold depends
on the order of one class's scores alone, that limit holds although it was chosen on the same sample (Wilks, Annals of
Mathematical Statistics 1941). Where the sample is too small for that at any threshold, the sample's own rate is taken,
and a warning says how many pictures it would take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable

import numpy as np

from open_nsfw.calibration.choices import Choice, Wishes
from open_nsfw.calibration.cut_points import at_or_over, between, distinct_scores, placed
from open_nsfw.calibration.rates import Rate, confusion, upper_limit
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.words import number, percent


def needed(promise: float, confidence: float) -> int:
    """Pictures it takes before a rate of at most `promise` can be told from a higher one: as many as make seeing no
    error among them unlikely enough."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-promise))


def allowed_errors(total: int, promise: float, confidence: float) -> int:
    """The most errors among `total` that keep the upper limit of their rate within `promise`; -1 if not even 0 do."""
    low, high = -1, total
    while low < high:
        middle = (low + high + 1) // 2
        if upper_limit(middle, total, confidence) <= promise:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True)
class _Promise:
    threshold: float
    warnings: tuple[str, ...]


def _errors(
    total: int, most: float, wishes: Wishes, claim: str, possible: Callable[[float], str]
) -> tuple[int, tuple[str, ...]]:
    """How many errors among `total` pictures of a class leave their rate at `most`, and what is to be said about that.

    `claim` is what is promised, `possible(limit)` what the rate promised may be if the rate of errors is `limit`.
    """
    own = math.floor(most * total * (1 + 1e-12))
    if wishes.as_measured:
        limit = upper_limit(own, total, wishes.confidence)
        return own, (f"{claim} is taken at the sample's word: the true one may be {possible(limit)}",)
    allowed = allowed_errors(total, most, wishes.confidence)
    if allowed >= 0:
        return allowed, ()
    limit = upper_limit(0, total, wishes.confidence)
    return own, (
        f"the sample is too small to support {claim}: even without an error among its {total:,} pictures of that class "
        f"the true one may be {possible(limit)}; it takes at least {needed(most, wishes.confidence):,} of them",
    )


def _fpr_promise(sample: Sample, promise: float, wishes: Wishes) -> _Promise:
    """The lowest threshold that few enough sfw pictures reach."""
    claim = f"a false-positive rate of at most {percent(promise)}"
    allowed, warnings = _errors(sample.negatives, promise, wishes, claim, percent)
    levels = distinct_scores(sample)
    reached = at_or_over(sample.scores[~sample.nsfw], levels)
    index = int(np.argmax(reached <= allowed))  # the first: counts fall
    if index == len(levels):
        warnings += ("the threshold is over every picture of the sample, nsfw or not",)
    return _Promise(placed(levels, index), warnings)


def _recall_promise(sample: Sample, promise: float, wishes: Wishes) -> _Promise:
    """The highest threshold that few enough nsfw pictures stay under."""
    claim = f"a recall of at least {percent(promise)}"
    allowed, warnings = _errors(sample.positives, 1 - promise, wishes, claim, lambda limit: percent(1 - limit))
    levels = distinct_scores(sample)
    missed = sample.positives - at_or_over(sample.scores[sample.nsfw], levels)
    index = int(np.searchsorted(missed, allowed, side="right")) - 1  # the last: misses rise
    return _Promise(placed(levels, index), warnings)


def keep_promises(sample: Sample, wishes: Wishes) -> Choice:
    """The thresholds for `wishes.max_fpr`, for `wishes.min_recall`, or for both."""
    parts, options = [], []
    numbers: dict[str, Rate] = {}
    warnings: tuple[str, ...] = ()
    if wishes.max_fpr is not None:
        parts.append(_fpr_promise(sample, wishes.max_fpr, wishes))
        options.append(f"--max-fpr {number(wishes.max_fpr)}")
        numbers["false_positive_rate"] = confusion(sample, parts[-1].threshold, wishes.confidence).false_positive_rate
    if wishes.min_recall is not None:
        parts.append(_recall_promise(sample, wishes.min_recall, wishes))
        options.append(f"--min-recall {number(wishes.min_recall)}")
        numbers["recall"] = confusion(sample, parts[-1].threshold, wishes.confidence).recall
    for part in parts:
        warnings += part.warnings
    thresholds = [part.threshold for part in parts]
    if len(parts) == 2 and thresholds[0] <= thresholds[1]:
        # Any threshold between the two keeps both promises, and nothing is left for people to look at.
        single = between(*thresholds) if thresholds[0] < thresholds[1] else thresholds[0]
        table = confusion(sample, single, wishes.confidence)
        numbers = {"false_positive_rate": table.false_positive_rate, "recall": table.recall}
        thresholds = [single]
    return Choice("promises", " ".join(options), tuple(sorted(thresholds)), warnings, numbers)
