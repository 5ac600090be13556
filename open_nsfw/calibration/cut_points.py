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


def at_or_over(scores: Floats, levels: Floats) -> Floats:
    """How many of `scores` count as nsfw with the threshold at each of L levels, and last, over all: (L + 1,)."""
    counts = len(scores) - np.searchsorted(np.sort(scores), levels, side="left")
    return np.append(counts, 0).astype(np.float64)
