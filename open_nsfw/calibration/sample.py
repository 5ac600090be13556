"""`Sample`: the scores and labels that everything is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """Scores of labelled pictures: `scores` float64 (N,), 0..1; `nsfw` bool (N,). Both classes are there."""

    scores: Floats
    nsfw: Flags

    @property
    def positives(self) -> int:
        """How many are nsfw."""
        return int(self.nsfw.sum())

    @property
    def negatives(self) -> int:
        """How many are sfw."""
        return len(self.nsfw) - self.positives

    def share(self, prevalence: float | None) -> float:
        """The share of nsfw to reckon with: `prevalence`, or where that is None the sample's own."""
        return self.positives / len(self.nsfw) if prevalence is None else prevalence
