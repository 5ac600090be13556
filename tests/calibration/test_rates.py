"""Rates and their intervals against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics

from open_nsfw.calibration import rates
from tests.tools.samples import simulate

CLOSE = {"rel": 1e-12, "abs": 1e-12}


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (299, 300), (5, 100_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_of_rates_are_exact(count: int, total: int, confidence: float) -> None:
    """As scipy has them."""
    found = rates.rate(count, total, confidence)
    expected = binomtest(count, total).proportion_ci(confidence, method="exact")
    assert (found.value, found.count, found.of) == (count / total, count, total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)
    one_sided = binomtest(count, total, alternative="less").proportion_ci(confidence, method="exact")
    assert rates.upper_limit(count, total, confidence) == pytest.approx(one_sided.high, rel=1e-9)


def test_nothing_counted_is_no_rate() -> None:
    """Anything is possible."""
    assert rates.rate(0, 0, 0.95) == rates.Rate(None, 0.0, 1.0, 0, 0)


def test_rates_at_another_prevalence() -> None:
    """Precision and accuracy follow from recall and false-positive rate; scikit-learn gives them with weights."""
    sample = simulate(300, 200)
    found = rates.confusion(sample, 0.5, 0.95, prevalence=0.02)
    weights = np.where(sample.nsfw, 0.02 / 200, 0.98 / 300)
    flagged = sample.scores >= 0.5
    expected = sklearn_metrics.precision_score(sample.nsfw, flagged, sample_weight=weights)
    assert found.precision.value == pytest.approx(expected, **CLOSE)
    assert found.precision.low < expected < found.precision.high
    expected = sklearn_metrics.accuracy_score(sample.nsfw, flagged, sample_weight=weights)
    assert found.accuracy.value == pytest.approx(expected, **CLOSE)
