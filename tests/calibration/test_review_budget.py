"""A share of the pictures left to people, against exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

from open_nsfw.calibration import thresholds
from open_nsfw.calibration.choices import Costs, Wishes
from tests.tools.samples import all_thresholds, simulate

CLOSE = {"rel": 1e-12, "abs": 1e-12}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("prevalence", [None, 0.05])
def test_no_two_thresholds_leave_fewer_errors_within_the_budget(seed: int, prevalence: float | None) -> None:
    """Of all pairs that leave no more to people."""
    sample = simulate(45, 35, seed)
    share = 35 / 80 if prevalence is None else prevalence
    weights = np.where(sample.nsfw, share / 35, (1 - share) / 45)
    wishes = Wishes(review_budget=0.25, prevalence=prevalence, as_measured=True)
    choice = thresholds.choose(sample, wishes)[0]

    def outcome(low: float, high: float) -> tuple[float, float]:
        inside = (sample.scores >= low) & (sample.scores < high)
        wrong = (sample.nsfw & (sample.scores < low)) | (~sample.nsfw & (sample.scores >= high))
        return float(weights[inside].sum()), float(weights[wrong].sum())

    grid = all_thresholds(sample)
    pairs = [outcome(low, high) for index, low in enumerate(grid) for high in grid[index:]]
    review, error = outcome(choice.thresholds[0], choice.thresholds[-1])
    assert review <= 0.25 + 1e-9
    assert error == pytest.approx(min(error for review, error in pairs if review <= 0.25 + 1e-9), **CLOSE)
    assert choice.numbers["review"].value == pytest.approx(review, **CLOSE)
    assert choice.numbers["error"].value == pytest.approx(error, **CLOSE)


def test_a_budget_that_the_sample_cannot_support() -> None:
    """Says so, and how many pictures it takes."""
    choice = thresholds.choose(simulate(20, 20), Wishes(review_budget=0.05))[0]
    assert choice.warnings[0].startswith("the sample is too small to support a review share of at most 5 %: ")
    assert choice.warnings[0].endswith("it takes at least 93 independent pictures, this sample is worth 40")
    assert thresholds.choose(simulate(400, 400), Wishes(review_budget=0.05))[0].warnings == ()


def test_costs_count_within_the_budget() -> None:
    """Dear misses pull the band down."""
    sample = simulate(400, 300)
    cheap = thresholds.choose(sample, Wishes(review_budget=0.1, cost=Costs(1, 1)))[-1]
    dear = thresholds.choose(sample, Wishes(review_budget=0.1, cost=Costs(1, 50)))[-1]
    assert dear.thresholds[0] < cheap.thresholds[0]
