"""What a calibration comes to: the type below all that tells about it."""

from __future__ import annotations

from dataclasses import dataclass

from open_nsfw.calibration.choices import Choice, Promise, Wishes
from open_nsfw.calibration.curves import Curves
from open_nsfw.calibration.groups import Grouping
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.rates import BandShares, Confusion, Histogram, ReliabilityBin
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.scored import Scored


@dataclass(frozen=True)
class Provenance:
    """What it takes to get the same numbers again."""

    command: str
    """The command line, as a shell takes it."""
    version: str
    """Of this package."""
    engine: str | None
    """What computed the scores; None if nobody knows. Like `model`, the short hash of prototxt and weights."""
    model: str | None
    seed: int
    """Of the bootstrap."""
    data_sha256: str
    """Of scores and labels, as `data_hash` makes it."""


@dataclass(frozen=True)
class Measured:
    """What the sample shows."""

    curves: Curves
    tables: list[Confusion]
    """One for each threshold that was chosen, rising."""
    bands: list[list[BandShares]]
    """For each choice, its bands from the lowest scores on."""
    histogram: Histogram
    reliability: list[ReliabilityBin]


@dataclass(frozen=True)
class Calibration:
    """All that is known at the end: what the report tells and the policy keeps."""

    labels: str
    """LABELS, as it was named."""
    scored: Scored
    examples: list[Example]
    """The pictures that count, in the order of the sample."""
    sample: Sample
    grouping: Grouping
    wishes: Wishes
    choices: list[Choice]
    chosen: int
    """The index of the choice that is the policy's."""
    measured: Measured
    policy: Policy
    provenance: Provenance
    warnings: tuple[str, ...]
    """About the sample as a whole; a choice has its own."""

    @property
    def broken_promises(self) -> list[tuple[Choice, Promise]]:
        """The promises that the thresholds do not keep, each with the choice that it is of."""
        return [(choice, each) for choice in self.choices for each in choice.promises if not each.kept]
