"""Before and after, on the same test pictures: scikit-learn's numbers, and paired intervals of their differences.

The intervals of differences are those of a Bayesian bootstrap of groups (Rubin, Annals of Statistics 1981): in each
resample the pictures of a group share one random weight, and both models are measured with the same weights. The area of
one model has the interval of calibration/curves.py.

Of few groups a bootstrap knows too little: its variance is too small by (m - 1) / m, and its tails are those of a normal
distribution. Intervals are therefore stretched by sqrt(m / (m - 1)) and the ratio of Student's quantile to the normal one (Korn
and Graubard, Survey Methodology 1998), m being the groups of the class that has fewer. Without that, one of
two models that guess is often called better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from open_nsfw.calibration.curves import BootstrapOptions, Curves, curves
from open_nsfw.calibration.rates import Rate, class_rate, tails
from open_nsfw.calibration.sample import Flags, Floats, Sample

SMALLEST_SCORE = 1e-15  # of a log loss; a score of 0 or 1 would make one wrong label infinite
NAMES = {
    "auc": "area under the ROC curve",
    "recall": "recall at the limit",
    "log_loss": "log loss",
    "brier": "Brier score",
}


@dataclass(frozen=True)
class Measure:
    """One number of both models."""

    name: str
    """One of `NAMES`."""
    before: Rate
    after: Rate
    difference: Rate
    """After less before."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that is measured on the test pictures."""

    measures: tuple[Measure, ...]
    recalibrated: Measure
    """The log loss once more, against the source model with its logits brought to the labels."""
    before: Sample
    after: Sample
    before_curves: Curves
    after_curves: Curves
    better: bool
    """Whether the new model ranks better, or is better calibrated than the source model can be made without it, with the
    confidence asked for; and neither is worse."""

    def measure(self, name: str) -> Measure:
        """The one of that name."""
        return next(each for each in self.measures if each.name == name)


def compare(
    scores: dict[str, Floats],
    tested: Sample,
    max_fpr: float,
    prevalence: float | None,
    how: BootstrapOptions,
) -> Comparison:
    """`scores`: `before`, `recalibrated` and `after`, float64 (N,) each, 0..1. `tested`: the test pictures, with any scores."""
    before, after = (replace(tested, scores=scores[name]) for name in ("before", "after"))
    at_share = _at_share(tested, prevalence)
    values = {name: _values(each, tested.nsfw, tested.each_weight, at_share, max_fpr) for name, each in scores.items()}
    draws = _draws(scores, tested, at_share, max_fpr, how)
    intervals = _Intervals(tails(how.confidence), _stretch(tested, how.confidence))
    before_curves, after_curves = curves(before, how), curves(after, how)
    measures = tuple(
        Measure(name, *_rates("before", number, values, draws, intervals)) for number, name in enumerate(NAMES)
    )
    measures = (
        replace(measures[0], before=before_curves.auc, after=after_curves.auc),
        replace(
            measures[1],
            before=_with_counts(measures[1].before, before, max_fpr, how.confidence),
            after=_with_counts(measures[1].after, after, max_fpr, how.confidence),
        ),
        *measures[2:],
    )
    at = list(NAMES).index("log_loss")
    recalibrated = Measure("log_loss", *_rates("recalibrated", at, values, draws, intervals))
    area = measures[0].difference
    improves = area.low > 0 or recalibrated.difference.high < 0
    worsens = area.high < 0 or recalibrated.difference.low > 0
    return Comparison(measures, recalibrated, before, after, before_curves, after_curves, improves and not worsens)


def _with_counts(recall: Rate, sample: Sample, max_fpr: float, confidence: float) -> Rate:
    """The recall with the wider of two intervals at each end: the bootstrap's, which knows that the threshold is the
    sample's, and Clopper and Pearson's, which has a width also where no picture is missed."""
    found = sample.scores >= threshold_at(sample.scores, sample.nsfw, max_fpr, sample.weights)
    counted = class_rate(sample, True, found, confidence)
    return Rate(recall.value, min(recall.low, counted.low), max(recall.high, counted.high))


def threshold_at(scores: Floats, nsfw: Flags, max_fpr: float, weights: Floats | None = None) -> float:
    """The lowest threshold among the scores at which at most that share of the sfw pictures counts as nsfw; above all
    scores if there is none. `weights`: how many pictures each stands for, float64 (N,)."""
    from sklearn.metrics import roc_curve

    fpr, _, thresholds = roc_curve(nsfw, scores, sample_weight=weights, drop_intermediate=False)
    return float(thresholds[np.searchsorted(fpr, max_fpr, side="right") - 1])


def recall_at(scores: Floats, nsfw: Flags, max_fpr: float) -> float:
    """The recall at the threshold of `threshold_at`."""
    return float((scores[nsfw] >= threshold_at(scores, nsfw, max_fpr)).mean())


def _at_share(tested: Sample, prevalence: float | None) -> Floats:
    """float64 (N,): what weights are multiplied by, so that the share of nsfw is `prevalence`."""
    share, wanted = tested.share(None), tested.share(prevalence)
    return np.where(tested.nsfw, wanted / share, (1 - wanted) / (1 - share))


def _values(scores: Floats, nsfw: Flags, weights: Floats, at_share: Floats, max_fpr: float) -> Floats:
    """float64 (len(NAMES),), in the order of `NAMES`. The ROC curve does not hang on the share of nsfw, so it has the plain
    weights, whose rates are exact."""
    from sklearn import metrics

    fpr, recall, _ = metrics.roc_curve(nsfw, scores, sample_weight=weights, drop_intermediate=False)
    inside = np.clip(scores, SMALLEST_SCORE, 1 - SMALLEST_SCORE)
    return np.array(
        [
            metrics.auc(fpr, recall),
            recall[np.searchsorted(fpr, max_fpr, side="right") - 1],
            metrics.log_loss(nsfw, inside, sample_weight=weights * at_share, labels=[False, True]),
            float(np.average((scores - nsfw) ** 2, weights=weights * at_share)),
        ]
    )


def _draws(
    scores: dict[str, Floats], tested: Sample, at_share: Floats, max_fpr: float, how: BootstrapOptions
) -> dict[str, Floats]:
    """float64 (resamples, len(NAMES)) of each model, with the same weights in the same row."""
    random = np.random.default_rng(how.seed)
    groups = np.arange(len(tested.nsfw)) if tested.groups is None else tested.groups
    number = np.unique(groups, return_inverse=True)[1]
    found = {name: np.empty((how.resamples, len(NAMES))) for name in scores}
    for row in range(how.resamples):
        drawn = tested.each_weight * random.standard_exponential(int(number.max()) + 1)[number]
        for name, each in scores.items():
            found[name][row] = _values(each, tested.nsfw, drawn, at_share, max_fpr)
    return found


def _stretch(tested: Sample, confidence: float) -> float:
    """By how much intervals are longer than the bootstrap has them."""
    from scipy.special import ndtri, stdtrit

    groups = np.arange(len(tested.nsfw)) if tested.groups is None else tested.groups
    fewest = max(min(len(np.unique(groups[tested.nsfw == nsfw])) for nsfw in (False, True)), 2)
    end = tails(confidence)[1]
    return float(np.sqrt(fewest / (fewest - 1)) * stdtrit(fewest - 1, end) / ndtri(end))


@dataclass(frozen=True)
class _Intervals:
    """How draws become an interval."""

    sides: tuple[float, float]
    stretch: float

    def rate(self, value: float, draws: Floats, least: float, most: float) -> Rate:
        """A number that is from `least` to `most`."""
        below, above = np.quantile(draws, self.sides) - value
        low, high = value + self.stretch * min(below, 0.0), value + self.stretch * max(above, 0.0)
        return Rate(float(value), float(max(low, least)), float(min(high, most)))


def _rates(
    before: str,
    number: int,
    values: dict[str, Floats],
    draws: dict[str, Floats],
    intervals: _Intervals,
) -> tuple[Rate, Rate, Rate]:
    """The model `before`, the one after fine-tuning, and the difference."""
    after = "after"
    most = np.inf if list(NAMES)[number] == "log_loss" else 1.0
    old, new = (intervals.rate(values[name][number], draws[name][:, number], 0.0, most) for name in (before, after))
    difference = draws[after][:, number] - draws[before][:, number]
    return old, new, intervals.rate(values[after][number] - values[before][number], difference, -most, most)
