"""The frames of a video -> the stretches in which it scores high.

A segment begins with a frame at or above the threshold, and ends with the last such frame before `ENDING` frames in a row that
are below it. So a single frame below, as a flash or a blink of the camera, does not split what belongs together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

ENDING = 2  # frames in a row below the threshold that end a segment


class Moment(NamedTuple):
    """A frame with its score."""

    frame: int
    """Its number in the file or track, from 0."""
    seconds: float | None
    """When it is shown; None where the format does not say."""
    score: float


@dataclass(frozen=True)
class Segment:
    """A stretch of frames."""

    first: Moment
    last: Moment
    highest: float
    mean: float
    """Of the scores of all frames from the first to the last, those below the threshold among them."""
    count: int
    """How many frames that are."""


def segments(moments: Iterable[Moment], threshold: float) -> list[Segment]:
    """The segments of one track, whose frames come in order."""
    found: list[Segment] = []
    inside: list[Moment] = []  # from the first frame of a segment on
    below = 0  # frames at the end of `inside`
    for moment in moments:
        is_high = moment.score >= threshold
        if not (inside or is_high):
            continue
        inside.append(moment)
        below = 0 if is_high else below + 1
        if below == ENDING:
            found.append(_segment(inside[:-below]))
            inside, below = [], 0
    if inside:
        found.append(_segment(inside[: len(inside) - below]))
    return found


def _segment(moments: list[Moment]) -> Segment:
    scores = [moment.score for moment in moments]
    return Segment(moments[0], moments[-1], max(scores), sum(scores) / len(scores), len(scores))
