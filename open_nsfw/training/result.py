"""What a fine-tuning comes to: the type below all that tells about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.groups import weights_of
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.policy import Policy
from open_nsfw.nets.ranges import Ranges
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.training.check import Agreement
from open_nsfw.training.features import Dataset
from open_nsfw.training.head import Head
from open_nsfw.training.measure import Comparison, threshold_at
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.split import Split
from open_nsfw.training.tune import Tuned, prior_to_add

NOT_BETTER = "-not-better"  # in the names of files


@dataclass(frozen=True)
class Flip:
    """A test picture on which the two models decide differently."""

    example: Example
    before: float
    after: float
    right: bool
    """Whether the new model's decision is the label's."""


@dataclass(frozen=True, eq=False)
class Tuning:
    """All that is known at the end."""

    request: TuneRequest
    source: ModelFiles
    model: ModelFiles
    """The new one."""
    head: Head
    """Of the source model."""
    data: Dataset
    split: Split
    tuned: Tuned
    comparison: Comparison
    policy: Policy
    agreements: tuple[Agreement, ...]
    ranges: Ranges | str
    """For the fast mode, or why there are none."""

    @property
    def kept(self) -> bool:
        """Whether the files have their plain names."""
        return self.comparison.better or self.request.keep_anyway

    @property
    def suffix(self) -> str:
        """What the names of model and policy have before their ending."""
        return "" if self.kept else NOT_BETTER

    @property
    def tested(self) -> list[Example]:
        """The test pictures, with the source model's scores."""
        return [self.data.examples[index] for index in self.split.test]

    def thresholds(self) -> tuple[float, float]:
        """(of the source model, of the new one): each the lowest at which, among the pictures that were learnt from, the
        false-positive rate is within the limit. The new model's scores are those of held-out folds."""
        rest = self.split.rest
        old = np.array([self.data.examples[index].score for index in rest])
        limit = self.request.max_fpr
        nsfw, weights = self.data.nsfw[rest], self.data.weights[rest]
        return threshold_at(old, nsfw, limit, weights), threshold_at(self.tuned.held_out, nsfw, limit, weights)

    def flips(self) -> list[Flip]:
        """The test pictures that the two models put on different sides of their own thresholds, the largest change
        first."""
        before, after = self.thresholds()
        found = []
        for example, score in zip(self.tested, self.tuned.test_scores.tolist()):
            if (example.score >= before) != (score >= after):
                found.append(Flip(example, example.score, score, (score >= after) == example.nsfw))
        return sorted(found, key=lambda flip: -abs(flip.after - flip.before))

    def doubtful(self) -> list[tuple[Example, float]]:
        """The pictures whose label is the least likely by a fit that they were held out from, with its score at the labels'
        own share of nsfw; only those that it contradicts."""
        from scipy.special import expit

        rest = self.split.rest
        nsfw = self.data.nsfw[rest]
        logits = self.tuned.calibrated + prior_to_add(nsfw, self.data.weights[rest], float(nsfw.mean()))
        pairs = zip(rest.tolist(), expit(logits).tolist())
        found = [(self.data.examples[index], score) for index, score in pairs]
        wrong = [pair for pair in found if (pair[1] >= 0.5) != pair[0].nsfw]
        return sorted(wrong, key=lambda pair: -abs(pair[1] - pair[0].nsfw))

    def data_hash(self) -> str:
        """SHA-256 over the sorted lines `SHA-256 of a picture,LABEL`, each with its line end; 1 for nsfw, 0 for sfw; where
        pictures have weights, `SHA-256,LABEL,WEIGHT`, the weight as Python's repr has it."""
        pairs = [f"{example.sha256},{int(example.nsfw)}" for example in self.data.examples]
        if weights_of(self.data.examples) is not None:
            pairs = [f"{pair},{example.weight!r}" for pair, example in zip(pairs, self.data.examples)]
        lines = sorted(pair + "\n" for pair in pairs)
        return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()
