"""The decision of the fast mode."""

from __future__ import annotations

import math

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.scoring.fast import escalates, logit, parse_thresholds


def sigmoid(value: float) -> float:
    """The score of a logit."""
    return 1 / (1 + math.exp(-value))


def test_logits() -> None:
    """Finite at both ends, NaN for NaN."""
    assert logit(0.5) == 0
    assert logit(0.2) == pytest.approx(-math.log(4), abs=1e-15)
    assert -17.4 < logit(0.0) < -17 and 17 < logit(1.0) < 17.4
    assert math.isnan(logit(math.nan))


@pytest.mark.parametrize("threshold", [0.2, 0.8, 0.5])
@pytest.mark.parametrize("side", [-1, 1])
def test_exactly_within_the_margin(threshold: float, side: int) -> None:
    """Just inside the margin is scored again, just outside is not, on either side of a threshold."""
    assert escalates(sigmoid(logit(threshold) + side * (1.25 - 1e-9)), [threshold], 1.25)
    assert not escalates(sigmoid(logit(threshold) + side * (1.25 + 1e-9)), [threshold], 1.25)


def test_the_border_itself_is_inside() -> None:
    """|difference| == margin, without any rounding in between."""
    margin = abs(logit(0.6) - logit(0.2))
    assert escalates(0.6, [0.2], margin)
    assert not escalates(0.6, [0.2], math.nextafter(margin, 0) if hasattr(math, "nextafter") else margin - 1e-15)


def test_a_score_on_a_threshold_with_no_margin() -> None:
    """A margin of 0 still asks for the exact score of what lies on a threshold."""
    assert escalates(0.8, (0.2, 0.8), 0.0)
    assert not escalates(0.8000001, (0.2, 0.8), 0.0)


def test_ends_and_no_number() -> None:
    """Scores of 0 and 1 are far from usual thresholds, near to thresholds at the ends; NaN always asks again."""
    assert not escalates(0.0, (0.2, 0.8), 1.3)
    assert not escalates(1.0, (0.2, 0.8), 1.3)
    assert escalates(1.0, (1.0,), 0.5) and escalates(0.0, (0.0,), 0.5)
    assert not escalates(0.5, (0.0, 1.0), 1.3)
    assert escalates(math.nan, (0.2, 0.8), 1.3)
    assert escalates(math.nan, (), 1.3)
    assert not escalates(0.2, (), 1.3)  # no threshold, nothing to decide


def test_thresholds_from_text() -> None:
    """Sorted; anything but scores is an error with an exact text."""
    assert parse_thresholds("0.8,0.2") == parse_thresholds("20%,80%") == (0.2, 0.8)
    for text in ("", "0.2,x", "1.5", "-0.1", "nan", "101%", "%"):
        with pytest.raises(UsageError) as error:
            parse_thresholds(text)
        assert str(error.value) == f'--thresholds "{text}": scores from 0 to 1 are needed, separated by commas'
