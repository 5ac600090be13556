"""Many pictures from Python, on all cores: through the pipeline of the command, with decoding in processes of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Union

import numpy as np
from numpy.typing import NDArray

from open_nsfw.cores import default_jobs
from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import Extraction, FrameChoice, checked_views
from open_nsfw.rows.row import Row
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pipeline import Pipeline
from open_nsfw.scoring.classifier import Classifier, check_several
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import Item
from open_nsfw.sources.walk import Sources

Name = Union[str, "os.PathLike[str]"]
Encoded = Union[bytes, bytearray, memoryview]
"""A picture file's content."""


def score_batch(
    pictures: Iterable[Name | Encoded],
    model: Classifier | Models | None = None,
    jobs: int | None = None,
    views: str | None = None,
    upright: bool = False,
) -> NDArray[np.float64]:
    """The scores of picture files, by path or as encoded bytes: float64 (N,), in order, NaN where there is none.

    Of a video the highest score of its frames, of an animation the first frame's; with `views` the highest of the whole and
    its parts. The other arguments are those of `scan_rows`, which also tells why a picture has no score. Raises TypeError
    for a single picture, or one of another type, UsageError for other `views` than `tiles` and for `jobs` below 1.
    """
    extraction = Extraction(views=checked_views(views), upright=upright)
    check_several(pictures)
    items = (_item(picture, index) for index, picture in enumerate(pictures))
    return np.array([_score(rows) for rows in _rows(items, model, _checked_jobs(jobs), extraction)], np.float64)


def scan_rows(
    inputs: Name | Iterable[Name],
    model: Classifier | Models | None = None,
    jobs: int | None = None,
    frames: str = "first",
    every_seconds: float | None = None,
    scenes: bool = False,
    views: str | None = None,
    upright: bool = False,
) -> Iterator[Row]:
    """A row for each picture that `inputs` name, with its score or with its error, as the command writes them.

    `inputs`: files, folders, archives, videos, patterns. `model`: from `load_model(threads=1)`, one thread being enough
    for each of several pictures at a time, or from `load_models`, which has the fast mode; None for the packaged model.
    `jobs`: how many pictures at a time, None for one a core. `frames`: of animations, `first`, `all`, `every=N` or `max=N`;
    of videos one frame in `every_seconds` (None for 1), with `scenes` the first of each scene and in it one in `every_seconds`
    (None for 10). `views`: `tiles` scores parts of each picture or frame as well, and then each file has a summary with the
    highest score. `upright`: turn pictures as their metadata say. Raises UsageError for other `frames` or `views`, and for
    `jobs` or `every_seconds` not above 0; with the first row, SetupError where nothing can be scored: ModelError, EngineError,
    or no decoding process can be started.
    """
    choice = FrameChoice.parse(frames, every_seconds, scenes=scenes)
    extraction = Extraction(frames=choice, views=checked_views(views), upright=upright)
    names = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    check_several(names)
    found = _rows(Sources(map(_path, names)), model, _checked_jobs(jobs), extraction)
    return (row for rows in found for row in rows)


def _rows(
    items: Iterable[Item], model: Classifier | Models | None, jobs: int, extraction: Extraction
) -> Iterator[list[Row]]:
    """The rows of each item. The pipeline's threads and processes end with the iterator."""
    if model is None:
        model = load_models(LoadOptions(threads=1))
    models = model if isinstance(model, Models) else Models(model)
    extraction = replace(extraction, limits=models.exact.limits)
    options = PipelineOptions(jobs, extraction, quick=models.quick is not None)
    with Pipeline(options) as pipeline:
        pipeline.start(items)
        pipeline.use(models)
        yield from pipeline.rows()


def _checked_jobs(jobs: int | None) -> int:
    if jobs is None:
        return default_jobs()
    if jobs < 1:
        raise UsageError(f"{jobs} jobs: at least 1 is needed, or None for one a core")
    return jobs


def _item(picture: Name | Encoded, index: int) -> Item:
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return Item(f"picture {index}", data=bytes(picture))
    if isinstance(picture, (str, os.PathLike)):
        return Item(_path(picture))
    raise TypeError(f"a path or the bytes of a picture file is needed, not {type(picture).__name__}")


def _path(name: Name) -> str:
    path = os.fspath(name)
    if not isinstance(path, str):
        raise TypeError(f"a path is needed as text, not as {type(path).__name__}; os.fsdecode makes it text")
    return path


def _score(rows: list[Row]) -> float:
    """The score of one item: of several frames their summary's."""
    row = next((row for row in rows if row.kind == "summary"), rows[0] if rows else None)
    return float("nan") if row is None or row.score is None else row.score
