"""How long a training may take, from rates that are measured before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from open_nsfw.training.deep import MOST_EPOCHS
from open_nsfw.training.inputs import Wanted
from open_nsfw.training.sampling import BATCH
from open_nsfw.training.trainer import Course

TRIED = 64  # views that are timed; they are kept, so nothing is computed twice
FORWARD_SHARE = 0.25  # of the time of a gradient: what the logits of held-out pictures take


@dataclass(frozen=True)
class Rates:
    """Pictures a second."""

    views: float
    """Of the frozen layers; 0 if there is nothing to compute."""
    gradients: float
    """Of steps of training, what they read included."""


def measure(course: Course, digests: Sequence[str], first: Wanted, done: Callable[[], None]) -> Rates:
    """Compute the first views, and the gradient of a batch twice, of which the second counts. `digests`: of the pictures,
    those that `first` has in front."""
    started = time.perf_counter()
    course.inputs.prepare(first, done)
    views = len(first) / (time.perf_counter() - started) if first else 0.0
    some = digests[:BATCH]
    nsfw = np.arange(len(some)) % 2 == 0
    for _ in range(2):
        started = time.perf_counter()
        course.net.gradient(course.inputs.middles(some), nsfw)
    return Rates(views, len(some) / (time.perf_counter() - started))


def epoch_seconds(rates: Rates, pictures: int, folds: int) -> float:
    """For an epoch of all folds."""
    return pictures * (folds - 1 + FORWARD_SHARE) / rates.gradients


def seconds(rates: Rates, views: int, pictures: int, folds: int, epochs: int) -> float:
    """For so many views to compute, and so many epochs of all folds and of the last training."""
    computing = views / rates.views if views else 0.0
    return computing + epochs * (epoch_seconds(rates, pictures, folds) + pictures / rates.gradients)


def describe(what: str, rates: Rates, views: int, pictures: int, folds: int) -> str:
    """One line."""
    computing = f"{views:,} views at {rates.views:.0f} a second, then " if views else ""
    most = seconds(rates, views, pictures, folds, MOST_EPOCHS)
    return (
        f"{what}: {computing}at most {MOST_EPOCHS} epochs of {folds} folds, {pictures:,} pictures, at {rates.gradients:.0f} a "
        f"second: at most {duration(most)}"
    )


def duration(value: float) -> str:
    """`40 s`, `3 min`, `2.5 h`"""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"
