"""How long a training may take, from rates that are measured before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable
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


def measure(course: Course, first: Wanted, done: Callable[[], None]) -> Rates:
    """Compute the first views, and the gradient of a batch twice, of which the second counts."""
    started = time.perf_counter()
    course.inputs.prepare(first, done)
    views = len(first) / (time.perf_counter() - started) if first else 0.0
    inputs = np.zeros((BATCH, *course.inputs.shape), np.float32)
    nsfw = np.arange(BATCH) % 2 == 0
    course.net.gradient(inputs, nsfw)
    started = time.perf_counter()
    course.net.gradient(inputs, nsfw)
    return Rates(views, BATCH / (time.perf_counter() - started))


def seconds(rates: Rates, views: int, pictures: int, folds: int, epochs: int) -> float:
    """For so many views to compute, and so many epochs of all folds and of the last training."""
    computing = views / rates.views if views else 0.0
    an_epoch = pictures * (folds - 1 + 1 + FORWARD_SHARE) / rates.gradients
    return computing + epochs * an_epoch


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
