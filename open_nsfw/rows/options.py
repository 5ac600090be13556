"""Where rows go and as what, and what this run asks of rows: the options of writing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FORMATS = ("text", "jsonl", "csv", "parquet")
RESUMABLE = ("jsonl", "csv", "parquet")


@dataclass(frozen=True)
class Wanted:
    """What this run would write about a picture; with `resume`, the rows of earlier runs are held to it.

    The defaults ask for nothing.
    """

    model: str | None = None
    """The model's hash; a file with another model's scores is refused."""
    keeps_inexact: Callable[[float, str], bool] = lambda score, engine: False
    """Whether a score that is not exact, of this engine, may stay; its picture is scored again if not."""
    is_container: Callable[[str], bool] = lambda path: False
    """Whether what is at a path now holds pictures that have rows of their own: a folder, an archive."""
    hash: bool = False
    """Rows have a SHA-256; what has none is scored again."""
    cells: bool = False
    """Scores have their cells; what has none is scored again."""
    views: str | None = None
    """Parts of pictures that are scored as well; a picture with other ones, or with none, is scored again."""
    upright: bool = False
    """Pictures are turned upright; what was scored the other way is scored again."""
    frame_choice: Callable[[str], str | None] | None = None
    """The `frame_choice` of a row about a file of this `format`; what has another one is scored again."""
    segments: float | None = None
    """The threshold of segments in place of frames; a file of frames with another one, or with frames, is scored again."""
    stop_above: float | None = None
    """The score at which files of frames end; one that ended at another score, or goes on behind this one, is scored again."""
    max_frames: int | None = None
    """Frames scored of one file; a file that was cut off at another number, or has more, is scored again."""
    verdict: Callable[[float], str | None] | None = None
    """The verdict on a score: rows get it anew."""
    above: float | None = None
    """The threshold that `above` of a summary counts by: summaries get it anew."""


@dataclass(frozen=True)
class OutputOptions:
    """Where rows go and as what."""

    format: str = "text"
    """One of `FORMATS`."""
    path: str | None = None
    """The file of --output; None or `-` is stdout."""
    single: bool = False
    """One plain picture was asked for: the text line is the score alone, as Yahoo's script printed it."""
    resume: bool = False
    """Go on after the rows that `path` has."""
    overwrite: bool = False
    """Start anew though `path` has rows."""
    retry_failed: bool = False
    """With `resume`: rows with an error are dropped and their pictures scored again."""
    quiet: bool = True
    """No bar while the rows of earlier runs are read."""
    wanted: Wanted = Wanted()
