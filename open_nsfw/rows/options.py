"""Where rows go and as what: the options of writing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FORMATS = ("text", "jsonl", "csv", "parquet")
RESUMABLE = ("jsonl", "csv", "parquet")


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
    model: str | None = None
    """With `resume`: the model's hash; a file with another model's scores is refused."""
    keeps_inexact: Callable[[float, str], bool] = lambda score, engine: False
    """With `resume`: whether a score that is not exact, of this engine, may stay; its picture is scored again if not."""
