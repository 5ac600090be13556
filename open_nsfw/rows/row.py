"""`Row`: what is known about one picture, one frame, or all frames of a file.

The one place that says what a row holds: every format, the reader behind --resume and the table in docs/command.md
follow it. A new field is a new line there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from open_nsfw.text import printable

Grid = tuple[tuple[float, ...], ...]
"""Rows of numbers, each of one length."""


def _means(meaning: str, least: float = -math.inf, most: float = math.inf) -> dict[str, Any]:
    """What a column says, and what its numbers lie between."""
    return {"means": meaning, "least": least, "most": most}


@dataclass(frozen=True)
class Row:
    """What is known about one picture, one frame, a part of one of these, or (`kind` "summary") all of one file.

    Floats that are not finite are written as null; a score that is no probability gets the error `not-finite`.
    """

    path: str = field(metadata=_means("the file, as it was named or found; `-` is stdin"))
    member: str | None = field(default=None, metadata=_means("the name inside the archive `path`"))
    kind: str = field(
        default="picture",
        metadata=_means(
            "`picture`, `frame` of a video or animation, `part` of either, `segment` of several frames, or `summary` of all "
            "of these"
        ),
    )
    frame: int | None = field(default=None, metadata=_means("the number of the frame or page, from 0", least=0))
    seconds: float | None = field(default=None, metadata=_means("when the frame is shown, from the start of the video"))
    track: int | None = field(
        default=None, metadata=_means("the number of the video track, from 0, where a video has several", least=0)
    )
    until: float | None = field(
        default=None, metadata=_means("of a segment: when its last frame is shown; `seconds` is its first")
    )
    last_frame: int | None = field(
        default=None, metadata=_means("of a segment: the number of its last frame; `frame` is its first", least=0)
    )
    part: int | None = field(
        default=None,
        metadata=_means(
            "the number of the part, from 0; of a summary with `--views`, like `frame` and the box: where the highest score is",
            least=0,
        ),
    )
    found_as: str | None = field(
        default=None,
        metadata=_means(
            "what the part is: `cell` of a grid, `panel` of a strip, `content` of a border, `overlap` where none is found"
        ),
    )
    left: int | None = field(default=None, metadata=_means("the part's box, in pixels of the picture", least=0))
    top: int | None = field(default=None, metadata=_means("like `left`", least=0))
    right: int | None = field(default=None, metadata=_means("like `left`; the first column that is not in it", least=0))
    bottom: int | None = field(default=None, metadata=_means("like `left`; the first row that is not in it", least=0))
    score: float | None = field(
        default=None,
        metadata=_means(
            "the probability of NSFW, 0 to 1; the highest of a summary; null if it failed", least=0, most=1
        ),
    )
    exact: bool | None = field(
        default=None,
        metadata=_means("whether the score is the exact one; false with `--fast`, `--precision bfloat16` and `int8`"),
    )
    verdict: str | None = field(default=None, metadata=_means("the score's band in the policy, with `--policy`"))
    error: str | None = field(
        default=None, metadata=_means("why there is no score: a stable code, a colon, a sentence")
    )
    width: int | None = field(
        default=None, metadata=_means("pixels, of the picture as encoded; with `--upright`, as turned", least=0)
    )
    height: int | None = field(default=None, metadata=_means("like `width`", least=0))
    format: str | None = field(default=None, metadata=_means("`JPEG`, `PNG`, ..., by content"))
    bytes: int | None = field(
        default=None, metadata=_means("size of the file, encoded; inside an archive, of the member", least=0)
    )
    modified: float | None = field(
        default=None, metadata=_means("when the file (the archive) was last changed, in seconds since 1970")
    )
    sha256: str | None = field(default=None, metadata=_means("of the encoded bytes, in hexadecimal, with `--hash`"))
    frames: int | None = field(
        default=None, metadata=_means("of a summary or segment: how many frames have a score", least=0)
    )
    parts: int | None = field(
        default=None, metadata=_means("of a summary with `--views`: how many parts have a score", least=0)
    )
    max: float | None = field(
        default=None, metadata=_means("of a summary or segment: the highest score", least=0, most=1)
    )
    mean: float | None = field(
        default=None,
        metadata=_means("of a summary or segment: the mean of the scores of frames, parts left out", least=0, most=1),
    )
    above: int | None = field(
        default=None,
        metadata=_means(
            "of a summary: how many frames and parts reach the lowest threshold that something is done about", least=0
        ),
    )
    frame_choice: str | None = field(
        default=None,
        metadata=_means(
            "how frames were chosen where the format may hold several: `first`, `all`, `every=N`, `max=N`, or "
            "`every N s` of a video, or `scenes, every N s`"
        ),
    )
    segments: float | None = field(
        default=None,
        metadata=_means(
            "of a segment, and of the summary of a file with segments in place of frames: the threshold of `--segments`",
            least=0,
            most=1,
        ),
    )
    stop_above: float | None = field(
        default=None,
        metadata=_means(
            "of the summary of a file that `--stop-above` ended: its threshold; `frame`, `seconds` and `track` say where",
            least=0,
            most=1,
        ),
    )
    bias: float | None = field(default=None, metadata=_means("the logit where all `cells` are 0, with `--explain`"))
    cells: Grid | None = field(
        default=None,
        metadata=_means(
            "7 rows of what 7 parts of the picture add to the logit, with `--explain`: `bias` and all cells make the logit "
            "of `score`; of a summary those of the highest frame"
        ),
    )
    views: str | None = field(
        default=None, metadata=_means("`tiles` where parts of the picture were scored as well, with `--views`")
    )
    upright: bool | None = field(
        default=None,
        metadata=_means(
            "with `--upright`: true if the picture was turned, so that its score is not Yahoo's; else false"
        ),
    )
    engine: str = field(default="", metadata=_means("what computed the score: `caffe`, `onnxruntime`, ..."))
    model: str = field(default="", metadata=_means("a short hash of prototxt and weights"))


class Field(NamedTuple):
    """One column: `type` is "str", "int", "float", "bool" or "Grid"."""

    name: str
    type: str
    nullable: bool
    means: str
    least: float
    """Numbers are not below this, and not over `most`; infinite where there is no such limit."""
    most: float


def _fields_of_row() -> tuple[Field, ...]:
    parts = ((one, str(one.type).partition(" | ")) for one in fields(Row))
    return tuple(Field(one.name, part[0], part[2] == "None", **one.metadata) for one, part in parts)


FIELDS = _fields_of_row()


def _grid(value: Grid) -> list[list[float]]:
    return [[float(number) for number in row] for row in value]


_CASTS: dict[str, Callable[[Any], Any]] = {"str": str, "int": int, "float": float, "bool": bool, "Grid": _grid}
_COLUMNS = tuple((one.name, _CASTS[one.type]) for one in FIELDS)


def is_last(kind: str, views: str | None) -> bool:
    """Whether a row is the last word about its file or member of an archive: after frames, and after a picture of which
    parts are scored as well, comes a summary."""
    return kind == "summary" or (kind == "picture" and not views)


def cells(row: Row) -> dict[str, Any]:
    """The values by field, in the order of `FIELDS`, as plain str, int, float, bool, list of lists of float, or None; no NaN,
    no infinity."""
    values: dict[str, Any] = {}
    for name, cast in _COLUMNS:
        value = getattr(row, name)
        if value is not None:
            value = cast(value)
            if cast is float and not math.isfinite(value):
                value = None
        values[name] = value
    if row.score is not None and not 0 <= row.score <= 1 and row.error is None:
        values["score"] = None
        values["error"] = f"not-finite: the network's answer is no probability but {row.score}"
    return values


def label(row: Row) -> str:
    """The name for people, on one line: `photos/a.jpg`, `upload.zip!a.jpg`, `loop.gif #12`, `clip.mp4 #84 @3.5s`,
    `clip.mp4 track 1 #84`, `sheet.png part 3`; of a summary the file's."""
    name = printable(row.path if row.member is None else f"{row.path}!{row.member}")
    if row.kind == "summary":
        return name
    part = "" if row.part is None else f" part {row.part}"
    track = "" if row.track is None else f" track {row.track}"
    frame = "" if row.frame is None else f" #{row.frame}"
    return name + track + frame + ("" if row.seconds is None else f" @{row.seconds:.12g}s") + part
