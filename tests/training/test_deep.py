"""How long a training goes."""

from __future__ import annotations

import time
from typing import cast

import numpy as np
import pytest

from open_nsfw.training.deep import Asked, _Run
from open_nsfw.training.epochs import EpochFound
from open_nsfw.training.trainer import Trainer

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

NSFW = np.arange(20) % 2 == 0


class Stand:
    """A training that takes no time."""

    def __init__(self) -> None:
        self.epochs = 0
        self.losses: list[float] = []

    def run(self, epochs: int) -> None:
        """As many epochs."""
        while self.epochs < epochs:
            self.epochs += 1
            self.losses.append(0.5)

    def logits(self, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Better ones, the more epochs there were."""
        return np.where(NSFW[:10], 0.1, -0.1) * epoch


def epochs(seconds_left: float | None, epoch_seconds: float) -> tuple[bool, int]:
    """(whether the time was over, how many epochs were trained) of two folds."""
    deadline = None if seconds_left is None else time.monotonic() + seconds_left
    trainers = cast("list[Trainer]", [Stand(), Stand()])
    told: list[EpochFound] = []
    asked = Asked(0.1, 0.95, deadline, 0, epoch_seconds)
    run = _Run(trainers, [np.arange(10), np.arange(10, 20)], NSFW, asked, told.append)
    return run.until_done(), run.epochs


def test_no_epoch_begins_that_would_end_too_late() -> None:
    """Neither the first one, whose time is known by the rates that were measured."""
    assert epochs(100, 60) == (True, 0)  # with the last training after it, 120 seconds
    assert epochs(150, 60) == (False, 12)  # an epoch has taken next to nothing by then
    assert epochs(None, 1e9) == (False, 12)
