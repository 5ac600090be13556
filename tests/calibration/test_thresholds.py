"""What is asked for -> choices."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

from open_nsfw.calibration import curves, thresholds
from open_nsfw.calibration.choices import Costs, Wishes
from open_nsfw.calibration.sample import Sample
from open_nsfw.errors import UsageError


def test_a_sample_of_two_is_no_reason_to_fail() -> None:
    """One picture of each class, in either order, and all of one score."""
    for scores in ([0.1, 0.9], [0.9, 0.1], [0.5, 0.5]):
        sample = Sample(np.array(scores), np.array([False, True]))
        found = curves.curves(sample, curves.BootstrapOptions(20))
        assert found.auc.low < 0.5 or found.auc.value == 1
        assert 0 <= found.auc.low <= found.auc.high <= 1
        for wishes in (Wishes(max_fpr=0.1), Wishes(min_recall=0.9), Wishes(cost=Costs()), Wishes(review_budget=0.1)):
            assert thresholds.choose(sample, wishes)[0].thresholds


def test_scores_of_one_leave_no_threshold_over_them() -> None:
    """A promise that would need one is refused; the other ways find their best below."""
    sample = Sample(np.array([0.2] * 30 + [1.0] * 40), np.array([False] * 30 + [True] * 30 + [False] * 10))
    with pytest.raises(UsageError) as caught:
        thresholds.choose(sample, Wishes(max_fpr=0.05))
    assert str(caught.value) == (
        "no threshold keeps the limit: sfw pictures have the score 1, and a threshold is at most 1"
    )
    assert thresholds.choose(sample, Wishes(cost=Costs(100, 1)))[0].thresholds[0] <= 1
    assert thresholds.choose(sample, Wishes(review_budget=0.1, as_measured=True))[0].thresholds[-1] <= 1
