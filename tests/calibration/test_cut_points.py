"""Where a threshold may be."""

from __future__ import annotations

import numpy as np
import pytest

from open_nsfw.calibration import cut_points


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.3, 0.7, 0.5),
        (0.19, 0.21, 0.2),
        (0.2, 0.21, 0.21),
        (0.2, 0.2049, 0.202),
        (0.0, 1e-9, 1e-9),
        (0.99, 1.0, 1.0),
        (0.4538271, 0.4538272, 0.4538272),
    ],
)
def test_thresholds_have_as_few_digits_as_they_may(low: float, high: float, expected: float) -> None:
    """Over the lower score, and at most the higher one, which has to count as nsfw."""
    assert cut_points.between(low, high) == pytest.approx(expected, rel=1e-12)


def test_thresholds_part_any_two_scores() -> None:
    """Also neighbours among all floats."""
    random = np.random.default_rng(0)
    for _ in range(2000):
        low = float(random.random() ** 8)
        for high in (float(np.nextafter(low, 1)), low + float(random.random()) * 1e-6):
            assert low < cut_points.between(low, high) <= high
