"""One picture in the fast mode, in this process: quickly first, and exactly where it matters.

The command does the same by scorer.py, with decoding in processes of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from open_nsfw.pictures.reduced import quick_round_trip
from open_nsfw.scoring.classifier import Classifier, Score
from open_nsfw.scoring.escalation import THRESHOLDS, Margins, escalates


class FastClassifier:
    """Scores encoded pictures quickly, and again exactly where the quick score comes near a threshold."""

    def __init__(
        self, quick: Classifier, exact: Classifier, margins: Margins, thresholds: Sequence[float] = THRESHOLDS
    ) -> None:
        """`quick`: on an `Int8Engine`; `exact`: on any engine of the same model; `margins`: of the ranges file, for
        these thresholds."""
        self.quick, self.exact = quick, exact
        self.margins, self.thresholds = margins, tuple(thresholds)

    def score(self, data: bytes) -> tuple[Score, bool]:
        """The score of an encoded picture, and whether it is exact. Raises InputError."""
        score, reduced = self.quick_score(data)
        if escalates(score, self.thresholds, self.margins.of(reduced)):
            return self.exact.score(data), True
        return score, False

    def quick_score(self, data: bytes) -> tuple[Score, bool]:
        """The quick score alone, and whether the picture was decoded at reduced size."""
        picture = quick_round_trip(data, max(self.quick.engine.input_shape[1:]), self.exact.limits)
        return self.quick.score_pixels([np.asarray(picture.image)])[0], picture.reduced
