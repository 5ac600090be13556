"""Logistic regression that is pulled towards the weights that the head has, not towards zero.

The logit of a picture is `slope * source + features @ change + offset`. `source` is the logit of the source model, so with
no change the ranking of the pictures is the source model's; `change` is what the labels add, and it alone is penalized:

    mean log loss + strength / 2 * |change|^2        over features of mean 0 and standard deviation 1

The problem is convex and small, so it has one answer, which L-BFGS finds to many digits whatever it begins with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.sample import Flags, Floats, Ints
from open_nsfw.training.feature_file import Float32
from open_nsfw.training.head import Head

# Of the penalty, from one at which hardly anything changes to one at which the training pictures are fitted almost alone.
STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
SMALLEST_DEVIATION = 1e-6  # of a feature; one that hardly varies is left as it is
MOST_SLOPE = 50.0  # of the logit over one standard deviation: where the source model parts the labels without an error
MOST_STEPS = 5000
TOLERANCE = 1e-9  # of the gradient's largest component, at a loss of about 0.1


@dataclass(frozen=True, eq=False)
class Standard:
    """How features are brought to mean 0 and standard deviation 1."""

    mean: Floats
    """float64 (K,)"""
    deviation: Floats
    """float64 (K,)"""

    @classmethod
    def of(cls, features: Float32) -> Standard:
        """From the pictures that are learnt from, float32 (N, K)."""
        deviation = features.std(0, dtype=np.float64)
        return cls(features.mean(0, dtype=np.float64), np.where(deviation < SMALLEST_DEVIATION, np.inf, deviation))

    def __call__(self, features: Float32) -> Floats:
        """float64 (N, K)"""
        scaled: Floats = (features - self.mean) / self.deviation
        return scaled


@dataclass(frozen=True, eq=False)
class Fit:
    """What was learnt: `logit = slope * source + standard(features) @ change + offset`."""

    standard: Standard
    change: Floats
    slope: float
    offset: float

    def logits(self, features: Float32, source: Floats) -> Floats:
        """float64 (N,)"""
        logits: Floats = self.slope * source + self.standard(features) @ self.change + self.offset
        return logits

    def head(self, source: Head) -> Head:
        """The head that gives these logits."""
        change = self.change / self.standard.deviation
        offset = self.slope * source.offset + self.offset - float(self.standard.mean @ change)
        return source.with_difference(self.slope * source.direction + change, offset)

    def scaled(self, slope: float, offset: float) -> Fit:
        """The fit whose logits are `slope` times these, plus `offset`."""
        return Fit(self.standard, slope * self.change, slope * self.slope, slope * self.offset + offset)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread computes what is inside, so that the result does not hang on how many cores there are."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def fit_path(
    features: Float32,
    source: Floats,
    nsfw: Flags,
    strengths: Sequence[float],
    targets: Floats | None = None,
    weights: Floats | None = None,
) -> list[Fit]:
    """A fit for each strength, which must fall: each begins where the last one ended, only to get there sooner.

    `targets`: the probabilities to fit, float64 (N,); None for 1 and 0. `weights`: how much each counts, float64 (N,), above 0;
    None: all as much.
    """
    targets = nsfw.astype(np.float64) if targets is None else targets
    weights = np.ones(len(nsfw)) if weights is None else weights
    standard = Standard.of(features)
    inputs = standard(features)
    centre, spread = float(source.mean()), float(source.std()) or 1.0
    signal = (source - centre) / spread
    values = np.zeros(inputs.shape[1] + 2)
    values[-2] = spread  # the source model as it is
    values[-1] = centre
    fits = []
    for strength in strengths:
        values = _minimum(values, inputs, signal, targets, strength, weights)
        slope = float(values[-2]) / spread
        fits.append(Fit(standard, values[:-2], slope, float(values[-1]) - slope * centre))
    return fits


def fit_line(source: Floats, nsfw: Flags, weights: Floats) -> tuple[float, float]:
    """(slope, offset) of the logits that fit the labels best: a temperature and a prior, by which no ranking changes.
    `weights`: how many pictures each stands for, float64 (N,), on any scale.

    The targets are Platt's (Advances in Large Margin Classifiers, 1999), a little off 0 and 1: logits that part the labels
    without an error would otherwise be made ever larger.
    """
    positives, negatives = int(nsfw.sum()), int((~nsfw).sum())
    targets = np.where(nsfw, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    (fit,) = fit_path(np.zeros((len(source), 0), np.float32), source, nsfw, [1.0], targets, weights)
    return fit.slope, fit.offset


def held_out_logits(
    features: Float32,
    source: Floats,
    nsfw: Flags,
    folds: Sequence[tuple[Ints, Ints]],
    strengths: Sequence[float] = STRENGTHS,
) -> Floats:
    """float64 (strengths, N): the logit of each picture by the fit that it was held out from."""
    logits = np.empty((len(strengths), len(nsfw)))
    for learnt, held_out in folds:
        fits = fit_path(features[learnt], source[learnt], nsfw[learnt], strengths)
        for number, fit in enumerate(fits):
            logits[number, held_out] = fit.logits(features[held_out], source[held_out])
    return logits


def log_loss(logits: Floats, nsfw: Flags, weights: Floats | None = None) -> float:
    """The mean over the pictures, natural logarithm. `weights`: how many pictures each stands for, float64 (N,)."""
    return float(np.average(np.logaddexp(0, np.where(nsfw, -logits, logits)), weights=weights))


def objective(
    values: Floats, inputs: Floats, signal: Floats, targets: Floats, strength: float, weights: Floats
) -> tuple[float, Floats]:
    """(mean log loss with the penalty, its gradient) at `values`, float64 (K + 2,): change, slope and offset.

    `inputs`: float64 (N, K). `signal`: float64 (N,), what the slope multiplies. `targets`: float64 (N,), 0..1. `weights`:
    float64 (N,), how much each counts.
    """
    from scipy.special import expit

    change, slope, offset = values[:-2], values[-2], values[-1]
    logits = inputs @ change + slope * signal + offset
    slopes = weights * (expit(logits) - targets) / weights.sum()
    gradient = np.concatenate((slopes @ inputs + strength * change, [slopes @ signal, slopes.sum()]))
    loss = np.average(np.logaddexp(0, logits) - targets * logits, weights=weights)
    return float(loss + strength / 2 * change @ change), gradient


def _minimum(
    start: Floats, inputs: Floats, signal: Floats, targets: Floats, strength: float, weights: Floats
) -> Floats:
    """float64 (K + 2,): change, slope and offset. The slope is not negative: the source model is never turned round."""
    from scipy.optimize import minimize

    bounds = [(None, None)] * inputs.shape[1] + [(0.0, MOST_SLOPE), (-MOST_SLOPE, MOST_SLOPE)]
    options = {"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "ftol": 0.0, "gtol": TOLERANCE, "maxcor": 20}
    others = (inputs, signal, targets, strength, weights)
    found = minimize(objective, start, others, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    values: Floats = found.x
    return values
