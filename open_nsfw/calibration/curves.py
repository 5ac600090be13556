"""ROC and precision-recall curves with their areas, intervals and bands.

scikit-learn computes the curves and areas. The intervals:

- The area under the ROC curve has the wider, at each end, of two: DeLong's (Biometrics 1988) on the logit scale, which
  is too short where few pairs are out of order, and Newcombe's fifth (Statistics in Medicine 2006), which is not but
  presumes a shape of the curve.
- The curves have pointwise bands of a Bayesian bootstrap (Rubin, Annals of Statistics 1981) within each class, with half
  a picture added at either end of the scores: without it a band has no width where the sample happens to have no error.
  At any one threshold these are the Jeffreys intervals.

Where pictures have weights, all curves and areas are of weights, the bootstrap's random weights are multiplied by them,
DeLong's variance is that of weighted means, and Newcombe's sizes are divided by the design effect.

Where pictures come in groups, DeLong's variance is Obuchowski's for clustered data (Biometrics 1997), Newcombe's sizes
are divided by the design effect, and the bootstrap is one of groups: the pictures of a group share one weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.rates import Rate, tails
from open_nsfw.calibration.sample import Floats, Ints, Sample

GRID = np.linspace(0, 1, 201)  # where the bands are: false-positive rates of the ROC, recalls of the other curve
MOST_STEPS = 5_000  # of the score in the bootstrap; 100,000 pictures are 20 a step, a step is 0.02 % of them
LEAST_WEIGHT = 1e-12  # keeps 0/0 out of a precision before anything is flagged; the first picture weighs more


@dataclass(frozen=True)
class Band:
    """A curve over `GRID` with its pointwise band; float64 (len(GRID),) each, 0..1."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Curves:
    """All that is drawn and summed up over all thresholds."""

    auc: Rate
    average_precision: Rate
    brier: float
    roc: dict[str, Floats]
    """`false_positive_rate`, `recall`, `threshold`: scikit-learn's roc_curve."""
    pr: dict[str, Floats]
    """`precision`, `recall`, `threshold`: scikit-learn's precision_recall_curve."""
    roc_band: Band
    """The highest recall at a false-positive rate of at most `GRID`."""
    pr_band: Band
    """The precision at the highest threshold that gives a recall of at least `GRID`."""


@dataclass(frozen=True)
class BootstrapOptions:
    """How the bands are made."""

    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95


def curves(sample: Sample, options: BootstrapOptions) -> Curves:
    """ROC and precision-recall curve, their areas and bands, and the Brier score."""
    from sklearn import metrics

    nsfw, scores, weights = sample.nsfw, sample.scores, sample.weights
    fpr, recall, roc_thresholds = metrics.roc_curve(nsfw, scores, sample_weight=weights)
    precision, pr_recall, pr_thresholds = metrics.precision_recall_curve(nsfw, scores, sample_weight=weights)
    draws = _bootstrap(sample, options)
    sides = tails(options.confidence)
    area = float(metrics.roc_auc_score(nsfw, scores, sample_weight=weights))
    average = float(metrics.average_precision_score(nsfw, scores, sample_weight=weights))
    every_fpr, every_recall, _ = metrics.roc_curve(nsfw, scores, drop_intermediate=False, sample_weight=weights)
    roc_values = every_recall[np.searchsorted(every_fpr, GRID, side="right") - 1]
    # Recall falls along scikit-learn's arrays; the last point that has enough is the highest threshold.
    enough = len(pr_recall) - np.searchsorted(pr_recall[::-1], GRID, side="left") - 1
    return Curves(
        auc=_auc_interval(sample, area, options.confidence),
        average_precision=_average_precision_interval(average, draws, options.confidence),
        brier=float(metrics.brier_score_loss(nsfw, scores, sample_weight=weights)),
        roc={"false_positive_rate": fpr, "recall": recall, "threshold": roc_thresholds},
        pr={"precision": precision, "recall": pr_recall, "threshold": pr_thresholds},
        roc_band=_band(roc_values, draws.recall, sides),
        pr_band=_band(precision[enough], draws.precision, sides),
    )


def _band(value: Floats, draws: Floats, sides: tuple[float, float]) -> Band:
    low, high = np.quantile(draws, sides, axis=0)
    return Band(value, np.minimum(low, value), np.maximum(high, value))


@dataclass(frozen=True)
class _Draws:
    recall: Floats
    """(resamples, len(GRID)): at a false-positive rate of at most GRID."""
    precision: Floats
    """(resamples, len(GRID)): at a recall of at least GRID."""
    average_precision: Floats
    """(resamples,): with the half pictures at the ends."""
    plain_average_precision: Floats
    """(resamples,): without them."""


def _bootstrap(sample: Sample, options: BootstrapOptions) -> _Draws:
    """Each resample gives every picture a random weight; the classes keep theirs."""
    random = np.random.default_rng(options.seed)
    if sample.groups is None and sample.weights is None:
        draw_weights = _weights_of_steps(sample)
    else:
        groups = np.arange(len(sample.nsfw)) if sample.groups is None else sample.groups
        draw_weights = _weights_of_groups(sample, groups)
    odds = sample.total(True) / sample.total(False)
    half_pictures = [sample.total(nsfw) / sample.class_worth(nsfw) for nsfw in (True, False)]
    shape = (options.resamples, len(GRID))
    draws = _Draws(np.empty(shape), np.empty(shape), np.empty(shape[0]), np.empty(shape[0]))
    for number in range(options.resamples):
        weights = draw_weights(random)
        draws.plain_average_precision[number] = _average_precision(
            _cumulative(weights[0]), _cumulative(weights[1]), odds
        )
        recall, fpr = (
            _cumulative(_with_ends(each, random, half_picture)) for each, half_picture in zip(weights, half_pictures)
        )
        draws.average_precision[number] = _average_precision(recall, fpr, odds)
        at = np.searchsorted(fpr, GRID, side="right") - 1
        draws.recall[number] = np.where(at >= 0, recall[at], 0)
        at = np.minimum(np.searchsorted(recall, GRID, side="left"), len(recall) - 1)
        draws.precision[number] = odds * recall[at] / np.maximum(odds * recall[at] + fpr[at], LEAST_WEIGHT)
    return draws


DrawWeights = Callable[[np.random.Generator], "tuple[Floats, Floats]"]
"""Random weights of the nsfw and of the sfw pictures, added up for each step of the score, from the highest."""


def _weights_of_steps(sample: Sample) -> DrawWeights:
    """Of pictures that stand for themselves. The weights of those that no threshold parts add up to one gamma variate, so
    that ties, and the coarser steps of a large sample, cost one draw."""
    positives, negatives = _steps(sample)
    return lambda random: (random.standard_gamma(positives), random.standard_gamma(negatives))


def _weights_of_groups(sample: Sample, groups: Ints) -> DrawWeights:
    """Of pictures in groups: each group has one exponential weight, which all of its pictures have, in both classes, times
    their own."""
    from scipy.sparse import csr_array

    at, steps = _step_of_each(sample)
    number = np.unique(groups, return_inverse=True)[1]
    count = int(number.max()) + 1
    positives, negatives = (
        csr_array((sample.each_weight[members], (steps - 1 - at[members], number[members])), shape=(steps, count))
        for members in (sample.nsfw, ~sample.nsfw)
    )

    def draw(random: np.random.Generator) -> tuple[Floats, Floats]:
        weights = random.standard_exponential(count)
        return positives @ weights, negatives @ weights

    return draw


def _step_of_each(sample: Sample) -> tuple[Ints, int]:
    """(the number of the step of the score that each picture is at, from the lowest; how many steps there are): one for
    each distinct score, or `MOST_STEPS` ranges of scores that hold about as many pictures each, whichever is less."""
    levels = np.unique(sample.scores)
    if len(levels) > MOST_STEPS:
        ranks = np.linspace(0, len(sample.scores) - 1, MOST_STEPS).astype(int)
        levels = np.unique(np.sort(sample.scores)[ranks])
    return np.searchsorted(levels, sample.scores, side="right") - 1, len(levels)


def _steps(sample: Sample) -> tuple[Floats, Floats]:
    """How many nsfw and how many sfw pictures there are at each step of the score, from the highest."""
    at, steps = _step_of_each(sample)
    total = np.bincount(at, minlength=steps).astype(np.float64)
    positives = np.bincount(at[sample.nsfw], minlength=steps).astype(np.float64)
    return positives[::-1], (total - positives)[::-1]


def _with_ends(weights: Floats, random: np.random.Generator, independent: float) -> Floats:
    """One more weight, of half an independent picture, before the highest score and behind the lowest; `independent` is the
    weight of a whole one."""
    top, bottom = independent * random.standard_gamma(0.5, 2)
    return np.concatenate(((top,), weights, (bottom,)))


def _cumulative(weights: Floats) -> Floats:
    """Their running share of the whole, 0..1, never falling."""
    total: Floats = weights.cumsum()
    total /= total[-1]
    return total


def _average_precision(recall: Floats, fpr: Floats, odds: float) -> float:
    """The mean of the precision over the recall's steps, at falling thresholds."""
    precision = odds * recall / np.maximum(odds * recall + fpr, LEAST_WEIGHT)
    return float(np.diff(recall, prepend=0) @ precision)


def area_under_roc(sample: Sample, confidence: float) -> Rate:
    """The area under the ROC curve with its interval."""
    from sklearn import metrics

    return _auc_interval(sample, float(metrics.roc_auc_score(sample.nsfw, sample.scores)), confidence)


def _auc_interval(sample: Sample, area: float, confidence: float) -> Rate:
    low, high = _newcombe(area, sample.class_worth(True), sample.class_worth(False), confidence)
    error = _area_error(sample)
    if 0 < area < 1 and error > 0:
        delong = _logit_interval(area, error, confidence)
        low, high = min(low, delong[0]), max(high, delong[1])
    return Rate(area, min(low, area), max(high, area))


def _area_error(sample: Sample) -> float:
    """DeLong's standard error of the area, or Obuchowski's: from how each picture ranks among those of the other class."""
    positives, negatives = sample.scores[sample.nsfw], sample.scores[~sample.nsfw]
    if min(len(positives), len(negatives)) < 2:
        return 0.0
    weights = sample.each_weight
    over = _ranks(positives, negatives, weights[~sample.nsfw])
    under = _ranks(negatives, positives, weights[sample.nsfw])
    if sample.groups is not None:
        return _obuchowski_error(sample, over, under, sample.groups)
    return math.sqrt(_variance(over, weights[sample.nsfw]) + _variance(under, weights[~sample.nsfw]))


def _variance(values: Floats, weights: Floats) -> float:
    """Of the weighted mean of values, by how they lie."""
    count, mean = len(values), np.average(values, weights=weights)
    return float((weights**2 @ (values - mean) ** 2) / weights.sum() ** 2 * count / (count - 1))


def _obuchowski_error(sample: Sample, over: Floats, under: Floats, groups: Ints) -> float:
    """The standard error of the area of pictures in groups. `over` float64 (positives,): the share of sfw pictures below
    each nsfw one; `under` float64 (negatives,): the share of nsfw pictures below each sfw one."""
    number = np.unique(groups, return_inverse=True)[1]
    count = int(number.max()) + 1
    if count < 2:
        return 0.0
    of_positives, of_negatives = (
        np.bincount(number[members], weights * (values - np.average(values, weights=weights)), count) / weights.sum()
        for members, values in ((sample.nsfw, over), (~sample.nsfw, under))
        for weights in (sample.each_weight[members],)
    )
    variance = 0.0
    for members, sums in ((sample.nsfw, of_positives), (~sample.nsfw, of_negatives)):
        with_members = len(np.unique(number[members]))
        variance += with_members / max(with_members - 1, 1) * float(sums @ sums)
    # How a group's nsfw pictures rank goes with how its sfw ones do; `under` falls where the area rises.
    variance -= 2 * count / (count - 1) * float(of_positives @ of_negatives)
    return math.sqrt(max(variance, 0.0))


def _ranks(values: Floats, among: Floats, weights: Floats) -> Floats:
    """The share of `among`, by its `weights`, that is below each value, ties by half."""
    order = np.argsort(among)
    among, below = among[order], np.append(0.0, np.cumsum(weights[order]))
    first, last = np.searchsorted(among, values, "left"), np.searchsorted(among, values, "right")
    ranks: Floats = (below[first] + below[last]) / (2 * below[-1])
    return ranks


def _logit_interval(value: float, error: float, confidence: float) -> tuple[float, float]:
    from scipy.special import expit, logit, ndtri

    half = ndtri((1 + confidence) / 2) * error / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def _newcombe(area: float, positives: float, negatives: float, confidence: float) -> tuple[float, float]:
    """The areas that are no further from the one measured than their own standard errors allow."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z, mean_size = float(ndtri((1 + confidence) / 2)), (positives + negatives) / 2 - 1

    def excess(true: float) -> float:
        shape = 1 + mean_size * ((1 - true) / (2 - true) + true / (1 + true))
        return abs(area - true) - z * math.sqrt(true * (1 - true) * shape / (positives * negatives))

    # The excess is 0 or more at 0 and at 1, and less than 0 next to the area itself.
    inside = min(max(area, 1e-9), 1 - 1e-9)
    low = brentq(excess, 0.0, inside) if area > 0 and excess(inside) < 0 else area
    high = brentq(excess, inside, 1.0) if area < 1 and excess(inside) < 0 else area
    return float(low), float(high)


def _average_precision_interval(value: float, draws: _Draws, confidence: float) -> Rate:
    """On the logit scale, and at the lower end no shorter than with half pictures at the ends."""
    low, high = float(np.quantile(draws.average_precision, tails(confidence)[0])), 1.0
    if 0 < value < 1:
        logit_low, high = _logit_interval(value, float(draws.plain_average_precision.std()), confidence)
        low = min(low, logit_low)
    return Rate(value, min(low, value), max(high, value))
