"""ROC and precision-recall curves with their areas, intervals and bands.

scikit-learn computes the curves and areas. The intervals:

- the area under the ROC curve has the wider, at each end, of two: DeLong's (Biometrics 1988) on the logit scale, which
is
  too short where few pairs are out of order, and Newcombe's fifth (Statistics in Medicine 2006), which is not but
  presumes a shape of the curve;
- the curves have pointwise bands of a Bayesian bootstrap (Rubin, Annals of Statistics 1981) within each class, with
half a
  picture added at either end of the scores: without it a band has no width where the sample happens to have no error.
  At any one threshold these are the Jeffreys intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.rates import Rate, tails
from open_nsfw.calibration.sample import Floats, Sample

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

    nsfw, scores = sample.nsfw, sample.scores
    fpr, recall, roc_thresholds = metrics.roc_curve(nsfw, scores)
    precision, pr_recall, pr_thresholds = metrics.precision_recall_curve(nsfw, scores)
    draws = _bootstrap(sample, options)
    sides = tails(options.confidence)
    area = float(metrics.roc_auc_score(nsfw, scores))
    average = float(metrics.average_precision_score(nsfw, scores))
    every_fpr, every_recall, _ = metrics.roc_curve(nsfw, scores, drop_intermediate=False)
    roc_values = every_recall[np.searchsorted(every_fpr, GRID, side="right") - 1]
    # Recall falls along scikit-learn's arrays; the last point that has enough is the highest threshold.
    enough = len(pr_recall) - np.searchsorted(pr_recall[::-1], GRID, side="left") - 1
    return Curves(
        auc=_auc_interval(sample, area, options.confidence),
        average_precision=_average_precision_interval(average, draws, options.confidence),
        brier=float(metrics.brier_score_loss(nsfw, scores)),
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
    """Each resample gives every picture a random weight; the classes keep theirs.

    The weights of pictures that no threshold parts add up to one gamma variate, so that ties, and the coarser steps of
    a large sample, cost one draw.
    """
    random = np.random.default_rng(options.seed)
    positives, negatives = _steps(sample)
    odds = sample.positives / sample.negatives
    shape = (options.resamples, len(GRID))
    draws = _Draws(np.empty(shape), np.empty(shape), np.empty(shape[0]), np.empty(shape[0]))
    for number in range(options.resamples):
        weights = random.standard_gamma(positives), random.standard_gamma(negatives)
        draws.plain_average_precision[number] = _average_precision(
            _cumulative(weights[0]), _cumulative(weights[1]), odds
        )
        recall, fpr = (_cumulative(_with_ends(each, random)) for each in weights)
        draws.average_precision[number] = _average_precision(recall, fpr, odds)
        at = np.searchsorted(fpr, GRID, side="right") - 1
        draws.recall[number] = np.where(at >= 0, recall[at], 0)
        at = np.minimum(np.searchsorted(recall, GRID, side="left"), len(recall) - 1)
        draws.precision[number] = odds * recall[at] / np.maximum(odds * recall[at] + fpr[at], LEAST_WEIGHT)
    return draws


def _steps(sample: Sample) -> tuple[Floats, Floats]:
    """How many nsfw and how many sfw pictures there are at each distinct score, from the highest; where there are more
    than `MOST_STEPS` distinct scores, in so many ranges of scores instead that hold about as many pictures each."""
    levels = np.unique(sample.scores)
    if len(levels) > MOST_STEPS:
        ranks = np.linspace(0, len(sample.scores) - 1, MOST_STEPS).astype(int)
        levels = np.unique(np.sort(sample.scores)[ranks])
    at = np.searchsorted(levels, sample.scores, side="right") - 1
    total = np.bincount(at, minlength=len(levels)).astype(np.float64)
    positives = np.bincount(at[sample.nsfw], minlength=len(levels)).astype(np.float64)
    return positives[::-1], (total - positives)[::-1]


def _with_ends(weights: Floats, random: np.random.Generator) -> Floats:
    """One more weight, of half a picture, before the highest score and behind the lowest."""
    top, bottom = random.standard_gamma(0.5, 2)
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


def _auc_interval(sample: Sample, area: float, confidence: float) -> Rate:
    low, high = _newcombe(area, sample.positives, sample.negatives, confidence)
    error = _delong_error(sample)
    if 0 < area < 1 and error > 0:
        delong = _logit_interval(area, error, confidence)
        low, high = min(low, delong[0]), max(high, delong[1])
    return Rate(area, min(low, area), max(high, area))


def _delong_error(sample: Sample) -> float:
    """DeLong's standard error of the area: from how each picture ranks among those of the other class."""
    positives, negatives = np.sort(sample.scores[sample.nsfw]), np.sort(sample.scores[~sample.nsfw])
    if min(len(positives), len(negatives)) < 2:
        return 0.0
    over, under = _ranks(positives, negatives), _ranks(negatives, positives)
    return math.sqrt(over.var(ddof=1) / len(positives) + under.var(ddof=1) / len(negatives))


def _ranks(values: Floats, among: Floats) -> Floats:
    """The share of `among` (sorted) below each value, ties by half."""
    ranks: Floats = (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / (
        2 * len(among)
    )
    return ranks


def _logit_interval(value: float, error: float, confidence: float) -> tuple[float, float]:
    from scipy.special import expit, logit, ndtri

    half = ndtri((1 + confidence) / 2) * error / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def _newcombe(area: float, positives: int, negatives: int, confidence: float) -> tuple[float, float]:
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
