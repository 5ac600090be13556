"""What a calibration comes to: the type below all that tells about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from open_nsfw.calibration.choices import Choice, Wishes
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.scored import Scored


@dataclass(frozen=True)
class Calibration:
    """All that is known at the end: what the report tells and the policy keeps."""

    labels: str
    """LABELS, as it was named."""
    scored: Scored
    examples: list[Example]
    sample: Sample
    wishes: Wishes
    choices: list[Choice]
    policy: Policy
    numbers: dict[str, Any]
    """What numbers.json holds; `Rate`s and arrays are still themselves."""
