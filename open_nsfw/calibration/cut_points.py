"""Where a threshold may be: between two neighbouring scores of the sample, never between equal ones."""

from __future__ import annotations

import math

import numpy as np

from open_nsfw.calibration.sample import Floats, Sample
from open_nsfw.errors import UsageError

MOST_DECIMALS = 17  # a float64 needs no more to be told from its neighbour


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
            raise UsageError(
                "no threshold keeps the limit: sfw pictures have the score 1, and a threshold is at most 1"
            )
        return between(float(levels[-1]), 1.0)
    return between(float(levels[index - 1]) if index else 0.0, float(levels[index])) if levels[index] > 0 else 0.0


def at_or_over(sample: Sample, nsfw: bool, levels: Floats, power: int = 1) -> Floats:
    """The weight (without weights: the number) of the pictures of one class that count as nsfw with the threshold at each of
    L levels, and last, over all: float64 (L + 1,). `power` 2: of the squared weights."""
    members = sample.nsfw == nsfw
    scores = sample.scores[members]
    order = np.argsort(scores)
    above = np.searchsorted(scores[order], levels, side="left")
    if sample.weights is None:
        return np.append(len(scores) - above, 0).astype(np.float64)
    weights = (sample.weights[members][order] ** power)[::-1]
    running = np.append(0.0, np.cumsum(weights))[::-1]  # from each place in the order to the highest score
    return np.append(running[above], 0.0)
