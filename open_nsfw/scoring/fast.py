"""The decision of the fast mode: which quick scores will do, and which pictures must be scored exactly.

A quick score will do where its logit is far from the logits of all thresholds that something hangs on. Standard library
only: the command decides before Pillow and NumPy are loaded which rows of an earlier run it keeps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from open_nsfw.errors import UsageError
from open_nsfw.text import number_or_percentage

THRESHOLDS = (0.2, 0.8)  # the bands that the network's authors suggest
# Scores nearer than this to 0 or 1 are 0 or 1 in float32, which logits must not make infinite.
SMALLEST_SCORE = 2.0**-25


def logit(score: float) -> float:
    """log(score / (1 - score)) of a score 0..1, within -17.4 to 17.4; NaN for NaN."""
    bounded = min(max(score, SMALLEST_SCORE), 1 - SMALLEST_SCORE)
    return math.log(bounded / (1 - bounded)) if score == score else math.nan


def escalates(quick_score: float, thresholds: Sequence[float] = THRESHOLDS, margin: float = 0.0) -> bool:
    """Whether a picture with this quick score must be scored exactly: its logit lies within `margin` of a threshold's
    logit, the border included, or there is no quick score (NaN)."""
    value = logit(quick_score)
    return not all(abs(value - logit(threshold)) > margin for threshold in thresholds) or value != value


def parse_thresholds(text: str) -> tuple[float, ...]:
    """Thresholds as `--thresholds` takes them: scores from 0 to 1, also as 80%, comma-separated; ascending, each once.
    Raises UsageError."""
    values = tuple(sorted({number_or_percentage(each) for each in text.split(",")}))
    if not all(0 <= value <= 1 for value in values):
        raise UsageError(f'--thresholds "{text}": scores from 0 to 1 are needed, separated by commas')
    return values
