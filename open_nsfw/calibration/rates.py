"""Scores and labels -> rates and their intervals.

scikit-learn computes every number that it can; what it has no function for (intervals, bands) is here, with its source:

- A rate (k of n) has the exact interval of Clopper and Pearson (Biometrika 1934), which covers at least as often as it
  says. Of pictures that come in groups, k and n are divided by the design effect first (Korn and Graubard, Survey
  Methodology 1998; sample.py says how large it is). Of weighted pictures, the rate is a ratio of weights, and the design
  effect at least that of its linearized variance (Taylor series; Woodruff, JASA 1971).
- A number made of two rates, such as the precision at another share of nsfw, has the interval of draws from the rates'
  Jeffreys posteriors, Beta(k + 1/2, n - k + 1/2).

The curves are in curves.py. `benchmarks/interval_coverage.py` measures how often they cover.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from open_nsfw.calibration.sample import Flags, Floats, Ints, Sample

HISTOGRAM_BINS = 40
RELIABILITY_BINS = 10
POSTERIOR_DRAWS = 20_000  # the 2.5th percentile of so many moves by less than a hundredth of the interval's width


@dataclass(frozen=True)
class Rate:
    """A number measured on the sample, and the interval its true value lies in. `value` is None where nothing is
    counted."""

    value: float | None
    low: float
    high: float
    count: int | None = None
    """With `of`: the value is `count` / `of`."""
    of: int | None = None
    design_effect: float = 1.0
    """How many times as many pictures it took to know the rate so well as independent ones would have taken."""

    @property
    def worth(self) -> float:
        """So many independent pictures tell as much as the `of` do."""
        return (self.of or 0) / self.design_effect

    @property
    def hits(self) -> float:
        """As many of `worth` as make the rate's value."""
        return (self.value or 0.0) * self.worth

    def as_json(self) -> dict[str, Any]:
        """For numbers.json and policies."""
        counted = {} if self.count is None else {"count": self.count, "of": self.of}
        grouped = {} if self.design_effect == 1 else {"design_effect": self.design_effect}
        return {"value": self.value, "low": self.low, "high": self.high, **counted, **grouped}


def upper_limit(count: float, total: float, confidence: float) -> float:
    """The true rate is at most this, one-sided, when `count` of `total` were seen."""
    from scipy.special import betaincinv

    return 1.0 if count >= total else float(betaincinv(count + 1, total - count, confidence))


def rate(count: int, total: int, confidence: float, effect: float = 1.0) -> Rate:
    """`count` of `total`, with Clopper and Pearson's two-sided interval; `effect` is the design effect."""
    if total == 0:
        return Rate(None, 0.0, 1.0, 0, 0)
    side = (1 + confidence) / 2
    low = 1 - upper_limit((total - count) / effect, total / effect, side)
    high = upper_limit(count / effect, total / effect, side)
    return Rate(count / total, low, high, int(count), int(total), effect)


def class_rate(sample: Sample, nsfw: bool, hits: Flags, confidence: float) -> Rate:
    """How many pictures of one class are among `hits`, bool (N,)."""
    return _rate_among(sample, sample.nsfw == nsfw, hits, confidence, sample.class_effect(nsfw))


def mixed_rate(sample: Sample, among: Flags, hits: Flags, confidence: float) -> Rate:
    """How many of the pictures `among`, bool (N,), of whichever class, are among `hits`, too."""
    return _rate_among(sample, among, hits, confidence, sample.mixed_effect(among))


def _rate_among(sample: Sample, among: Flags, hits: Flags, confidence: float, effect: float) -> Rate:
    count, total = int((hits & among).sum()), int(among.sum())
    if sample.weights is None or not total:
        return rate(count, total, confidence, effect)
    weights = sample.weights[among]
    value, squares = float(weights @ hits[among] / weights.sum()), weights**2
    of_weights = sample.weight_effect(among)
    linearized = linearized_effect(value, float(squares @ hits[among]), squares.sum(), weights.sum(), total)
    effect *= max(1.0, float(linearized) / of_weights)
    worth, side = total / effect, (1 + confidence) / 2
    low, high = 1 - upper_limit((1 - value) * worth, worth, side), upper_limit(value * worth, worth, side)
    return Rate(value, min(low, value), max(high, value), count, total, effect)


def linearized_effect(value: Any, squares_of_hits: Any, squares: float, weight: float, total: int) -> Any:
    """The design effect by the linearized variance of a weighted rate; 0 where the rate is 0 or 1.

    `value`: the rate, a number or float64 (M,). `squares_of_hits`, alike: the squared weights of the pictures that are hit;
    `squares` of all pictures. `weight`: of all. `total`: how many they are.
    """
    variance = ((1 - 2 * value) * squares_of_hits + value**2 * squares) / weight**2
    simple = value * (1 - value) / total
    return np.divide(
        variance, simple, out=np.zeros_like(np.asarray(value, np.float64)), where=np.asarray(simple) > 1e-15
    )


def combined(function: Callable[[Floats, Floats], Floats], first: Rate, second: Rate, confidence: float) -> Rate:
    """`function(first, second)` of rates measured on different pictures, by draws from their Jeffreys posteriors."""
    random = np.random.default_rng(0)
    draws = [
        random.beta(each.hits + 0.5, max(each.worth - each.hits, 0.0) + 0.5, POSTERIOR_DRAWS)
        for each in (first, second)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(function(np.array(first.value or 0.0), np.array(second.value or 0.0)))
    low, high = np.quantile(function(*draws), tails(confidence))
    if not math.isfinite(value):
        return Rate(None, float(low), float(high))
    return Rate(value, min(float(low), value), max(float(high), value))


def tails(confidence: float) -> tuple[float, float]:
    """The quantiles between which a central interval lies."""
    return (1 - confidence) / 2, (1 + confidence) / 2


@dataclass(frozen=True)
class Confusion:
    """What a threshold does to the sample; a score at or over it counts as nsfw."""

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    recall: Rate
    false_positive_rate: Rate
    precision: Rate
    accuracy: Rate

    def as_json(self) -> dict[str, Any]:
        """For numbers.json and policies."""
        return {name: getattr(value, "as_json", lambda value=value: value)() for name, value in vars(self).items()}


def confusion(sample: Sample, threshold: float, confidence: float, prevalence: float | None = None) -> Confusion:
    """The confusion table at `threshold`. `prevalence`, if given, replaces the sample's share of nsfw in the precision
    and the accuracy, which depend on it."""
    from sklearn.metrics import confusion_matrix

    flagged = sample.scores >= threshold
    table = confusion_matrix(sample.nsfw, flagged, labels=[False, True])
    tn, fp, fn, tp = (int(count) for count in table.ravel())
    recall, fpr = (class_rate(sample, nsfw, flagged, confidence) for nsfw in (True, False))
    if prevalence is None:
        precision = mixed_rate(sample, flagged, sample.nsfw, confidence)
        accuracy = mixed_rate(sample, np.ones_like(flagged), flagged == sample.nsfw, confidence)
    else:
        share = prevalence
        precision = combined(lambda r, f: share * r / (share * r + (1 - share) * f), recall, fpr, confidence)
        accuracy = combined(lambda r, f: share * r + (1 - share) * (1 - f), recall, fpr, confidence)
    return Confusion(threshold, tp, fp, tn, fn, recall, fpr, precision, accuracy)


@dataclass(frozen=True)
class BandShares:
    """How many pictures fall into one band."""

    sfw: Rate
    """As a share of the sfw pictures."""
    nsfw: Rate
    """As a share of the nsfw pictures."""
    all: Rate
    """As a share of all pictures."""


def band_rates(
    sample: Sample, thresholds: tuple[float, ...], confidence: float, prevalence: float | None
) -> list[BandShares]:
    """For each band between the thresholds, from the lowest. `prevalence`, if given, replaces the sample's share of nsfw
    in the share of all pictures."""
    bands = np.searchsorted(thresholds, sample.scores, side="right")
    share = sample.share(prevalence)
    found = []
    for band in range(len(thresholds) + 1):
        inside = bands == band
        sfw, nsfw = (class_rate(sample, nsfw, inside, confidence) for nsfw in (False, True))
        overall = mixed_rate(sample, np.ones_like(inside), inside, confidence)
        if prevalence is not None:
            overall = combined(lambda s, n: (1 - share) * s + share * n, sfw, nsfw, confidence)
        found.append(BandShares(sfw, nsfw, overall))
    return found


# --- by score ---


@dataclass(frozen=True)
class Histogram:
    """How many pictures of each class score in each of `HISTOGRAM_BINS` equal steps from 0 to 1."""

    edges: Floats
    """float64 (HISTOGRAM_BINS + 1,)"""
    sfw: Ints
    """int64 (HISTOGRAM_BINS,), like `nsfw`."""
    nsfw: Ints


def histogram(sample: Sample) -> Histogram:
    """The histogram of a sample."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    sfw, nsfw = (np.histogram(sample.scores[chosen], edges)[0] for chosen in (~sample.nsfw, sample.nsfw))
    return Histogram(edges, sfw, nsfw)


@dataclass(frozen=True)
class ReliabilityBin:
    """The pictures whose score is in one step of the scale."""

    mean_score: float
    nsfw: Rate
    """How many of them are nsfw."""


def reliability(sample: Sample, confidence: float) -> list[ReliabilityBin]:
    """Each of `RELIABILITY_BINS` equal steps of the score that has pictures."""
    from sklearn.calibration import calibration_curve

    edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
    bins = np.searchsorted(edges[1:-1], sample.scores)  # as calibration_curve has it: a score on an edge belongs below
    filled = np.flatnonzero(np.bincount(bins, minlength=RELIABILITY_BINS))
    if sample.weights is None:
        _, means = calibration_curve(sample.nsfw, sample.scores, n_bins=RELIABILITY_BINS, strategy="uniform")
    else:  # for which scikit-learn's function has no place
        means = np.array(
            [np.average(sample.scores[bins == each], weights=sample.weights[bins == each]) for each in filled]
        )
    return [
        ReliabilityBin(float(mean), mixed_rate(sample, bins == number, sample.nsfw, confidence))
        for number, mean in zip(filled, means)
    ]
