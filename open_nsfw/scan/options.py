"""The options of a scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from open_nsfw.pictures.extraction import Extraction
from open_nsfw.scoring.fast import THRESHOLDS

if TYPE_CHECKING:
    from open_nsfw.scan.score_cache import ScoreCache


@dataclass(frozen=True)
class PipelineOptions:
    """How a scan is run."""

    jobs: int
    """Files decoded and scored at the same time."""
    extraction: Extraction = Extraction()
    max_seconds: float = 60.0
    """For decoding one picture."""
    quick: bool = False
    """Whether the fast mode's models are to be used; otherwise every score is exact, whatever models there are."""
    quick_side: int | None = None
    """Pixels a side that a quick score needs; None: the model says, and decoding waits for it."""
    above: float = THRESHOLDS[-1]
    """The summary row of a video or animation counts the frames that score at least this."""
    segments: float | None = None
    """Files of several frames have rows of their segments at or above this score in place of frames."""
    stop_above: float | None = None
    """A file ends with its first frame that scores at least this; nothing behind it is decoded."""
    verdict: Callable[[float], str] | None = None
    """Names the band of a score, for every row."""
    cache: ScoreCache | None = None
    """Where scores of earlier runs are, and those of this one are kept."""
