"""What people can say -> thresholds: "block at most 1 % of safe pictures", "a miss costs 20 times a false alarm".

A score at or over a threshold counts as nsfw; thresholds fall between the scores of the sample, never between equal
ones. A promise about a rate is kept with the confidence asked for (95 % unless told otherwise), not by the sample's own
luck: the threshold leaves so few errors that the one-sided exact limit on the true rate is within the promise. Since it
depends on the order of one class's scores alone, that is also what choosing it by the sample costs (Wilks, Annals of
Mathematical Statistics 1941). Where the sample is too small for that at any threshold, the sample's own rate is taken,
and a warning says how many pictures it would take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Callable

import numpy as np

from open_nsfw.calibration.rates import Floats, Rate, Sample, confusion, upper_limit
from open_nsfw.errors import UsageError

MOST_DECIMALS = 17  # a float64 needs no more to be told from its neighbour


@dataclass(frozen=True)
class Costs:
    """What an error of either kind costs, in any unit."""

    false_positive: float = 1.0
    false_negative: float = 1.0


@dataclass(frozen=True)
class Wishes:
    """What the user said; None where nothing."""

    max_fpr: float | None = None
    min_recall: float | None = None
    cost: Costs | None = None
    review_budget: float | None = None
    bands: tuple[float, ...] | None = None
    prevalence: float | None = None
    """The share of nsfw pictures in the traffic, where it is not the sample's."""
    confidence: float = 0.95
    as_measured: bool = False
    """Promises are about the rates of this sample, not about what can be said of the true ones."""


@dataclass(frozen=True)
class Choice:
    """Thresholds that fulfil one wish."""

    name: str
    """`promises`, `cost`, `review-budget` or `bands`."""
    option: str
    """As on the command line: `--max-fpr 0.01 --min-recall 0.95`."""
    thresholds: tuple[float, ...]
    """Rising, within 0..1."""
    warnings: tuple[str, ...] = ()
    numbers: dict[str, Rate] = field(default_factory=dict)
    """What the wish is about, measured: `false_positive_rate`, `recall`, `cost`, `review`, `error`."""


def choose(sample: Sample, wishes: Wishes) -> list[Choice]:
    """A choice for every wish; those for a false-positive rate and a recall make one.

    Raises UsageError where there can be none.
    """
    from open_nsfw.calibration.least_error import cheapest, within_budget

    choices = []
    if wishes.max_fpr is not None or wishes.min_recall is not None:
        choices.append(_promises(sample, wishes))
    if wishes.cost is not None:
        choices.append(cheapest(sample, wishes.cost, wishes))
    if wishes.review_budget is not None:
        choices.append(within_budget(sample, wishes.review_budget, wishes))
    if wishes.bands is not None:
        choices.append(Choice("bands", "--bands " + ",".join(map(number, wishes.bands)), wishes.bands))
    return choices


def number(value: float) -> str:
    return f"{value:.12g}"


def percent(share: float) -> str:
    """`0.85 %`, `4.2 %`, `97.6 %`."""
    return f"{share * 100:.{2 if share < 0.1 else 3}g} %"


# --- where a threshold may be ---


def between(low: float, high: float) -> float:
    """The number in (low, high] with the fewest decimals; of several, the one next to the middle."""
    for decimals in range(MOST_DECIMALS):
        scale = 10.0**decimals
        first, last = math.floor(low * scale) + 1, math.floor(high * scale)
        if first <= last:
            nearest = min(max(round((low + high) / 2 * scale), first), last)
            value = nearest / scale
            if low < value <= high:
                return value
    return high


def distinct_scores(sample: Sample) -> Floats:
    """Where a threshold makes a difference: the scores, each once, rising."""
    return np.unique(sample.scores)


def placed(levels: Floats, index: int) -> float:
    """A threshold that has `levels[index]` and what is over it on its nsfw side; `len(levels)` puts nothing there."""
    if index == len(levels):
        if levels[-1] >= 1:
            raise UsageError("the promise cannot be kept: it asks for a threshold over 1, where the highest scores are")
        return between(float(levels[-1]), 1.0)
    return between(float(levels[index - 1]) if index else 0.0, float(levels[index])) if levels[index] > 0 else 0.0


def at_or_over(scores: Floats, levels: Floats) -> Floats:
    """How many of `scores` count as nsfw with the threshold at each of L levels, and last, over all: (L + 1,)."""
    counts = len(scores) - np.searchsorted(np.sort(scores), levels, side="left")
    return np.append(counts, 0).astype(np.float64)


# --- promises about a rate ---


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


def _promises(sample: Sample, wishes: Wishes) -> Choice:
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
