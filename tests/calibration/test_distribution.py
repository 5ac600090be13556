"""What a policy keeps of a sample's scores."""

from __future__ import annotations

import numpy as np
import pytest

from open_nsfw.calibration.distribution import distribution_in, distribution_of
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.sample import Sample
from tests.calibration.test_drift import policy_of


def test_bins_hold_the_sample() -> None:
    """About as much in each, both classes counting the same."""
    random = np.random.default_rng(0)
    kept = policy_of(9000, 1000, random).scores
    assert (len(kept["edges"]), sum(kept["sfw"]), sum(kept["nsfw"])) == (9, 9000, 1000)
    shares = (np.array(kept["sfw"]) / 9000 + np.array(kept["nsfw"]) / 1000) / 2
    assert np.all(np.abs(shares - 0.1) < 0.01)


def test_a_sample_of_few_scores_has_few_bins() -> None:
    """Equal edges are one edge."""
    kept = distribution_of(Sample(np.array([0.5] * 20 + [0.9] * 5), np.arange(25) >= 20)).as_json()
    assert (sum(kept["sfw"]), sum(kept["nsfw"])) == (20, 5)
    assert kept["edges"] == sorted(set(kept["edges"]))


def test_what_a_policy_keeps_comes_back() -> None:
    """With what the pictures of each class are worth; in an older policy, each is worth one."""
    sample = Sample(np.linspace(0, 1, 60), np.arange(60) >= 30, np.arange(60) // 3)
    kept = distribution_of(sample)
    found = distribution_in(Policy((0.5,), ("a", "b"), scores=kept.as_json()))
    for name in ("edges", "sfw", "nsfw"):
        assert np.array_equal(getattr(found, name), getattr(kept, name))
    assert (found.sfw_worth, found.nsfw_worth) == (kept.sfw_worth, kept.nsfw_worth)
    assert found.sfw_worth == pytest.approx(sample.class_worth(False), abs=1e-3)
    older = {name: value for name, value in kept.as_json().items() if not name.endswith("worth")}
    assert distribution_in(Policy((0.5,), ("a", "b"), scores=older)).sfw_worth == 30
