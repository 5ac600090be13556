"""The frames of a video -> the stretches in which it scores high, also as rows.

A segment begins with a frame at or above the threshold, and ends with the last such frame before `ENDING` frames in a row that
are below it. So a single frame below, as a flash or a blink of the camera, does not split what belongs together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from open_nsfw.rows.row import Row

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
    return Segment(moments[0], moments[-1], max(scores), math.fsum(scores) / len(scores), len(scores))


def with_segments(rows: Sequence[Row], threshold: float) -> list[Row]:
    """The rows of a file's frames and their parts, as those of its segments: track by track, behind the frames that failed,
    which stay. A frame counts with the highest of its own score and those of its parts."""
    tracks: dict[int | None, dict[int, Row]] = {}  # track -> number of a frame -> the row with its highest score
    for row in rows:
        if row.score is None or row.frame is None:
            continue
        frames = tracks.setdefault(row.track, {})
        before = frames.get(row.frame)
        if before is None or before.score is None or row.score > before.score:
            frames[row.frame] = row
    found = [row for row in rows if row.score is None]
    for frames in tracks.values():
        moments = [Moment(number, row.seconds, row.score or 0.0) for number, row in frames.items()]
        found += [_as_row(each, frames, threshold) for each in segments(moments, threshold)]
    return found


def _as_row(segment: Segment, frames: dict[int, Row], threshold: float) -> Row:
    inside = [row for number, row in frames.items() if segment.first.frame <= number <= segment.last.frame]
    whole: dict[str, Any] = dict.fromkeys(("part", "found_as", "left", "top", "right", "bottom", "bias", "cells"))
    return replace(
        frames[segment.first.frame],
        kind="segment",
        until=segment.last.seconds,
        last_frame=segment.last.frame,
        score=segment.highest,
        max=segment.highest,
        mean=segment.mean,
        frames=segment.count,
        exact=all(row.exact for row in inside),
        segments=threshold,
        **whole,
    )
