"""What a calibration is asked for: labels, how their pictures are scored, how thresholds are chosen, what is written."""

from __future__ import annotations

from dataclasses import dataclass

from open_nsfw.calibration import groups
from open_nsfw.calibration.choices import Wishes
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.scored import ScoringOptions


@dataclass(frozen=True)
class CalibrationRequest:
    """The request."""

    labels: str
    """LABELS, as it was named."""
    wishes: Wishes
    scoring: ScoringOptions
    """How the pictures are scored, where LABELS has no scores."""
    names: LabelNames = LabelNames()
    model_hash: str | None = None
    """The model that gave the scores in LABELS, where they do not say so themselves."""
    policy_from: str | None = None
    """Of several choices the one that the policy keeps: the name of a `Choice`."""
    band_names: tuple[str, ...] | None = None
    """From low scores to high; None for the usual ones."""
    resamples: int = 1000
    """Of the bootstrap behind the bands of the curves."""
    seed: int = 0
    """Of the bootstrap's random numbers."""
    group_by: str = groups.AUTO
    """How pictures that are not independent are known: one of `groups.WAYS`."""
    command: str = ""
    """The command line, for the report."""


@dataclass(frozen=True)
class OutputRequest:
    """What is written, and where."""

    folder: str
    plots: str = "svg"
    """Format of the plots' own files: `svg` or `png`."""
    worst: int = 12
    """How many of the pictures that the model gets most wrong are shown, of each class."""
    overwrite: bool = False
    """Replace a policy that somebody changed."""
    thumbnails: bool = True
    """Whether those pictures are in the report, or their names alone."""
