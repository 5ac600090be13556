"""Labelled pictures -> what fine-tuning on one machine keeps of them, computed on a cluster.

The executors compute scores and features into a table, as `spark features` does, and a job that was interrupted goes on. The
driver then writes the two files that one machine's run would have written, `scores.jsonl` and `features.f32`: a fine-tuning
that finds them computes nothing anew, and its result is that of one machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np

from open_nsfw.calibration.labels import Labels
from open_nsfw.cluster.folder import as_pattern
from open_nsfw.cluster.options import ScoreOptions
from open_nsfw.cluster.output import Going
from open_nsfw.cluster.results import PIXELS
from open_nsfw.cluster.run import JobRequest, run_in
from open_nsfw.cluster.session import SessionOptions, told
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.parquet import unspell
from open_nsfw.rows.row import FIELDS, Row, is_last
from open_nsfw.rows.writer import open_writer
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.training.feature_file import FeatureFile, FeatureKind
from open_nsfw.training.features import FEATURES, FOLDER, SCORES
from open_nsfw.training.head import Head
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.steps import keeps_pixels


def compute(
    spark: Any, labels: Labels, source: ModelFiles, head: Head, request: TuneRequest, table: str, name: str
) -> None:
    """Leave in the work folder of `request` what its features are read from. `table` is where executors write, the pixels of
    each picture included where layers below the head may be trained; `name` is that of the application. Raises UsageError,
    SetupError, OutputError."""
    inputs = tuple(labels.folders) or tuple(dict.fromkeys(entry.path for entry in labels.entries if entry.path))
    load = LoadOptions(request.model_def, request.pretrained_model)
    options = ScoreOptions(
        load=load,
        extraction=Extraction(hash=True),
        blobs=(head.features,),
        with_scores=True,
        with_pixels=keeps_pixels(request.train),
    )
    going = Going(resume=not request.overwrite, overwrite=request.overwrite)
    run_in(spark, JobRequest(inputs, table, options=options, going=going, session=SessionOptions(name)))
    spark.sparkContext.setJobDescription(f"{name}: bring the features to the driver")
    _write_down(spark.read.parquet(as_pattern(table)).drop(PIXELS), source, head, os.path.join(request.folder, FOLDER))


def _write_down(found: Any, source: ModelFiles, head: Head, folder: str) -> None:
    """Write the two files, one task's rows in memory at a time."""
    kind = FeatureKind(source.digest, head.features, head.weights.shape[1])
    scores = OutputOptions("jsonl", os.path.join(folder, SCORES), overwrite=True)
    with told(), FeatureFile(os.path.join(folder, FEATURES), kind, overwrite=True) as features:
        with open_writer(scores) as writer:
            for rows in _items(found):
                writer.write([row for row, _ in rows])
                for row, values in rows:
                    if is_last(row.kind, row.views) and row.sha256 and values is not None:
                        features.add(row.sha256, np.array(values[head.features], np.float32))


def _items(found: Any) -> Iterator[list[tuple[Row, dict[str, Any] | None]]]:
    """The rows of each picture or film, which its task wrote one after the other, with the blobs of each."""
    pairs = (_row(each.asDict()) for each in found.toLocalIterator())
    for _, group in groupby(pairs, key=lambda pair: (pair[0].path, pair[0].member)):
        yield list(group)


def _row(values: dict[str, Any]) -> tuple[Row, dict[str, Any] | None]:
    names = [one.name for one in FIELDS]
    row = Row(**{name: _unspelled(values[name]) for name in names})
    return row, None if row.score is None else {name: values[name] for name in values if name not in names}


def _unspelled(value: Any) -> Any:
    return unspell(value) if isinstance(value, str) else value
