"""Numbers in words."""

from __future__ import annotations

import pytest

pytest.importorskip("scipy", reason="scipy is not installed in this interpreter")

from open_nsfw.calibration.choices import Promise
from open_nsfw.calibration.rates import Rate
from open_nsfw.calibration.words import bound_words, limit_words, percent, promise_line, shown


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, "0 %"),
        (0.00045, "0.045 %"),
        (6e-8, "under 0.001 %"),
        (0.01, "1 %"),
        (0.0549, "5.5 %"),
        (0.1234, "12.3 %"),
        (0.9996, "100 %"),
        (1.0, "100 %"),
    ],
)
def test_shares_in_words(share: float, expected: str) -> None:
    """Two digits where it is small, one decimal else."""
    assert percent(share) == expected


def test_rates_in_words() -> None:
    """With their interval; nothing counted is said to be."""
    assert shown(Rate(0.5, 0.25, 0.75)) == "50 % (25 % to 75 %)"
    assert shown(Rate(0.5, 0.25, 0.75), money=True) == "0.5 (0.25 to 0.75)"
    assert shown(Rate(None, 0.0, 1.0)) == "none counted (0 % to 100 %)"


def test_limits_in_words() -> None:
    """With a bound on the side that the limit is on."""
    kept = Promise("false_positive_rate", 0.05, Rate(0.034, 0.021, 0.052), 0.0494, True)
    assert promise_line(kept, 0.95) == (
        "limit 5 %, kept: false-positive rate 3.4 %, at most 4.9 % with 95 % confidence"
    )
    broken = Promise("recall", 0.999, Rate(1.0, 0.9, 1.0), 0.905, False, warning="too few")
    assert (limit_words(broken), bound_words(broken, 0.9)) == (
        "limit 99.9 %, not kept",
        "at least 90.5 % with 90 % confidence",
    )
    measured = Promise("review", 0.1, Rate(0.08, 0.06, 0.1), 0.11, True, as_measured=True)
    assert promise_line(measured, 0.95) == (
        "limit 10 %, kept on this sample: share left to people 8 %, at most 11 % with 95 % confidence"
    )
